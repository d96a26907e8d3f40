//! The command line as scripts use it: words, columns, formats, exit codes, and the way to the node.

mod kit;

use kit::Daemon;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

struct Node {
    daemon: Daemon,
    directory: tempfile::TempDir,
}

/// What a tool said: standard output, standard error, exit code.
type Said = (String, String, i32);

impl Node {
    fn start() -> Node {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let place = directory.path().display().to_string();
        let mut daemon = Daemon::evenkeel(&[
            "broker",
            "--listen",
            "127.0.0.1:0",
            "--management",
            "none",
            "--prometheus",
            "none",
            "--node",
            "rabbit@test",
            "--data-dir",
            &place,
            "--run-dir",
            &place,
        ]);
        daemon.wait_line("the node is up", LIMIT);
        let binary = kit::binary();
        for link in ["rabbitmqctl", "rabbitmq-diagnostics", "rabbitmq-plugins"] {
            std::os::unix::fs::symlink(&binary, directory.path().join(link)).expect("a link");
        }
        Node { daemon, directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn tool(&self, link: &str, args: &[&str]) -> Said {
        let output = Command::new(self.path(link))
            .args(args)
            .env("EVENKEEL_RUN_DIR", self.directory.path())
            .env("RABBITMQ_NODENAME", "rabbit@test")
            .output()
            .expect("the link runs");
        (
            String::from_utf8_lossy(&output.stdout).into_owned(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
            output.status.code().unwrap_or(-1),
        )
    }

    fn ctl(&self, args: &[&str]) -> Said {
        self.tool("rabbitmqctl", args)
    }

    /// What a successful command printed.
    fn good(&self, args: &[&str]) -> String {
        let (out, err, code) = self.ctl(args);
        assert_eq!(code, 0, "{args:?}: {out}{err}");
        out
    }

    /// Exit code and standard error of a command that fails.
    fn bad(&self, args: &[&str]) -> (i32, String) {
        let (_, err, code) = self.ctl(args);
        (code, err)
    }
}

#[test]
fn users_are_kept_in_rabbitmqctls_words_and_exit_codes() {
    let n = Node::start();
    let done = "Done. Don't forget to grant the user permissions to some virtual hosts! See 'rabbitmqctl help set_permissions' to learn more.\n";
    assert_eq!(
        n.good(&["add_user", "alice", "secret"]),
        format!("Adding user \"alice\" ...\n{done}")
    );
    assert_eq!(
        n.bad(&["add_user", "alice", "secret"]),
        (70, "Error:\nUser \"alice\" already exists\n".into())
    );
    let text = "Setting tags for user \"alice\" to [management, monitoring] ...\n";
    assert_eq!(
        n.good(&["set_user_tags", "alice", "management", "monitoring"]),
        text
    );
    assert_eq!(
        n.good(&["-q", "list_users"]),
        "user\ttags\nalice\t[management, monitoring]\nguest\t[administrator]\n"
    );
    assert_eq!(
        n.good(&["-s", "list_users"]),
        "alice\t[management, monitoring]\nguest\t[administrator]\n"
    );
    assert_eq!(
        n.good(&["authenticate_user", "alice", "secret"]),
        "Authenticating user \"alice\" ...\nSuccess\n"
    );
    let text = "Error:\nError: failed to authenticate user \"alice\"\nuser 'alice' - invalid credentials\n";
    assert_eq!(
        n.bad(&["authenticate_user", "alice", "x"]),
        (65, text.into())
    );
    n.good(&["set_permissions", "-p", "/", "alice", ".*", "^a", ""]);
    let text =
        "Listing permissions for user \"alice\" ...\nvhost\tconfigure\twrite\tread\n/\t.*\t^a\t\n";
    assert_eq!(n.good(&["list_user_permissions", "alice"]), text);
    assert_eq!(
        n.bad(&["set_permissions", "-p", "nov", "alice", "", "", ""]),
        (69, "Error:\nVirtual host nov does not exist\n".into())
    );
    assert_eq!(
        n.bad(&["delete_user", "bob"]),
        (67, "Error:\nUser \"bob\" does not exist\n".into())
    );
}

#[test]
fn waiting_needs_a_process_and_passwords_may_come_hashed() {
    let n = Node::start();
    let file = n.path("rabbit@test.pid").display().to_string();
    let out = n.good(&["wait", &file, "--timeout", "20"]);
    assert!(out.contains("\npid is "), "{out}");
    let missing = n.bad(&["wait", "/nonexistent/pid", "--timeout", "0.1"]);
    let text = "operation wait on node rabbit@test timed out. Timeout value used: 100";
    assert!(missing.0 == 75 && missing.1.contains(text), "{missing:?}");
    let none = n.bad(&["wait"]);
    assert!(none.1.contains("No pid or pidfile specified"), "{none:?}");
    assert_eq!(none.0, 64);
    // salt 908dc60a and the word test12, from RabbitMQ's documentation
    let hash = "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR";
    n.good(&["add_user", "known", hash, "--pre-hashed-password"]);
    n.good(&["authenticate_user", "known", "test12"]);
    assert_eq!(
        n.bad(&["add_user", "x", "zzz", "--pre-hashed-password"]).0,
        65
    );
    let missing = n.bad(&["list_topic_permissions", "-p", "none"]);
    assert!(
        missing.0 == 65 && missing.1.contains("'none' does not exist"),
        "{missing:?}"
    );
    assert_eq!(
        n.good(&["-q", "list_vhost_limits", "--formatter", "json"]),
        "[]\n"
    );
    let passed = "{\"result\":\"ok\"}\n";
    let (out, ..) = n.tool(
        "rabbitmq-diagnostics",
        &["-q", "check_alarms", "--formatter", "json"],
    );
    assert_eq!(out, passed);
}

#[test]
fn lists_have_columns_and_formats() {
    let n = Node::start();
    let definitions = n.path("d.json");
    let text =
        r#"{"queues":[{"name":"cq","vhost":"/","durable":true,"arguments":{"x-max-length":10}}]}"#;
    std::fs::write(&definitions, text).expect("writes");
    n.good(&["import_definitions", definitions.to_str().expect("UTF-8")]);
    let out = n.good(&["list_queues"]);
    assert_eq!(
        out,
        "Timeout: 60.0 seconds ...\nListing queues for vhost / ...\nname\tmessages\ncq\t0\n"
    );
    let columns = [
        "-q",
        "list_queues",
        "name",
        "arguments",
        "type",
        "slave_pids",
        "state",
    ];
    assert_eq!(
        n.good(&columns),
        "name\targuments\ttype\tslave_pids\tstate\ncq\t[{\"x-max-length\",10}]\tclassic\t\trunning\n"
    );
    let json = "[\n{\"name\":\"cq\",\"arguments\":[[\"x-max-length\",\"long\",10]]}\n]\n";
    assert_eq!(
        n.good(&["list_queues", "name", "arguments", "--formatter", "json"]),
        json
    );
    let csv = "\"name\",\"arguments\"\n\"cq\",\"[{\"\"x-max-length\"\",10}]\"\n";
    assert_eq!(
        n.good(&["list_queues", "name", "arguments", "--formatter", "csv"]),
        csv
    );
    let pid = n.good(&["-s", "list_queues", "pid"]);
    assert!(pid.starts_with("<rabbit@test."), "{pid}");
    let (code, err) = n.bad(&["list_queues", "foo"]);
    assert_eq!(code, 64);
    assert!(err.starts_with("Error (argument validation): Info key(s) foo are not supported\nArguments given:\n\tlist_queues foo\n"), "{err}");
    assert_eq!(
        n.good(&["list_bindings", "--formatter", "json", "-p", "nov"]),
        "[]\n"
    );
    assert_eq!(
        n.good(&["-q", "delete_queue", "cq"]),
        "Queue was successfully deleted with 0 ready messages\n"
    );
    assert_eq!(
        n.bad(&["purge_queue", "cq"]),
        (69, "Error:\nnot_found\n".into())
    );
}

#[test]
fn policies_are_checked_with_the_known_texts() {
    let n = Node::start();
    n.good(&[
        "set_policy",
        "p1",
        "^q",
        r#"{"max-length": 5}"#,
        "--priority",
        "3",
        "--apply-to",
        "queues",
    ]);
    let out = n.good(&["-q", "list_policies"]);
    assert_eq!(
        out,
        "vhost\tname\tpattern\tapply-to\tdefinition\tpriority\n/\tp1\t^q\tqueues\t{\"max-length\":5}\t3\n"
    );
    n.good(&[
        "set_policy",
        "ha",
        "^(?!amq\\.).*",
        r#"{"ha-mode":"exactly","ha-params":2}"#,
    ]);
    let text = "Error:\nValidation failed\n\nha-mode=\"exactly\" takes an integer, none given\n\n";
    assert_eq!(
        n.bad(&["set_policy", "x", "", r#"{"ha-mode":"exactly"}"#]),
        (69, text.into())
    );
    assert_eq!(
        n.bad(&["set_policy", "x", "", "{bad"]),
        (69, "Error:\nJSON decoding error. Reason: badarg\n".into())
    );
    assert_eq!(
        n.bad(&["clear_policy", "nope"]),
        (69, "Error:\nParameter does not exist\n".into())
    );
}

#[test]
fn the_broker_stops_and_starts_inside_of_its_process() {
    let n = Node::start();
    let (code, err) = n.bad(&["join_cluster", "rabbit@other"]);
    assert_eq!(code, 64);
    assert!(
        err.starts_with(
            "Error: this command requires the 'rabbit' app to be stopped on the target node."
        ),
        "{err}"
    );
    n.good(&["add_vhost", "v"]);
    n.good(&["stop_app"]);
    let (code, err) = n.bad(&["list_queues"]);
    assert_eq!(code, 64);
    assert!(
        err.contains("requires the 'rabbit' app to be running"),
        "{err}"
    );
    assert_eq!(n.tool("rabbitmq-diagnostics", &["check_running"]).2, 69);
    for check in [
        "check_alarms",
        "check_port_connectivity",
        "check_virtual_hosts",
    ] {
        let (_, err, code) = n.tool("rabbitmq-diagnostics", &[check]);
        assert_eq!(code, 64, "{check}: {err}");
    }
    let (code, err) = n.bad(&["join_cluster", "rabbit@other"]);
    assert_eq!(code, 69);
    assert!(err.contains("clustering is not there yet"), "{err}");
    n.good(&["reset"]);
    n.good(&["start_app"]);
    n.good(&["await_startup"]);
    assert_eq!(n.good(&["-s", "list_vhosts"]), "/\n");
    let status = n.good(&["cluster_status", "--formatter", "json"]);
    let status: serde_json::Value = serde_json::from_str(&status).expect("JSON");
    assert_eq!(status["running_nodes"], serde_json::json!(["rabbit@test"]));
    assert_eq!(status["partitions"], serde_json::json!({}));
}

#[test]
fn what_is_not_there_says_what_is() {
    let n = Node::start();
    let (code, err) = n.bad(&["eval", "rabbit_amqqueue:list()."]);
    assert_eq!(code, 69);
    assert!(err.contains("list_queues"), "{err}");
    let (code, err) = n.bad(&["lst_queues"]);
    assert_eq!(code, 64);
    assert!(err.contains("Did you mean 'list_queues'?"), "{err}");
    let (code, err) = n.bad(&["-n", "nobody@localhost", "list_queues"]);
    assert_eq!(code, 69);
    assert!(
        err.starts_with("Error: unable to perform an operation on node 'nobody@localhost'."),
        "{err}"
    );
    assert_eq!(n.bad(&["add_user"]).0, 64);
    assert_eq!(n.bad(&["forget_cluster_node", "x@y"]).0, 69);
    assert_eq!(n.good(&["version"]), "3.10.8\n");
}

#[test]
fn the_log_says_more_or_less_while_the_node_runs() {
    let mut n = Node::start();
    let line = n.daemon.wait_line("listening on 127.0.0.1:", LIMIT);
    let port = line
        .rsplit(':')
        .next()
        .expect("a port ends the line")
        .trim();
    let knock = || {
        use std::io::{Read, Write};
        let mut stream =
            std::net::TcpStream::connect(format!("127.0.0.1:{port}")).expect("it listens");
        stream
            .write_all(b"GET / HTTP/1.0\r\n\r\n")
            .expect("it reads");
        let _ = stream.read_to_end(&mut Vec::new());
    };
    let warned = |n: &Node| n.daemon.output().matches("bad protocol header").count();
    knock();
    kit::wait_until("the warning", LIMIT, || warned(&n) == 1);
    n.good(&["set_log_level", "none"]);
    knock();
    n.good(&["set_log_level", "warning"]);
    knock();
    kit::wait_until("the warning", LIMIT, || warned(&n) == 2);
    let (code, err) = n.bad(&["set_log_level", "loud"]);
    assert_eq!(code, 69);
    assert!(err.contains("level loud is not supported"), "{err}");
}

#[test]
fn diagnostics_and_plugins_answer_under_their_names() {
    let n = Node::start();
    let ping = n.tool("rabbitmq-diagnostics", &["-q", "ping"]);
    assert_eq!(ping, ("Ping succeeded\n".into(), String::new(), 0));
    let (out, _, code) = n.tool("rabbitmq-diagnostics", &["-q", "check_port_connectivity"]);
    assert_eq!(code, 0);
    assert!(out.starts_with("Successfully connected to ports "), "{out}");
    assert_eq!(
        n.tool("rabbitmq-diagnostics", &["check_port_listener", "9"])
            .2,
        69
    );
    assert_eq!(
        n.tool("rabbitmq-diagnostics", &["check_protocol_listener", "amqp"])
            .2,
        0
    );
    assert_eq!(n.tool("rabbitmq-diagnostics", &["check_local_alarms"]).2, 0);
    let (out, _, _) = n.tool("rabbitmq-plugins", &["list", "-E"]);
    assert!(out.contains("[E*] rabbitmq_management "), "{out}");
    assert_eq!(
        n.tool("rabbitmq-plugins", &["is_enabled", "rabbitmq_management"])
            .2,
        0
    );
    assert_eq!(
        n.tool("rabbitmq-plugins", &["is_enabled", "rabbitmq_mqtt"])
            .2,
        69
    );
}

#[test]
fn only_who_can_read_the_cookie_is_served() {
    let n = Node::start();
    let mode = |name: &str| {
        let meta = std::fs::metadata(n.path(name)).expect("is there");
        meta.permissions().mode() & 0o777
    };
    assert_eq!(
        (mode("rabbit@test.cookie"), mode("rabbit@test.sock")),
        (0o600, 0o600)
    );
    std::fs::write(n.path("rabbit@test.cookie"), "WRONG").expect("writes");
    let (code, err) = n.bad(&["list_users"]);
    assert_eq!(code, 69);
    assert!(err.contains("does not accept the cookie in"), "{err}");
    std::fs::remove_file(n.path("rabbit@test.cookie")).expect("is there");
    let (code, err) = n.bad(&["list_users"]);
    assert_eq!(code, 69);
    assert!(err.contains("the node runs, but its cookie"), "{err}");
}

#[test]
fn a_limit_below_what_is_in_use_sets_the_alarm_and_a_higher_one_clears_it() {
    let n = Node::start();
    let alarms = || n.tool("rabbitmq-diagnostics", &["check_local_alarms"]).2;
    let becomes = |code: i32| {
        let end = std::time::Instant::now() + LIMIT;
        while alarms() != code {
            assert!(
                std::time::Instant::now() < end,
                "the alarm check should end with {code}"
            );
        }
    };
    n.good(&["set_vm_memory_high_watermark", "absolute", "1MB"]);
    becomes(69);
    n.good(&["set_vm_memory_high_watermark", "0.9"]);
    becomes(0);
    n.good(&["set_disk_free_limit", "1000TB"]);
    becomes(69);
    n.good(&["set_disk_free_limit", "1MB"]);
    becomes(0);
}

#[test]
fn stop_ends_the_node_and_takes_its_socket_along() {
    let mut n = Node::start();
    assert_eq!(
        n.good(&["stop"]),
        "Stopping and halting node rabbit@test ...\n"
    );
    let status = n.daemon.wait_exit(LIMIT);
    assert!(status.success(), "{status}");
    assert!(!n.path("rabbit@test.sock").exists());
    assert_eq!(n.bad(&["list_users"]).0, 69);
}
