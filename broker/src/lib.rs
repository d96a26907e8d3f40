//! Evenkeel's AMQP 0-9-1 broker.
//!
//! [`core`] is the engine, free of I/O. Around it: the core thread with its sockets, the store, the management
//! interface and the command line.

mod client;
pub mod core;
mod core_thread;
pub mod handle;
mod proxy_protocol;
pub mod run;
pub mod store;
mod tls;
mod verifier;

pub use core_thread::Seat;

use crate::core::Core;
use crate::core::journal::Volatile;
use crate::core::metadata::Command;
use crate::core::settings::Settings;
use std::process::ExitCode;

/// `evenkeel broker`: serves until it is told to stop.
pub fn command(args: Vec<String>) -> ExitCode {
    let _ = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .try_init();
    let mut listens = Vec::new();
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        let address = match arg.as_str() {
            "--listen" => args.next().and_then(|address| address.parse().ok()),
            _ => None,
        };
        let Some(address) = address else {
            eprintln!("evenkeel broker: usage: evenkeel broker [--listen ADDRESS:PORT]");
            return ExitCode::from(64);
        };
        listens.push(run::Listen {
            address,
            tls: None,
            proxy_protocol: false,
        });
    }
    if listens.is_empty() {
        let address = std::net::SocketAddr::from(([0, 0, 0, 0], 5672));
        listens.push(run::Listen {
            address,
            tls: None,
            proxy_protocol: false,
        });
    }
    match serve(&listens) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("evenkeel broker: {error}");
            ExitCode::from(69)
        }
    }
}

fn serve(listens: &[run::Listen]) -> std::io::Result<()> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| std::io::Error::other(error.to_string()))?;
    let mut core = Core::new(Settings::default(), Box::new(Volatile), seed);
    first_start(&mut core);
    let running = run::start(Seat::new()?, core, listens)?;
    for address in &running.addresses {
        println!("listening on {address}");
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        std::io::Result::Ok(())
    })?;
    running.stop();
    Ok(())
}

/// What a node without any data begins with: the default vhost, and its user with all rights there.
pub fn first_start(core: &mut Core) {
    let settings = core.settings.clone();
    let mut salt = [0; 16];
    let _ = getrandom::fill(&mut salt);
    let password = crate::core::access::Password::hash(settings.default_pass.as_bytes(), salt);
    let (vhost, user) = (settings.default_vhost, settings.default_user);
    core.execute(Command::PutVhost(crate::core::vhost::VhostSpec {
        name: vhost.clone(),
        ..Default::default()
    }));
    core.execute(Command::PutUser {
        name: user.clone(),
        password_hash: password.export_hash(),
        hashing_algorithm: password.export_algorithm().to_owned(),
        tags: vec!["administrator".to_owned()],
    });
    let all = || ".*".to_owned();
    core.metadata.access.loopback_users.insert(user.clone());
    core.execute(Command::SetPermission {
        user,
        vhost,
        configure: all(),
        write: all(),
        read: all(),
    });
}

/// Entry point `ctl`, with the arguments behind the program's name.
pub fn ctl(_args: Vec<String>) -> ExitCode {
    eprintln!("evenkeel broker ctl: not built yet");
    ExitCode::from(69)
}

/// Entry point `diagnostics`, with the arguments behind the program's name.
pub fn diagnostics(_args: Vec<String>) -> ExitCode {
    eprintln!("evenkeel broker diagnostics: not built yet");
    ExitCode::from(69)
}

/// Entry point `plugins`, with the arguments behind the program's name.
pub fn plugins(_args: Vec<String>) -> ExitCode {
    eprintln!("evenkeel broker plugins: not built yet");
    ExitCode::from(69)
}

/// Entry point `server`, with the arguments behind the program's name.
pub fn server(_args: Vec<String>) -> ExitCode {
    eprintln!("evenkeel broker server: not built yet");
    ExitCode::from(69)
}
