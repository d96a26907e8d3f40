//! Kinds of health checks: `option ...-check` and their settings.

use super::check_rules::{self, Script};
use crate::diagnostic::Diagnostic;
use crate::keyword::{Args, Keyword, Word, wrong};
use crate::lb::draft::Draft;
use crate::lb::format;
use crate::lb::model::{AmqpCheck, CheckKind, ExternalCheck, HttpSend, MysqlCheck};
use std::path::PathBuf;

type Applied = Result<(), Diagnostic>;

fn choose(d: &mut Draft, kind: CheckKind) {
    d.back().check.kind = kind;
    d.checks.unused = [None; 2];
}

fn httpchk(d: &mut Draft, a: &mut Args<'_>) -> Applied {
    let words = a.rest();
    let text = |index: usize| words.get(index).map(|w| w.text.as_str());
    let (method, uri, version) = match words.len() {
        0 => ("OPTIONS", "/", "HTTP/1.0"),
        1 => ("OPTIONS", text(0).unwrap_or("/"), "HTTP/1.0"),
        _ => (
            text(0).unwrap_or("OPTIONS"),
            text(1).unwrap_or("/"),
            text(2).unwrap_or("HTTP/1.0"),
        ),
    };
    if let Some(word) = words.get(3) {
        return Err(Diagnostic::error("E0004", word.span, "too many arguments")
            .label("the form is: option httpchk [<method>] [<uri>] [<version>]"));
    }
    let mut send = HttpSend {
        method: method.to_owned(),
        uri: format::fixed(uri),
        version: version.to_owned(),
        ..check_rules::plain_request()
    };
    if let Some(word) = words.get(2) {
        hidden(d, word, &mut send)?;
    }
    d.checks.request = Some(send);
    choose(d, CheckKind::Http(Vec::new()));
    Ok(())
}

/// Headers and a body behind the version, separated by CR and LF: the way before `http-check send`.
fn hidden(d: &mut Draft, word: &Word, send: &mut HttpSend) -> Applied {
    let (head, body) = match word.text.split_once("\r\n\r\n") {
        Some((head, body)) => (head, Some(body)),
        None => (word.text.as_str(), None),
    };
    let mut lines = head.split("\r\n");
    send.version = lines.next().unwrap_or_default().to_owned();
    for line in lines.filter(|line| !line.is_empty()) {
        let (name, value) = line
            .split_once(':')
            .ok_or_else(|| wrong(word, "a version and headers"))?;
        send.headers
            .push((name.to_owned(), format::fixed(value.trim())));
    }
    send.body = body.filter(|body| !body.is_empty()).map(format::fixed);
    if send.version.contains(['\r', '\n']) {
        return Err(wrong(word, "a version"));
    }
    if send.version != word.text {
        let text = "`option httpchk` : hiding headers or body at the end of the version string is deprecated";
        d.diagnostics.push(
            Diagnostic::warning("E1039", word.span, text)
                .label("sent as headers and body")
                .help("write `http-check send hdr <name> <value> body <text>`"),
        );
    }
    Ok(())
}

fn amqp(d: &mut Draft, a: &mut Args<'_>) -> Applied {
    let mut check = AmqpCheck::default();
    let span = a.head();
    loop {
        if a.take_if("user").is_some() {
            check.user = Some(a.expect("a user's name")?.text.clone());
        } else if a.take_if("password").is_some() {
            check.password = Some(a.expect("a password")?.text.clone());
        } else if a.take_if("vhost").is_some() {
            check.vhost = Some(a.expect("a vhost's name")?.text.clone());
        } else {
            break;
        }
    }
    a.finish()?;
    let lonely = match (&check.user, &check.password, &check.vhost) {
        (Some(_), None, _) => Some("`user` needs a `password`"),
        (None, Some(_), _) => Some("`password` needs a `user`"),
        (None, None, Some(_)) => Some("`vhost` needs a `user` and a `password`"),
        _ => None,
    };
    if let Some(problem) = lonely {
        return Err(Diagnostic::error("E0003", span, problem).help(
            "the form is: option amqp-check [user <name> password <secret> [vhost <name>]]",
        ));
    }
    choose(d, CheckKind::Amqp(check));
    Ok(())
}

fn mysql(d: &mut Draft, a: &mut Args<'_>) -> Applied {
    let mut check = MysqlCheck::default();
    if a.take_if("user").is_some() {
        check.user = Some(a.expect("a user's name")?.text.clone());
        if a.peek().is_some() {
            check.old = a.choose("a form", &[("post-41", false), ("pre-41", true)])?;
        }
    }
    a.finish()?;
    choose(d, CheckKind::Mysql(check));
    Ok(())
}

fn external(d: &mut Draft, a: &mut Args<'_>) -> Applied {
    a.finish()?;
    d.checks.external_option = Some(a.head());
    choose(d, CheckKind::External(ExternalCheck::default()));
    Ok(())
}

/// Of the side of the servers.
pub static BACK: &[Keyword<Draft>] = &[
    Keyword {
        name: "option tcp-check",
        args: "",
        doc: "Checks run the `tcp-check` rules of the section; without rules they only connect.",
        example: "option tcp-check",
        apply: |d, a| {
            a.finish()?;
            choose(d, CheckKind::Tcp(Vec::new()));
            Ok(())
        },
    },
    Keyword {
        name: "option httpchk",
        args: "[[<method>] <uri> [<version>]]",
        doc: "Checks send an HTTP request; 2xx and 3xx are good unless `http-check expect` rules \
              say otherwise. Default `OPTIONS / HTTP/1.0`.",
        example: "option httpchk GET /api/health/checks/alarms",
        apply: httpchk,
    },
    Keyword {
        name: "option amqp-check",
        args: "[user <name> password <secret> [vhost <name>]]",
        doc: "Checks speak AMQP 0-9-1: read the greeting, and with a user log in, open the vhost \
              and close properly, so that the broker's log stays clean. A broker that blocks \
              publishers or is in maintenance gets no new sessions. Put it under `.if \
              feature(AMQP_CHECK)` in files that HAProxy reads too.",
        example: "option amqp-check user monitor password secret vhost /",
        apply: amqp,
    },
    Keyword {
        name: "option mysql-check",
        args: "[user <name> [post-41 | pre-41]]",
        doc: "Checks read a MySQL or MariaDB server's greeting and show its version; with a user \
              they also log in (without a password) and quit. `post-41` is the default.",
        example: "option mysql-check user haproxy",
        apply: mysql,
    },
    Keyword {
        name: "option external-check",
        args: "",
        doc: "Checks run the program of `external-check command`: status 0 is good. Needs \
              `external-check` in `global`.",
        example: "option external-check",
        apply: external,
    },
    Keyword {
        name: "external-check command",
        args: "<program>",
        doc: "The program of external checks. It gets four arguments (address and port of the \
              proxy, address and port of the server) and the variables HAPROXY_*; it runs as the \
              process's user and is killed with all that it started after the check's time.",
        example: "external-check command /usr/local/bin/probe",
        apply: |d, a| {
            d.checks.external.command = PathBuf::from(&a.expect("a program")?.text);
            let mark = ("external-check command", "option external-check", a.head());
            d.checks.needs_option.push(mark);
            a.finish()
        },
    },
    Keyword {
        name: "external-check path",
        args: "<path>",
        doc: "The `PATH` of external checks; the process's own when absent.",
        example: "external-check path /usr/bin:/bin",
        apply: |d, a| {
            d.checks.external.path = Some(a.expect("a list of directories")?.text.clone());
            let mark = ("external-check path", "option external-check", a.head());
            d.checks.needs_option.push(mark);
            a.finish()
        },
    },
    Keyword {
        name: "http-check disable-on-404",
        args: "",
        doc: "A server that answers a check with 404 gets no new sessions but is not down.",
        example: "http-check disable-on-404",
        apply: |d, a| {
            d.back().disable_on_404 = true;
            let mark = ("http-check disable-on-404", "option httpchk", a.head());
            d.checks.needs_option.push(mark);
            a.finish()
        },
    },
    Keyword {
        name: "http-check send-state",
        args: "",
        doc: "Checks tell the server its state in the header X-Haproxy-Server-State.",
        example: "http-check send-state",
        apply: |d, a| {
            d.checks.send_state = true;
            let mark = ("http-check send-state", "option httpchk", a.head());
            d.checks.needs_option.push(mark);
            a.finish()
        },
    },
    Keyword {
        name: "tcp-check comment",
        args: "<text>",
        doc: "Names the rules that follow, for the message when one fails.",
        example: "tcp-check comment greeting",
        apply: |d, a| check_rules::comment(d, a, Script::Tcp),
    },
    Keyword {
        name: "tcp-check connect",
        args: "[default] [port <port>] [addr <ip>] [send-proxy] [linger] [comment <text>]",
        doc: "Opens a connection; the first rule if it stands anywhere.",
        example: "tcp-check connect port 5672",
        apply: |d, a| check_rules::connect(d, a, Script::Tcp),
    },
    Keyword {
        name: "tcp-check send",
        args: "<text> [comment <text>]",
        doc: "Sends a text.",
        example: "tcp-check send PING\\r\\n",
        apply: |d, a| check_rules::send(d, a, check_rules::Payload::Text),
    },
    Keyword {
        name: "tcp-check send-lf",
        args: "<format> [comment <text>]",
        doc: "Sends what a format gives.",
        example: "tcp-check send-lf \"EHLO %H\\r\\n\"",
        apply: |d, a| check_rules::send(d, a, check_rules::Payload::Format),
    },
    Keyword {
        name: "tcp-check send-binary",
        args: "<hex> [comment <text>]",
        doc: "Sends bytes given as hexadecimal digits.",
        example: "tcp-check send-binary 414d515000000901",
        apply: |d, a| check_rules::send(d, a, check_rules::Payload::Hex),
    },
    Keyword {
        name: "tcp-check send-binary-lf",
        args: "<format> [comment <text>]",
        doc: "Sends bytes whose hexadecimal digits a format gives.",
        example: "tcp-check send-binary-lf 50494e47%[int(0),hex]",
        apply: |d, a| check_rules::send(d, a, check_rules::Payload::HexFormat),
    },
    Keyword {
        name: "tcp-check expect",
        args: "[min-recv <n>] [comment <text>] [ok-status <s>] [error-status <s>] [tout-status <s>] \
               [on-success <format>] [on-error <format>] [!] { string | rstring | string-lf | \
               binary | rbinary | binary-lf } <pattern>",
        doc: "Waits for an answer that matches.",
        example: "tcp-check expect rbinary ^01",
        apply: |d, a| check_rules::expect(d, a, Script::Tcp),
    },
    Keyword {
        name: "http-check comment",
        args: "<text>",
        doc: "Names the rules that follow, for the message when one fails.",
        example: "http-check comment alarms",
        apply: |d, a| check_rules::comment(d, a, Script::Http),
    },
    Keyword {
        name: "http-check connect",
        args: "[default] [port <port>] [addr <ip>] [send-proxy] [linger] [comment <text>]",
        doc: "Opens a connection.",
        example: "http-check connect port 15672",
        apply: |d, a| check_rules::connect(d, a, Script::Http),
    },
    Keyword {
        name: "http-check send",
        args: "[meth <method>] [uri <uri> | uri-lf <format>] [ver <version>] [hdr <name> <format>]... \
               [body <text> | body-lf <format>] [comment <text>]",
        doc: "Sends a request.",
        example: "http-check send meth GET uri /health ver HTTP/1.1 hdr Host lb",
        apply: check_rules::http_send,
    },
    Keyword {
        name: "http-check expect",
        args: "[min-recv <n>] [comment <text>] [ok-status <s>] [error-status <s>] [tout-status <s>] \
               [on-success <format>] [on-error <format>] [!] { status | rstatus | string | rstring \
               | string-lf | hdr | fhdr } <pattern>",
        doc: "Waits for an answer that matches.",
        example: "http-check expect status 200-299",
        apply: |d, a| check_rules::expect(d, a, Script::Http),
    },
    Keyword {
        name: "tcp-check set-var",
        args: "(<name>) <expression>",
        doc: "Keeps a value in a variable of scope `check.`, which lives as long as the check; later \
              `send-lf`, `expect string-lf`, `on-success` and `on-error` may use it as \
              `%[var(check.name)]`. `set-var-fmt(<name>) <format>` takes a format, \
              `unset-var(<name>)` forgets the value.",
        example: "tcp-check set-var(check.port) int(5672)",
        apply: |d, a| check_rules::variable(d, a, Script::Tcp),
    },
    Keyword {
        name: "http-check set-var",
        args: "(<name>) <expression>",
        doc: "As `tcp-check set-var`; so are `http-check set-var-fmt(<name>)` and `http-check \
              unset-var(<name>)`.",
        example: "http-check set-var(check.node) str(rmq1)",
        apply: |d, a| check_rules::variable(d, a, Script::Http),
    },
];
