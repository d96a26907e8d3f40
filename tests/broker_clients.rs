//! The broker as other people's clients see it: each through the tutorials' patterns and the error paths.

mod kit;

use kit::Daemon;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

/// A broker with a directory of its own.
struct Broker {
    port: String,
    _daemon: Daemon,
    _directory: tempfile::TempDir,
}

fn broker() -> Broker {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (daemon, port) = kit::node::start(directory.path());
    Broker {
        port: port.to_string(),
        _daemon: daemon,
        _directory: directory,
    }
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/clients")
        .join(name)
}

/// Runs a client to its end within the limit; panics with its output when it fails.
fn succeeds(name: &str, command: &mut Command) -> String {
    let mut client = Daemon::start(name, command);
    let status = client.wait_exit(LIMIT);
    assert!(status.success(), "{name}: {status}\n{}", client.output());
    client.output()
}

#[test]
#[ignore = "needs pika; tests/run installs it and runs this"]
fn pika_runs_the_tutorials() {
    let broker = broker();
    let output = succeeds(
        "pika",
        Command::new(kit::peers::python())
            .arg(script("tutorials.py"))
            .arg(&broker.port),
    );
    assert_eq!(output.matches("ok ").count(), 10, "{output}");
}

#[test]
#[ignore = "needs celery; tests/run installs it and runs this"]
fn a_celery_worker_runs_tasks_and_kombu_its_queue() {
    let broker = broker();
    let output = succeeds(
        "celery",
        Command::new(kit::peers::python())
            .arg(script("celery_tasks.py"))
            .arg(&broker.port),
    );
    assert!(
        output.contains("ok celery") && output.contains("ok kombu"),
        "{output}"
    );
}

#[test]
#[ignore = "needs amqplib for node; tests/run installs it and runs this"]
fn amqplib_runs_the_tutorials() {
    let broker = broker();
    let modules = std::env::var("EVENKEEL_NODE_MODULES").unwrap_or_default();
    let output = succeeds(
        "amqplib",
        Command::new("node")
            .arg(script("tutorials.js"))
            .arg(&broker.port)
            .env("NODE_PATH", modules),
    );
    assert!(output.contains("ok amqplib"), "{output}");
}

#[test]
#[ignore = "needs librabbitmq-client-java; tests/run installs it and runs this"]
fn the_java_client_publishes_confirms_and_consumes() {
    let broker = broker();
    let classes = tempfile::tempdir().expect("a temporary directory");
    let path = "/usr/share/java/amqp-client.jar:/usr/share/java/slf4j-api.jar";
    succeeds(
        "javac",
        Command::new("javac")
            .args(["-cp", path, "-d"])
            .arg(classes.path())
            .arg(script("Tutorials.java")),
    );
    let path = format!("{path}:{}", classes.path().display());
    let output = succeeds(
        "java",
        Command::new("java").args(["-cp", &path, "Tutorials", &broker.port]),
    );
    assert!(output.contains("ok java"), "{output}");
}

#[test]
#[ignore = "needs ruby-bunny; tests/run installs it and runs this"]
fn bunny_runs_the_tutorials() {
    let broker = broker();
    let output = succeeds(
        "bunny",
        Command::new("ruby")
            .arg(script("tutorials.rb"))
            .arg(&broker.port),
    );
    assert!(output.contains("ok bunny"), "{output}");
}

#[test]
#[ignore = "needs php-amqplib; tests/run installs it and runs this"]
fn php_amqplib_runs_the_tutorials() {
    let broker = broker();
    let output = succeeds(
        "php-amqplib",
        Command::new("php")
            .arg(script("tutorials.php"))
            .arg(&broker.port),
    );
    assert!(output.contains("ok php"), "{output}");
}

#[test]
#[ignore = "needs golang-github-rabbitmq-amqp091-go-dev; tests/run installs it and runs this"]
fn the_go_client_runs_the_tutorials() {
    let broker = broker();
    let place = tempfile::tempdir().expect("a temporary directory");
    let program = place.path().join("tutorials");
    succeeds(
        "go build",
        Command::new("go")
            .args(["build", "-o"])
            .arg(&program)
            .arg(script("tutorials.go"))
            .env("GO111MODULE", "off")
            .env("GOPATH", "/usr/share/gocode")
            .env("GOCACHE", place.path().join("cache")),
    );
    let output = succeeds("amqp091-go", Command::new(&program).arg(&broker.port));
    assert!(output.contains("ok go"), "{output}");
}

#[test]
#[ignore = "needs amqp-tools; tests/run installs it and runs this"]
fn the_command_line_tools_publish_and_get() {
    let broker = broker();
    let tool = |name: &str, args: &[&str]| {
        let server = format!("--port={}", broker.port);
        succeeds(
            name,
            Command::new(name)
                .args(["--server=127.0.0.1", &server])
                .args(args),
        )
    };
    assert_eq!(tool("amqp-declare-queue", &["-d", "-q", "tools"]), "tools");
    tool(
        "amqp-publish",
        &["-r", "tools", "-p", "-b", "from the shell"],
    );
    assert_eq!(tool("amqp-get", &["-q", "tools"]), "from the shell");
    tool("amqp-publish", &["-r", "tools", "-b", "again"]);
    assert_eq!(
        tool("amqp-consume", &["-q", "tools", "-c", "1", "cat"]),
        "again"
    );
    assert_eq!(tool("amqp-delete-queue", &["-q", "tools"]), "0");
}
