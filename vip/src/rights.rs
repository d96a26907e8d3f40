//! What each of the three processes keeps of root's rights. The worker, which
//! reads bytes from the network, can never get more back; the guardian and the
//! helper keep their bounding set, because a new helper and a script of root's
//! are programs that start with it.

use caps::{CapSet, Capability, CapsHashSet};
use std::io;
use tracing::warn;

/// Sockets and links: what the worker and the guardian need.
const NETWORK: &[Capability] = &[Capability::CAP_NET_RAW, Capability::CAP_NET_ADMIN];
/// What running a script as its user, wherever it lies, and killing it needs.
const SCRIPTS: &[Capability] = &[
    Capability::CAP_SETUID,
    Capability::CAP_SETGID,
    Capability::CAP_KILL,
    Capability::CAP_DAC_OVERRIDE,
];

fn set(of: &[Capability]) -> CapsHashSet {
    of.iter().copied().collect()
}

/// Whether this process may do what the daemon does, asked before anything else fails for want
/// of it.
///
/// # Errors
/// When a needed capability is missing; the text says what to do.
pub fn enough() -> io::Result<()> {
    let had = caps::read(None, CapSet::Permitted).unwrap_or_default();
    let needed = set(NETWORK);
    let mut missing: Vec<String> = needed.difference(&had).map(ToString::to_string).collect();
    missing.sort();
    if missing.is_empty() {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::PermissionDenied,
        format!(
            "{} missing: start as root, or give the process these capabilities",
            missing.join(" and ")
        ),
    ))
}

/// The worker: sockets and links for ever, nothing else.
///
/// # Errors
/// When a needed capability is missing.
pub fn worker() -> io::Result<()> {
    enough()?;
    let keep = set(NETWORK);
    for capability in caps::all().difference(&keep) {
        // a capability that this kernel does not know cannot be dropped, nor used
        let _ = caps::drop(None, CapSet::Bounding, *capability);
    }
    lower(&keep);
    if let Err(error) = caps::clear(None, CapSet::Inheritable) {
        warn!(%error, "cannot drop inheritable capabilities");
    }
    Ok(())
}

/// A thread that only writes where somebody else has opened: nothing.
pub fn writer() {
    lower(&CapsHashSet::new());
}

/// A thread that only sends packets of its own making.
pub fn sender() {
    lower_to(&[Capability::CAP_NET_RAW]);
}

/// The guardian: sockets and links, to execute the worker's will.
pub fn guardian() {
    lower_to(NETWORK);
}

/// The helper: to run scripts as their users.
pub fn helper() {
    lower_to(SCRIPTS);
}

fn lower_to(of: &[Capability]) {
    let had = caps::read(None, CapSet::Permitted).unwrap_or_default();
    lower(&set(of).intersection(&had).copied().collect());
}

fn lower(keep: &CapsHashSet) {
    let dropped = caps::set(None, CapSet::Effective, keep)
        .and_then(|()| caps::set(None, CapSet::Permitted, keep));
    if let Err(error) = dropped {
        warn!(%error, "cannot drop capabilities");
    }
}
