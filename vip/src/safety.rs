//! What the file names and the host has or has not: interfaces, programs of
//! scripts, and who can change them. `enable_script_security`: a script that runs as root must not be one that
//! others than root can change. Names the part of the path that is at fault.

use crate::helper;
use crate::plan;
use crate::vmac;
use conf::diagnostic::{Diagnostic, Severity};
use conf::vip::model::{Command, Config, Instance, VirtualAddress};
use nix::net::if_::if_nametoindex;
use std::net::{IpAddr, UdpSocket};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// An error per script that root would run and others can change.
pub fn findings(config: &Config) -> Vec<Diagnostic> {
    if !config.global.script_security {
        return Vec::new();
    }
    let mut found = Vec::new();
    for command in commands(config) {
        let user = command.user.as_ref().or(config.global.script_user.as_ref());
        let root = user.is_none_or(|u| u.user == "root" || u.user == "0");
        let Some(program) = command.words.first().filter(|_| root) else {
            continue;
        };
        if let Some((part, why)) = weak_part(Path::new(program)) {
            let line = format!(
                "script `{}` would run as root, but {} {why}; `chown root` and `chmod go-w` it, or name another user (`script_user`)",
                command.line,
                part.display()
            );
            push(
                &mut found,
                Diagnostic::error("E2012", command.place.0, line),
            );
        }
    }
    found
}

/// A sentence is said once, at the first place that it fits.
fn push(found: &mut Vec<Diagnostic>, finding: Diagnostic) {
    if found.iter().all(|f| f.message != finding.message) {
        found.push(finding);
    }
}

/// A warning per interface, user and program that this host does not have (now).
pub fn absences(config: &Config) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    interfaces(config, &mut found);
    sources(config, &mut found);
    own_addresses(config, &mut found);
    users(config, &mut found);
    programs(config, &mut found);
    found
}

fn interfaces(config: &Config, found: &mut Vec<Diagnostic>) {
    let missing = |name: &String| if_nametoindex(name.as_str()).is_err();
    for instance in &config.instances {
        let places = plan::places(instance);
        for name in [&instance.interface].into_iter().chain(&places) {
            if missing(name) {
                let line = format!(
                    "{}: interface {name} does not exist on this host; the instance stays in FAULT until it does",
                    instance.name
                );
                push(found, Diagnostic::warning("E2011", instance.place.0, line));
            }
        }
    }
    let virtuals = config.instances.iter().filter(|i| i.vmac.is_some());
    let made: Vec<String> = virtuals.map(vmac::name).collect();
    let members = config.instances.iter().flat_map(|i| &i.tracks.interfaces);
    let groups = config.groups.iter().flat_map(|g| &g.tracks.interfaces);
    for track in members.chain(groups) {
        let name = &track.name;
        if missing(name) && !made.contains(name) {
            let line = format!(
                "the tracked interface {name} does not exist on this host; it counts as down until it does"
            );
            push(found, Diagnostic::warning("E2011", track.place.0, line));
        }
    }
}

/// A link-local address is on any interface: of such ones nothing is known here.
fn sources(config: &Config, found: &mut Vec<Diagnostic>) {
    let local = |a: IpAddr| matches!(a, IpAddr::V6(v6) if v6.is_unicast_link_local());
    let missing = |a: IpAddr| {
        let bound = UdpSocket::bind((a, 0));
        bound.is_err_and(|error| error.kind() == io::ErrorKind::AddrNotAvailable)
    };
    for instance in &config.instances {
        let source = plan::needed_source(instance);
        if let Some(source) = source.filter(|a| !local(*a) && missing(*a)) {
            let line = format!(
                "{}: this host does not have the source address {source}; the instance stays in FAULT until it does",
                instance.name
            );
            push(found, Diagnostic::warning("E2011", instance.place.0, line));
        }
    }
}

fn users(config: &Config, found: &mut Vec<Diagnostic>) {
    let named = commands(config).into_iter();
    let named = named.filter_map(|c| Some((c.user.as_ref()?, Some(c.place.0))));
    let global = config.global.script_user.iter().map(|user| (user, None));
    for (user, place) in named.chain(global) {
        if let Err(error) = helper::identity(&user.user, user.group.as_deref()) {
            let line = format!("{error} on this host; its scripts count as failed until there is");
            let finding = Diagnostic {
                severity: Severity::Warning,
                ..Diagnostic::general("E2011", line)
            };
            push(
                found,
                place.into_iter().fold(finding, |f, span| f.at(span, "")),
            );
        }
    }
}

fn programs(config: &Config, found: &mut Vec<Diagnostic>) {
    for command in commands(config) {
        let Some(program) = command.words.first().map(Path::new) else {
            continue;
        };
        if command.line.contains(['$', '`', '|', ';', '&', '<', '>']) {
            continue;
        }
        let path = match program.is_absolute() || program.exists() {
            true => Some(program.to_owned()).filter(|p| p.exists()),
            false => search(program),
        };
        let (name, script) = (program.display(), &command.line);
        let line = match path {
            None => format!(
                "script `{script}`: there is no program {name} on this host; it cannot run until there is"
            ),
            Some(path) if !executable(&path) => format!(
                "script `{script}`: {name} is not executable on this host (`chmod +x` makes it so); it cannot run"
            ),
            Some(_) => continue,
        };
        push(found, Diagnostic::warning("E2011", command.place.0, line));
    }
}

fn executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.mode() & 0o111 != 0)
}

/// A host whose only address is a virtual one cannot speak, and loses it as backup.
fn own_addresses(config: &Config, found: &mut Vec<Diagnostic>) {
    let all = nix::ifaddrs::getifaddrs().into_iter().flatten();
    let all: Vec<(String, IpAddr)> = all
        .filter_map(|a| {
            let address = a.address?.as_sockaddr_in()?.ip();
            Some((a.interface_name, address.into()))
        })
        .collect();
    for instance in config.instances.iter().filter(|i| i.priority.0 != 255) {
        let here = all.iter().filter(|(name, _)| *name == instance.interface);
        let here: Vec<IpAddr> = here.map(|(_, address)| *address).collect();
        let Some(address) = only_virtual(instance, &here) else {
            continue;
        };
        let line = format!(
            "{}: {} is the only IPv4 address of {} on this host, which needs another one to send from; \
             a host that is not master loses its virtual addresses",
            instance.name, address.address, instance.interface
        );
        push(found, Diagnostic::warning("E2011", address.place.0, line));
    }
}

/// The first virtual address where there are no others.
fn only_virtual<'c>(instance: &'c Instance, here: &[IpAddr]) -> Option<&'c VirtualAddress> {
    let all = || instance.addresses.iter().chain(&instance.excluded);
    let virtuals: Vec<IpAddr> = all().map(|a| a.address).collect();
    if instance.source.is_some() || here.iter().any(|a| !virtuals.contains(a)) {
        return None;
    }
    all().find(|a| here.contains(&a.address))
}

fn commands(config: &Config) -> Vec<&Command> {
    let mut all: Vec<&Command> = config.scripts.iter().map(|s| &s.command).collect();
    for n in config
        .instances
        .iter()
        .map(|i| &i.notify)
        .chain(config.groups.iter().map(|g| &g.notify))
    {
        let each = [
            &n.any,
            &n.master,
            &n.backup,
            &n.fault,
            &n.stop,
            &n.deleted_command,
            &n.master_rx_lower,
        ];
        all.extend(each.into_iter().flatten());
    }
    let fifos = config.global.notify_fifos.iter();
    all.extend(fifos.filter_map(|f| f.script.as_ref()));
    all.extend(&config.global.startup_script);
    all.extend(&config.global.shutdown_script);
    all
}

/// The first part of the path that others than root can change, and how.
fn weak_part(program: &Path) -> Option<(PathBuf, &'static str)> {
    let path = if program.is_absolute() {
        program.to_owned()
    } else {
        search(program)?
    };
    let path = fs::canonicalize(&path).ok()?;
    let parts: Vec<&Path> = path.ancestors().collect();
    for part in parts.into_iter().rev() {
        let meta = fs::metadata(part).ok()?;
        let sticky = meta.is_dir() && meta.mode() & 0o1000 != 0;
        if meta.uid() != 0 {
            return Some((part.to_owned(), "belongs to another user than root"));
        }
        if meta.mode() & 0o002 != 0 && !sticky {
            return Some((part.to_owned(), "can be written by everybody"));
        }
        if meta.mode() & 0o020 != 0 && meta.gid() != 0 && !sticky {
            return Some((
                part.to_owned(),
                "can be written by a group other than root's",
            ));
        }
    }
    None
}

fn search(program: &Path) -> Option<PathBuf> {
    let folders = [
        "/usr/local/sbin",
        "/usr/local/bin",
        "/usr/sbin",
        "/usr/bin",
        "/sbin",
        "/bin",
    ];
    folders
        .iter()
        .map(|f| Path::new(f).join(program))
        .find(|p| p.exists())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_part_of_the_path_that_others_can_change_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let open = folder.path().join("open");
        fs::create_dir(&open).expect("writable");
        let script = open.join("check.sh");
        fs::write(&script, "#!/bin/sh\n").expect("writable");
        fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).expect("own folder");
        if nix::unistd::geteuid().is_root() {
            let (part, why) = weak_part(&script).expect("the folder is open");
            assert_eq!(part, open.canonicalize().expect("exists"));
            assert_eq!(why, "can be written by everybody");
        }
    }

    #[test]
    fn what_this_host_lacks_is_told_once_where_it_stands() {
        let text = "vrrp_instance V {\n interface nosuch0\n virtual_router_id 5\n use_vmac made0\n \
                    track_interface {\n nosuch1\n made0\n nosuch1 weight 3\n lo\n }\n \
                    mcast_src_ip 192.0.2.77\n track_src_ip\n \
                    virtual_ipaddress {\n 192.0.2.9\n }\n notify /no/such\n}\n";
        let lenient = conf::vip::Options {
            lenient: true,
            ..conf::vip::Options::default()
        };
        let (config, report) = conf::vip::load_str("x", text, &lenient);
        let config = config.unwrap_or_else(|| panic!("{}", report.human(false)));
        let found = absences(&config);
        let told: Vec<&str> = found.iter().map(|f| f.message.as_str()).collect();
        let names = ["nosuch0", "nosuch1", "192.0.2.77", "/no/such"];
        assert_eq!(told.len(), names.len(), "{told:?}");
        for (told, name) in told.iter().zip(names) {
            assert!(told.contains(name), "{told}");
        }
        assert!(found.iter().all(|f| f.primary.is_some()));
    }

    #[test]
    fn a_script_that_nobody_may_run_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("check.sh");
        fs::write(&path, "#!/bin/sh\n").expect("writable");
        let script = path.display();
        let text = format!("vrrp_script c {{\n script {script}\n}}\n");
        let (config, _) = conf::vip::load_str("x", &text, &conf::vip::Options::default());
        let config = config.expect("a good file");
        let found = absences(&config);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].message.contains("chmod +x"), "{found:?}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("own file");
        assert!(absences(&config).is_empty());
    }

    #[test]
    fn an_only_address_that_is_virtual_is_told() {
        let text = "vrrp_instance V {\n interface eth0\n virtual_router_id 5\n \
                    virtual_ipaddress {\n 192.0.2.9\n }\n}\n";
        let (config, _) = conf::vip::load_str("x", text, &conf::vip::Options::default());
        let config = config.expect("a good file");
        let instance = &config.instances[0];
        let addresses = |last: &[u8]| -> Vec<IpAddr> {
            last.iter().map(|n| IpAddr::from([192, 0, 2, *n])).collect()
        };
        assert!(only_virtual(instance, &addresses(&[9])).is_some());
        for others in [&[][..], &[11], &[11, 9]] {
            assert_eq!(only_virtual(instance, &addresses(others)), None);
        }
    }

    #[test]
    fn a_system_program_is_safe() {
        assert_eq!(weak_part(Path::new("sh")), None);
        assert_eq!(weak_part(Path::new("/bin/sh")), None);
    }
}
