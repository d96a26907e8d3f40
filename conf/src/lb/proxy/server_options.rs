//! Options of `server` and `default-server`.

mod values;

pub use values::{server_ref, source};

use super::server::ServerDraft;
use crate::diagnostic::Diagnostic;
use crate::keyword::Keyword;
use crate::lb::draft::Referred;
use crate::lb::known::without_effect;
use crate::lb::model::{InitState, Observe, OnError, SendProxy};
use crate::lb::value::{self, Unit};
use values::{
    count, init_addr, ip_host, limit, millis, port, proxy_v2_options, refer, track, weight,
};

/// Every option, in the order of the reference page.
pub static OPTIONS: &[Keyword<ServerDraft>] = &[
    Keyword {
        name: "weight",
        args: "<0..256>",
        doc: "Share of the load in relation to the others'. 0: no new sessions. Default 1.",
        example: "server s 192.0.2.1:5672 weight 10",
        apply: weight,
    },
    Keyword {
        name: "backup",
        args: "",
        doc: "Used only once no other server is left.",
        example: "server s 192.0.2.1:5672 backup",
        apply: |d, _| {
            d.server.backup = true;
            Ok(())
        },
    },
    Keyword {
        name: "no-backup",
        args: "",
        doc: "Undoes `backup` of `default-server`.",
        example: "server s 192.0.2.1:5672 no-backup",
        apply: |d, _| {
            d.server.backup = false;
            Ok(())
        },
    },
    Keyword {
        name: "disabled",
        args: "",
        doc: "Starts in maintenance.",
        example: "server s 192.0.2.1:5672 disabled",
        apply: |d, _| {
            d.server.disabled = true;
            Ok(())
        },
    },
    Keyword {
        name: "enabled",
        args: "",
        doc: "Undoes `disabled` of `default-server`.",
        example: "server s 192.0.2.1:5672 enabled",
        apply: |d, _| {
            d.server.disabled = false;
            Ok(())
        },
    },
    Keyword {
        name: "maxconn",
        args: "<connections>",
        doc: "Most concurrent sessions; further ones wait in the queue. 0: no limit.",
        example: "server s 192.0.2.1:5672 maxconn 500",
        apply: |d, a| {
            d.server.maxconn = limit(a)?;
            Ok(())
        },
    },
    Keyword {
        name: "minconn",
        args: "<connections>",
        doc: "The limit at low load; it grows to `maxconn` as the backend nears `fullconn`.",
        example: "server s 192.0.2.1:5672 minconn 50 maxconn 500",
        apply: |d, a| {
            d.server.minconn = limit(a)?;
            Ok(())
        },
    },
    Keyword {
        name: "maxqueue",
        args: "<connections>",
        doc: "Most sessions waiting for this server; further ones go to others. 0: no limit.",
        example: "server s 192.0.2.1:5672 maxconn 500 maxqueue 100",
        apply: |d, a| {
            d.server.maxqueue = limit(a)?;
            Ok(())
        },
    },
    Keyword {
        name: "slowstart",
        args: "<time>",
        doc: "A server that comes back gets its full weight and `maxconn` only after this time.",
        example: "server s 192.0.2.1:5672 check slowstart 60s",
        apply: |d, a| {
            let time = value::take_time(a, "a time", Unit::Millis)?;
            d.server.slowstart = (!time.is_zero()).then_some(time);
            Ok(())
        },
    },
    Keyword {
        name: "id",
        args: "<number>",
        doc: "The server's number in statistics; given in order from 1 when absent.",
        example: "server s 192.0.2.1:5672 id 7",
        apply: |d, a| {
            d.server.id = value::take_number(a, "a server's id", 1, i64::from(i32::MAX))? as u32;
            d.server.id_forced = true;
            Ok(())
        },
    },
    Keyword {
        name: "check",
        args: "",
        doc: "Checks the server's health; without, it counts as up always.",
        example: "server s 192.0.2.1:5672 check",
        apply: |d, _| {
            d.server.check.enabled = true;
            Ok(())
        },
    },
    Keyword {
        name: "no-check",
        args: "",
        doc: "Undoes `check` of `default-server`.",
        example: "server s 192.0.2.1:5672 no-check",
        apply: |d, _| {
            d.server.check.enabled = false;
            Ok(())
        },
    },
    Keyword {
        name: "inter",
        args: "<time>",
        doc: "Time between checks. Default 2s; a bare number counts milliseconds.",
        example: "server s 192.0.2.1:5672 check inter 5s",
        apply: |d, a| {
            d.server.check.inter = millis(a)?;
            Ok(())
        },
    },
    Keyword {
        name: "fastinter",
        args: "<time>",
        doc: "Time between checks while the state is about to change; `inter` when absent.",
        example: "server s 192.0.2.1:5672 check inter 5s fastinter 1s",
        apply: |d, a| {
            d.server.check.fastinter = Some(millis(a)?);
            Ok(())
        },
    },
    Keyword {
        name: "downinter",
        args: "<time>",
        doc: "Time between checks while the server is down; `inter` when absent.",
        example: "server s 192.0.2.1:5672 check inter 5s downinter 2s",
        apply: |d, a| {
            d.server.check.downinter = Some(millis(a)?);
            Ok(())
        },
    },
    Keyword {
        name: "rise",
        args: "<count>",
        doc: "Successful checks in a row that bring a server up. Default 2.",
        example: "server s 192.0.2.1:5672 check rise 3",
        apply: |d, a| {
            d.server.check.rise = count(a)?;
            Ok(())
        },
    },
    Keyword {
        name: "fall",
        args: "<count>",
        doc: "Failed checks in a row that take a server down. Default 3. At start one suffices.",
        example: "server s 192.0.2.1:5672 check fall 2",
        apply: |d, a| {
            d.server.check.fall = count(a)?;
            Ok(())
        },
    },
    Keyword {
        name: "addr",
        args: "<address>",
        doc: "Checks go to this address instead of the server's.",
        example: "server s 192.0.2.1:5672 check addr 192.0.2.9",
        apply: |d, a| {
            d.server.check.addr = Some(ip_host(d, a)?);
            Ok(())
        },
    },
    Keyword {
        name: "port",
        args: "<port>",
        doc: "Checks go to this port instead of the server's.",
        example: "server s 192.0.2.1:5672 check port 15672",
        apply: |d, a| {
            d.server.check.port = Some(port(a)?);
            Ok(())
        },
    },
    Keyword {
        name: "healthcheck",
        args: "<name>",
        doc: "Checks as the `healthcheck` section of this name says instead of as the backend \
              says. Newer than HAProxy 2.6.",
        example: "server s 192.0.2.1:5672 check healthcheck alarms",
        apply: |d, a| {
            let word = a.expect("the name of a healthcheck section")?;
            d.server.check.section = Some(word.text.clone());
            refer(d, Referred::HealthCheck, word, "healthcheck");
            Ok(())
        },
    },
    Keyword {
        name: "agent-check",
        args: "",
        doc: "Asks an agent beside the server about it, on `agent-port`: a line of words such as \
              `up`, `down`, `drain`, `maint`, `ready`, `75%`, `maxconn:30`. An agent that cannot \
              be reached changes nothing.",
        example: "server s 192.0.2.1:5672 check agent-check agent-port 9999",
        apply: |d, _| {
            d.server.check.agent.enabled = true;
            Ok(())
        },
    },
    Keyword {
        name: "no-agent-check",
        args: "",
        doc: "Undoes `agent-check` of `default-server`.",
        example: "server s 192.0.2.1:5672 no-agent-check",
        apply: |d, _| {
            d.server.check.agent.enabled = false;
            Ok(())
        },
    },
    Keyword {
        name: "agent-inter",
        args: "<time>",
        doc: "Time between two questions to the agent. Default 2s.",
        example: "server s 192.0.2.1:5672 agent-check agent-port 9999 agent-inter 5s",
        apply: |d, a| {
            d.server.check.agent.inter = millis(a)?;
            Ok(())
        },
    },
    Keyword {
        name: "agent-port",
        args: "<port>",
        doc: "The agent's TCP port.",
        example: "server s 192.0.2.1:5672 agent-check agent-port 9999",
        apply: |d, a| {
            d.server.check.agent.port = Some(port(a)?);
            Ok(())
        },
    },
    Keyword {
        name: "agent-addr",
        args: "<address>",
        doc: "The agent's address; the server's when absent.",
        example: "server s 192.0.2.1:5672 agent-check agent-port 9999 agent-addr 192.0.2.9",
        apply: |d, a| {
            d.server.check.agent.addr = Some(ip_host(d, a)?);
            Ok(())
        },
    },
    Keyword {
        name: "agent-send",
        args: "<text>",
        doc: "What the agent is told once connected; `\\n` is not added.",
        example: "server s 192.0.2.1:5672 agent-check agent-port 9999 agent-send \"rmq1\\n\"",
        apply: |d, a| {
            d.server.check.agent.send = Some(a.expect("a text")?.text.clone());
            Ok(())
        },
    },
    Keyword {
        name: "init-state",
        args: "{ up | fully-up | down | fully-down }",
        doc: "What the server is before its first check ended. `up` (default): one failed check \
              takes it down; `fully-up`: `fall` of them; `down`: one success brings it up; \
              `fully-down`: `rise` of them.",
        example: "server s 192.0.2.1:5672 check init-state down",
        apply: |d, a| {
            d.server.check.init_state = a.choose(
                "a state",
                &[
                    ("up", InitState::Up),
                    ("fully-up", InitState::FullyUp),
                    ("down", InitState::Down),
                    ("fully-down", InitState::FullyDown),
                ],
            )?;
            Ok(())
        },
    },
    Keyword {
        name: "init-addr",
        args: "{ last | libc | none | <ip> },...",
        doc: "How the address of a host name is found at start, in this order. Default \
              `last,libc`. `none` starts without one, in maintenance.",
        example: "server s 192.0.2.1:5672 init-addr last,libc,none",
        apply: init_addr,
    },
    Keyword {
        name: "track",
        args: "[<backend>/]<server>",
        doc: "Takes its state from that server's checks.",
        example: "server s 192.0.2.1:5672 track other/s1",
        apply: track,
    },
    Keyword {
        name: "source",
        args: "<address>[:<port>[-<port>]] [usesrc <whose>] [interface <name>]",
        doc: "Own address towards this server.",
        example: "server s 192.0.2.1:5672 source 192.0.2.10",
        apply: |d, a| {
            let env = d.env.clone();
            d.server.source = source(a, &env)?;
            Ok(())
        },
    },
    Keyword {
        name: "send-proxy",
        args: "",
        doc: "Sends a PROXY protocol header, version 1, ahead of each session.",
        example: "server s 192.0.2.1:5672 send-proxy",
        apply: |d, _| {
            d.server.send_proxy = Some(SendProxy::default());
            Ok(())
        },
    },
    Keyword {
        name: "no-send-proxy",
        args: "",
        doc: "Undoes `send-proxy` of `default-server`.",
        example: "server s 192.0.2.1:5672 no-send-proxy",
        apply: |d, _| {
            d.server.send_proxy = None;
            Ok(())
        },
    },
    Keyword {
        name: "send-proxy-v2",
        args: "",
        doc: "Sends a PROXY protocol header, version 2 (binary).",
        example: "server s 192.0.2.1:5672 send-proxy-v2",
        apply: |d, _| {
            d.server.send_proxy = Some(SendProxy {
                v2: true,
                ..SendProxy::default()
            });
            Ok(())
        },
    },
    Keyword {
        name: "no-send-proxy-v2",
        args: "",
        doc: "Undoes `send-proxy-v2` of `default-server`.",
        example: "server s 192.0.2.1:5672 no-send-proxy-v2",
        apply: |d, _| {
            d.server.send_proxy = None;
            Ok(())
        },
    },
    Keyword {
        name: "send-proxy-v2-ssl",
        args: "",
        doc: "Version 2 with what is known of the client's TLS.",
        example: "server s 192.0.2.1:5672 send-proxy-v2-ssl",
        apply: |d, _| {
            d.server.send_proxy = Some(SendProxy {
                v2: true,
                ssl: true,
                ..SendProxy::default()
            });
            Ok(())
        },
    },
    Keyword {
        name: "no-send-proxy-v2-ssl",
        args: "",
        doc: "Undoes `send-proxy-v2-ssl` of `default-server`.",
        example: "server s 192.0.2.1:5672 no-send-proxy-v2-ssl",
        apply: |d, _| {
            d.server.send_proxy = None;
            Ok(())
        },
    },
    Keyword {
        name: "send-proxy-v2-ssl-cn",
        args: "",
        doc: "Version 2 with what is known of the client's TLS and certificate.",
        example: "server s 192.0.2.1:5672 send-proxy-v2-ssl-cn",
        apply: |d, _| {
            d.server.send_proxy = Some(SendProxy {
                v2: true,
                ssl: true,
                ..SendProxy::default()
            });
            Ok(())
        },
    },
    Keyword {
        name: "no-send-proxy-v2-ssl-cn",
        args: "",
        doc: "Undoes `send-proxy-v2-ssl-cn` of `default-server`.",
        example: "server s 192.0.2.1:5672 no-send-proxy-v2-ssl-cn",
        apply: |d, _| {
            d.server.send_proxy = None;
            Ok(())
        },
    },
    Keyword {
        name: "proxy-v2-options",
        args: "<option>[,<option>]*",
        doc: "What a version 2 header carries besides addresses: `crc32c`, `unique-id`, \
              `authority`, and the TLS ones.",
        example: "server s 192.0.2.1:5672 send-proxy-v2 proxy-v2-options crc32c",
        apply: proxy_v2_options,
    },
    Keyword {
        name: "check-send-proxy",
        args: "",
        doc: "Checks send the header even to a `port` or `addr` of their own.",
        example: "server s 192.0.2.1:5672 check port 5673 check-send-proxy",
        apply: |d, _| {
            d.check_send_proxy = true;
            Ok(())
        },
    },
    Keyword {
        name: "no-check-send-proxy",
        args: "",
        doc: "Undoes `check-send-proxy` of `default-server`.",
        example: "server s 192.0.2.1:5672 no-check-send-proxy",
        apply: |d, _| {
            d.check_send_proxy = false;
            Ok(())
        },
    },
    Keyword {
        name: "on-marked-down",
        args: "shutdown-sessions",
        doc: "Ends the server's sessions when it goes down (state `D`), so that clients of a \
              hung server reconnect at once.",
        example: "server s 192.0.2.1:5672 check on-marked-down shutdown-sessions",
        apply: |d, a| {
            a.choose("an action", &[("shutdown-sessions", ())])?;
            d.server.on_marked_down_shutdown = true;
            Ok(())
        },
    },
    Keyword {
        name: "on-marked-up",
        args: "shutdown-backup-sessions",
        doc: "Ends sessions on backup servers when this one comes up (state `U`).",
        example: "server s 192.0.2.1:5672 check on-marked-up shutdown-backup-sessions",
        apply: |d, a| {
            a.choose("an action", &[("shutdown-backup-sessions", ())])?;
            d.server.on_marked_up_shutdown_backup = true;
            Ok(())
        },
    },
    Keyword {
        name: "observe",
        args: "{ layer4 | layer7 }",
        doc: "Errors of sessions count against the server's health.",
        example: "server s 192.0.2.1:5672 check observe layer4",
        apply: |d, a| {
            d.server.observe = Some(a.choose(
                "what to observe",
                &[("layer4", Observe::Layer4), ("layer7", Observe::Layer7)],
            )?);
            Ok(())
        },
    },
    Keyword {
        name: "error-limit",
        args: "<count>",
        doc: "Errors in a row that trigger `on-error`. Default 10.",
        example: "server s 192.0.2.1:5672 check observe layer4 error-limit 20",
        apply: |d, a| {
            d.server.error_limit =
                value::take_number(a, "a number of errors", 1, i64::from(i32::MAX))? as u32;
            Ok(())
        },
    },
    Keyword {
        name: "on-error",
        args: "{ fastinter | fail-check | sudden-death | mark-down }",
        doc: "What happens at `error-limit`: check faster, count a failed check (default), one \
              more failure takes it down, down at once.",
        example: "server s 192.0.2.1:5672 check observe layer4 on-error mark-down",
        apply: |d, a| {
            d.server.on_error = a.choose(
                "an action",
                &[
                    ("fastinter", OnError::Fastinter),
                    ("fail-check", OnError::FailCheck),
                    ("sudden-death", OnError::SuddenDeath),
                    ("mark-down", OnError::MarkDown),
                ],
            )?;
            Ok(())
        },
    },
    Keyword {
        name: "cookie",
        args: "<value>",
        doc: "Persistence value of HTTP cookies; shown in statistics.",
        example: "server s 192.0.2.1:5672 cookie s1",
        apply: |d, a| {
            let word = a.expect("a value")?;
            d.server.cookie = Some(word.text.clone());
            Ok(())
        },
    },
    Keyword {
        name: "tcp-ut",
        args: "<time>",
        doc: "How long sent data may stay unacknowledged before the connection is dead.",
        example: "server s 192.0.2.1:5672 tcp-ut 30s",
        apply: |d, a| {
            d.server.tcp_user_timeout = Some(millis(a)?);
            Ok(())
        },
    },
    Keyword {
        name: "tfo",
        args: "",
        doc: "TCP fast open towards the server (accepted, has no effect).",
        example: "server s 192.0.2.1:5672 tfo",
        apply: |d, a| {
            d.server.fast_open = true;
            d.diagnostics.push(without_effect(a.head(), "tfo"));
            Ok(())
        },
    },
    Keyword {
        name: "no-tfo",
        args: "",
        doc: "Undoes `tfo` of `default-server`.",
        example: "server s 192.0.2.1:5672 no-tfo",
        apply: |d, _| {
            d.server.fast_open = false;
            Ok(())
        },
    },
    Keyword {
        name: "non-stick",
        args: "",
        doc: "Never stored in stick tables (there are none here).",
        example: "server s 192.0.2.1:5672 non-stick",
        apply: |d, a| {
            let text = "`non-stick` has no effect here";
            let note = Diagnostic::note("E1104", a.head(), text);
            d.diagnostics.push(note.label("there are no stick tables"));
            Ok(())
        },
    },
];
