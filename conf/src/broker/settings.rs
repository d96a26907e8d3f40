//! The table of `broker.toml`: one row per setting.

mod values;

pub use values::{formatter, level, node_name, version};

use super::draft::Draft;
use super::model::{ClientAuth, Compat, LoginFrom};
use super::value::Given;
use crate::diagnostic::Diagnostic;
use std::time::Duration;
use values::{consumer_timeout, frame_max, some_time};

/// One row.
pub struct Setting {
    /// The table.
    pub section: &'static str,
    /// The key.
    pub key: &'static str,
    /// What it takes.
    pub form: &'static str,
    /// The value without it.
    pub default: &'static str,
    /// What it does.
    pub doc: &'static str,
    /// A line that must parse; a test walks all of them.
    pub example: &'static str,
    /// Checks and stores, nothing else.
    pub apply: fn(&mut Draft, &Given) -> Result<(), Diagnostic>,
}

macro_rules! row {
    ($section:literal, $key:literal, $form:literal, $default:literal, $doc:literal, $example:literal, $apply:expr) => {
        Setting {
            section: $section,
            key: $key,
            form: $form,
            default: $default,
            doc: $doc,
            example: $example,
            apply: $apply,
        }
    };
}

/// All settings, in the order of the reference page.
pub static SETTINGS: &[Setting] = &[
    row!(
        "node",
        "name",
        "<name>@<host>",
        "rabbit@ and the host's name",
        "The node's name, as clients and tools show it and `ctl -n` asks for it.",
        r#"name = "rabbit@mq1""#,
        |d, v| {
            d.config.node = Some(node_name(v)?);
            Ok(())
        }
    ),
    row!(
        "node",
        "cluster-name",
        "<name>",
        "the node's name",
        "The name of the cluster in server properties and in the overview, on a node's first start.",
        r#"cluster-name = "orders""#,
        |d, v| {
            d.config.cluster_name = Some(v.name()?);
            Ok(())
        }
    ),
    row!(
        "node",
        "data-dir",
        "<path>",
        "/var/lib/evenkeel/broker (root), ~/.local/share/evenkeel/broker (others)",
        "Where messages and metadata are kept.",
        r#"data-dir = "/srv/broker""#,
        |d, v| {
            d.config.data_dir = Some(v.name()?.into());
            Ok(())
        }
    ),
    row!(
        "node",
        "run-dir",
        "<path>",
        "/run/evenkeel/broker (root), $XDG_RUNTIME_DIR/evenkeel/broker or the data directory (others)",
        "Where the control socket and the cookie file are.",
        r#"run-dir = "/run/broker""#,
        |d, v| {
            d.config.run_dir = Some(v.name()?.into());
            Ok(())
        }
    ),
    row!(
        "node",
        "compat",
        "\"3.10\" | \"4\"",
        "\"3.10\"",
        "Which RabbitMQ to behave as where its versions differ (unknown exchange types, delivery limits).",
        r#"compat = "4""#,
        |d, v| {
            d.config.compat = v.choose(&[("3.10", Compat::V3), ("4", Compat::V4)])?;
            Ok(())
        }
    ),
    row!(
        "node",
        "product",
        "<name>",
        "\"RabbitMQ\"",
        "`product` in the server properties; some client libraries choose features by it.",
        r#"product = "RabbitMQ""#,
        |d, v| {
            d.config.product = v.name()?;
            Ok(())
        }
    ),
    row!(
        "node",
        "version",
        "<x.y.z>",
        "\"3.10.8\"",
        "`version` in the server properties.",
        r#"version = "3.10.8""#,
        |d, v| {
            d.config.version = version(v)?;
            Ok(())
        }
    ),
    row!(
        "listen",
        "amqp",
        "<address> | [<address>...]",
        "\"*:5672\"",
        "AMQP listeners. An empty list for none.",
        r#"amqp = ["127.0.0.1:5672", "[::1]:5672"]"#,
        |d, v| {
            d.config.listen = d.addresses(v, 5672)?;
            Ok(())
        }
    ),
    row!(
        "listen",
        "tls",
        "<address> | [<address>...]",
        "none",
        "AMQP listeners with TLS; needs `certificate` and `key` in `[tls]`.",
        r#"tls = "*:5671""#,
        |d, v| {
            d.config.listen_tls = d.addresses(v, 5671)?;
            Ok(())
        }
    ),
    row!(
        "listen",
        "proxy-protocol",
        "true | false",
        "false",
        "The AMQP listeners expect a PROXY protocol header, version 1 or 2, before anything else.",
        "proxy-protocol = true",
        |d, v| {
            d.config.proxy_protocol = v.boolean()?;
            Ok(())
        }
    ),
    row!(
        "listen",
        "backlog",
        "<number>",
        "1024",
        "Connections that may wait to be accepted, per listener; the kernel takes no more than `net.core.somaxconn`.",
        "backlog = 4096",
        |d, v| {
            d.config.backlog = v.integer(1..=65_535)? as u32;
            Ok(())
        }
    ),
    row!(
        "listen",
        "handshake-timeout",
        "<time>",
        "\"10s\"",
        "Time from the connection to `connection.open`; a slower client is dropped.",
        r#"handshake-timeout = "10s""#,
        |d, v| {
            d.config.handshake_timeout = some_time(v, "a time above zero")?;
            Ok(())
        }
    ),
    row!(
        "tls",
        "certificate",
        "<path>",
        "none",
        "PEM file with the server's certificate and its chain.",
        r#"certificate = "/etc/evenkeel/server.pem""#,
        |d, v| {
            d.certificate = Some(v.name()?.into());
            Ok(())
        }
    ),
    row!(
        "tls",
        "key",
        "<path>",
        "none",
        "PEM file with the certificate's private key.",
        r#"key = "/etc/evenkeel/server.key""#,
        |d, v| {
            d.key = Some(v.name()?.into());
            Ok(())
        }
    ),
    row!(
        "tls",
        "client-ca",
        "<path>",
        "none",
        "PEM file with the authorities that sign client certificates.",
        r#"client-ca = "/etc/evenkeel/clients.pem""#,
        |d, v| {
            d.client_ca = Some(v.name()?.into());
            Ok(())
        }
    ),
    row!(
        "tls",
        "client-auth",
        "\"none\" | \"optional\" | \"required\"",
        "\"none\", with client-ca \"optional\"",
        "Whether clients must show a certificate.",
        r#"client-auth = "required""#,
        |d, v| {
            let choices = [
                ("none", ClientAuth::None),
                ("optional", ClientAuth::Optional),
                ("required", ClientAuth::Required),
            ];
            d.client_auth = Some(v.choose(&choices)?);
            Ok(())
        }
    ),
    row!(
        "tls",
        "login-from",
        "\"distinguished-name\" | \"common-name\" | \"subject-alternative-name\"",
        "\"distinguished-name\"",
        "What of the client's certificate is the user's name for EXTERNAL.",
        r#"login-from = "common-name""#,
        |d, v| {
            let choices = [
                ("distinguished-name", LoginFrom::DistinguishedName),
                ("common-name", LoginFrom::CommonName),
                (
                    "subject-alternative-name",
                    LoginFrom::SubjectAlternativeName,
                ),
            ];
            d.login_from = Some(v.choose(&choices)?);
            Ok(())
        }
    ),
    row!(
        "tls",
        "min-version",
        "\"1.2\" | \"1.3\"",
        "\"1.2\"",
        "The oldest TLS version that a client may speak.",
        r#"min-version = "1.3""#,
        |d, v| {
            d.only_1_3 = v.choose(&[("1.2", false), ("1.3", true)])?;
            Ok(())
        }
    ),
    row!(
        "management",
        "listen",
        "<address> | [<address>...]",
        "\"*:15672\"",
        "Management listeners: HTTP API, web page, metrics. An empty list turns them off. A taken port is reported and not fatal.",
        r#"listen = "127.0.0.1:15672""#,
        |d, v| {
            d.config.management = d.addresses(v, 15_672)?;
            Ok(())
        }
    ),
    row!(
        "management",
        "prometheus",
        "<address> | [<address>...]",
        "\"*:15692\"",
        "Listeners that serve the metrics only, without a login. An empty list turns them off.",
        "prometheus = []",
        |d, v| {
            d.config.prometheus = d.addresses(v, 15_692)?;
            Ok(())
        }
    ),
    row!(
        "management",
        "sample-interval",
        "<time>",
        "\"5s\"",
        "How often counters are sampled for rates and charts.",
        r#"sample-interval = "5s""#,
        |d, v| {
            d.config.sample_interval = v.duration()?.max(Duration::from_millis(100));
            Ok(())
        }
    ),
    row!(
        "management",
        "load-definitions",
        "<path>",
        "none",
        "A definitions file (JSON, as exported by this or by RabbitMQ) that is imported at each start.",
        r#"load-definitions = "/etc/evenkeel/definitions.json""#,
        |d, v| {
            d.config.load_definitions = Some(v.name()?.into());
            Ok(())
        }
    ),
    row!(
        "limits",
        "heartbeat",
        "<time>",
        "\"60s\"",
        "Heartbeat offered to clients, who may lower it; \"0s\" for none.",
        r#"heartbeat = "30s""#,
        |d, v| {
            d.config.heartbeat = v.duration()?;
            Ok(())
        }
    ),
    row!(
        "limits",
        "frame-max",
        "<size>",
        "131072",
        "Bytes of a frame at most, 4096 or more.",
        r#"frame-max = "128KiB""#,
        |d, v| {
            d.config.frame_max = frame_max(v)?;
            Ok(())
        }
    ),
    row!(
        "limits",
        "channel-max",
        "<number>",
        "2047",
        "Channels of a connection at most.",
        "channel-max = 128",
        |d, v| {
            d.config.channel_max = v.integer(0..=65_535)? as u16;
            Ok(())
        }
    ),
    row!(
        "limits",
        "connections",
        "<number>",
        "none",
        "Open connections of the node at most; a further one gets 530 on `connection.open`.",
        "connections = 10000",
        |d, v| {
            d.config.connection_max = Some(v.integer(0..=10_000_000)? as u64);
            Ok(())
        }
    ),
    row!(
        "limits",
        "message-size",
        "<size>",
        "\"128MiB\"",
        "Bytes of a message's body at most; a larger one closes the channel with 406.",
        r#"message-size = "16MiB""#,
        |d, v| {
            d.config.max_message_size = match v.size()? {
                0 => return Err(v.wrong("a size above zero")),
                size => size,
            };
            Ok(())
        }
    ),
    row!(
        "limits",
        "consumer-timeout",
        "<time> | false",
        "\"30m\"",
        "Time in which a delivery must be acknowledged; afterwards its channel is closed with 406. `false` for never.",
        r#"consumer-timeout = "1h""#,
        |d, v| {
            d.config.consumer_timeout = consumer_timeout(v)?;
            Ok(())
        }
    ),
    row!(
        "limits",
        "memory",
        "<ratio> | <size>",
        "\"40%\"",
        "Memory in use from which publishers are blocked: a part of the machine's memory (or of the control group's limit) or a size.",
        r#"memory = "2GiB""#,
        |d, v| {
            d.config.memory = v.memory()?;
            Ok(())
        }
    ),
    row!(
        "limits",
        "disk-free",
        "<size> | <ratio>",
        "\"50MB\"",
        "Free space below which publishers are blocked: a size, or a multiple of the machine's memory such as `1.0`.",
        r#"disk-free = "2GB""#,
        |d, v| {
            d.config.disk = v.disk()?;
            Ok(())
        }
    ),
    row!(
        "limits",
        "prefetch",
        "<number>",
        "0",
        "Prefetch of consumers whose channel never set one (`basic.qos`); 0 for no limit.",
        "prefetch = 250",
        |d, v| {
            d.config.default_prefetch = v.integer(0..=65_535)? as u16;
            Ok(())
        }
    ),
    row!(
        "users",
        "default-user",
        "<name>",
        "\"guest\"",
        "The user that a node without users creates.",
        r#"default-user = "admin""#,
        |d, v| {
            d.config.default_user.name = v.name()?;
            Ok(())
        }
    ),
    row!(
        "users",
        "default-password",
        "<password>",
        "\"guest\"",
        "Its password.",
        r#"default-password = "correct horse""#,
        |d, v| {
            d.config.default_user.password = v.text()?;
            Ok(())
        }
    ),
    row!(
        "users",
        "default-tags",
        "[<tag>...]",
        "[\"administrator\"]",
        "Its tags.",
        r#"default-tags = ["administrator"]"#,
        |d, v| {
            d.config.default_user.tags = v.each(Given::name)?;
            Ok(())
        }
    ),
    row!(
        "users",
        "default-vhost",
        "<name>",
        "\"/\"",
        "The virtual host that a new node creates, and in which the default user has all rights.",
        r#"default-vhost = "/""#,
        |d, v| {
            d.config.default_vhost = v.name()?;
            Ok(())
        }
    ),
    row!(
        "users",
        "loopback-users",
        "[<name>...]",
        "[\"guest\"]",
        "Users that may log in from loopback addresses only.",
        "loopback-users = []",
        |d, v| {
            d.config.loopback_users = v.each(Given::name)?;
            Ok(())
        }
    ),
    row!(
        "log",
        "level",
        "\"error\" | \"warn\" | \"info\" | \"debug\" | \"trace\"",
        "\"info\"",
        "How much is logged.",
        r#"level = "debug""#,
        |d, v| {
            d.config.log.level = level(v)?;
            Ok(())
        }
    ),
    row!(
        "log",
        "format",
        "\"text\" | \"json\"",
        "\"text\"",
        "Lines for people, or a JSON object a line.",
        r#"format = "json""#,
        |d, v| {
            d.config.log.json = formatter(v)?;
            Ok(())
        }
    ),
    row!(
        "log",
        "file",
        "<path>",
        "standard error",
        "A file that the log is appended to.",
        r#"file = "/var/log/evenkeel/broker.log""#,
        |d, v| {
            d.config.log.file = Some(v.name()?.into());
            Ok(())
        }
    ),
];

/// The sections in the order of the reference page, with a heading each.
pub static SECTIONS: &[(&str, &str)] = &[
    ("node", "The node itself."),
    ("listen", "Where AMQP clients connect."),
    ("tls", "Certificates of the TLS listeners."),
    ("management", "HTTP API, web page, metrics."),
    (
        "limits",
        "What clients may use, and when they are held back.",
    ),
    ("users", "What a node without users starts with."),
    ("log", "Log output."),
];
