//! The broker beside Debian's RabbitMQ: the same frames, requests and command lines go to both, and what comes back is
//! compared. Differences that are meant stand with their reasons in `alike/different_*.json`; one that is gone fails, too.

mod kit;

use kit::Daemon;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// One comparison at a time: beside another RabbitMQ tells its statistics late.
static TURN: Mutex<()> = Mutex::new(());

fn alike(kind: &str) {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    kit::sandboxed(|| {
        let place = tempfile::tempdir().expect("a temporary directory");
        let python = kit::peers::python();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/alike/compare.py");
        let mut command = Command::new(python);
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        command.arg(script).arg(kind);
        command.arg(kit::binary()).arg(place.path());
        let mut run = Daemon::start("compare.py", &mut command);
        let status = run.wait_exit(Duration::from_secs(1200));
        assert!(status.success(), "{}", run.output());
    });
}

#[test]
#[ignore = "needs rabbitmq-server and pika; tests/run installs them and runs this"]
fn frames_are_answered_as_by_rabbitmq() {
    alike("frames");
}

#[test]
#[ignore = "needs rabbitmq-server and pika; tests/run installs them and runs this"]
fn the_management_api_has_all_that_rabbitmqs_has() {
    alike("api");
}

#[test]
#[ignore = "needs rabbitmq-server and pika; tests/run installs them and runs this"]
fn the_tools_print_what_rabbitmqs_print() {
    alike("tools");
}
