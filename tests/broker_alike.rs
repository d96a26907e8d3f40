//! The broker beside Debian's RabbitMQ: the same frames go to both, and what comes back is compared line by line.
//! Differences that are meant stand with their reasons in `alike/different_frames.json`; one that is gone fails too.

mod kit;

use kit::Daemon;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

#[test]
#[ignore = "needs rabbitmq-server and pika; tests/run installs them and runs this"]
fn frames_are_answered_as_by_rabbitmq() {
    kit::sandboxed(|| {
        let place = tempfile::tempdir().expect("a temporary directory");
        let python = std::env::var("EVENKEEL_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/alike/frames_alike.py");
        let mut command = Command::new(python);
        command.arg(script).arg(kit::binary()).arg(place.path());
        let mut run = Daemon::start("frames_alike.py", &mut command);
        let status = run.wait_exit(Duration::from_secs(600));
        assert!(status.success(), "{}", run.output());
    });
}
