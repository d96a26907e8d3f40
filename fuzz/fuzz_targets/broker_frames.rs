//! Any bytes from a client that has logged in: no panic, and nothing of it left when it goes.
#![no_main]

use broker::core::Core;
use broker::core::access::Password;
use broker::core::connection::Peer;
use broker::core::journal::Volatile;
use broker::core::metadata::Command;
use broker::core::settings::Settings;
use broker::core::vhost::VhostSpec;
use libfuzzer_sys::fuzz_target;

include!("broker_session.rs");

fuzz_target!(|bytes: &[u8]| session(bytes));
