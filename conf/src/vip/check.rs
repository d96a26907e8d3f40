//! Rules of the whole file: what an instance needs, what contradicts, and what
//! names something that is not there.

use super::Options;
use super::instance::{AuthType, Draft};
use super::model::{
    Announce, Config, Family, InitialState, Instance, Place, Priority, Version, VirtualAddress,
    Vmac, Vrid,
};
use super::rule;
use super::section::replaced;
use super::statics;
use super::sync;
use super::tracks;
use super::twice;
use super::unicast;
use crate::diagnostic::Diagnostic;
use std::net::IpAddr;
use std::time::Duration;

/// Turns a draft into an instance; findings are pushed. What is missing has a stand-in, so that
/// the rest is checked in the same run: with an error the configuration is not used.
pub fn instance(
    mut draft: Draft,
    config: &Config,
    options: &Options,
    findings: &mut Vec<Diagnostic>,
) -> Instance {
    let name = draft.name.text.clone();
    let family = family(&draft);
    let (version, advert_int) = timing(&draft, config, family, options, findings);
    missing(&draft, version, options, findings);
    let strict = draft
        .strict
        .map_or(config.global.strict, |(strict, _)| strict);
    unicast::same_family(&mut draft.peers, family, options, findings);
    contradictions(&draft, family, version, options, findings);
    if strict {
        strictly(&draft, options, findings);
    }
    high_skew(&draft, findings);
    let addresses = same_family(draft.addresses.clone(), family, options, findings);
    let preempt = draft.nopreempt.is_none() || initial(&draft) == InitialState::Master;
    let group = match (&draft.group, family) {
        (Some((group, _)), _) => *group,
        (None, Family::V4) => IpAddr::V4(config.global.mcast_group4),
        (None, Family::V6) => IpAddr::V6(config.global.mcast_group6),
    };
    let auth = draft
        .password()
        .filter(|_| version == Version::V2 && !strict);
    let check = draft.check_unicast_src.or(config.global.check_unicast_src);
    let global = &config.global;
    let no_peer = draft.peers.is_empty();
    let vrid = draft.vrid.map_or(0, |(vrid, _)| vrid);
    Instance {
        state: initial(&draft),
        place: Place(draft.name.span),
        family,
        version,
        vrid: Vrid(vrid),
        priority: priority(&draft, findings),
        advert_int,
        down_timer_adverts: draft
            .down_timer_adverts
            .unwrap_or(global.down_timer_adverts),
        preempt,
        preempt_delay: preempt_delay(&draft, strict),
        auth,
        source: draft.source.map(|(a, _)| a),
        track_source: draft.track_source,
        peers: draft.peers,
        lacks_peer: draft.fault_no_peer && no_peer,
        unicast_ttl: draft.unicast_ttl.map(|(ttl, _)| ttl),
        check_unicast_src: check.unwrap_or(true),
        group,
        addresses,
        excluded: draft.excluded,
        routes: draft.routes,
        rules: draft.rules,
        promote_secondaries: draft.promote_secondaries,
        vmac: draft.vmac.map(|vmac| Vmac {
            name: vmac.name.or_else(|| {
                global
                    .vmac_prefix
                    .as_ref()
                    .map(|prefix| vmac_name(prefix, family, vrid))
            }),
            xmit_base: (vmac.xmit_base || !no_peer) && !strict,
        }),
        dont_track_primary: draft.dont_track_primary,
        tracks: draft.tracks,
        announce: announce(&draft.announce, &global.announce),
        skip_check_adv_addr: draft
            .skip_check_adv_addr
            .unwrap_or(global.skip_check_adv_addr),
        lower_prio_no_advert: draft
            .lower_prio_no_advert
            .unwrap_or(global.lower_prio_no_advert),
        higher_prio_send_advert: draft
            .higher_prio_send_advert
            .unwrap_or(global.higher_prio_send_advert),
        v3_checksum_as_v2: draft.v3_checksum_as_v2,
        accept: draft.accept,
        notify: draft.notify,
        rx_buffer: draft.rx_buffer,
        debug: draft.debug,
        interface: draft.interface.map(|i| i.text).unwrap_or_default(),
        name,
    }
}

/// What an instance cannot be without.
fn missing(draft: &Draft, version: Version, options: &Options, findings: &mut Vec<Diagnostic>) {
    let mut need = |what: &str| {
        let text = format!("vrrp_instance `{}` has no `{what}`", draft.name.text);
        findings.push(Diagnostic::error("E2001", draft.name.span, text));
    };
    if draft.interface.is_none() {
        need("interface");
    }
    // a bad number has its own error, unless it only counts as not written
    if draft.vrid.is_none() && (options.lenient || !draft.vrid_is_written) {
        need("virtual_router_id");
    }
    // bad ones have their own errors
    let bad = draft.addresses_are_written && !draft.addresses_are_empty;
    match version {
        _ if !draft.addresses.is_empty() || (bad && !options.lenient) => {}
        Version::V3 => need("virtual_ipaddress"),
        Version::V2 => {
            let text = "no virtual_ipaddress: the adverts list nothing";
            let finding = Diagnostic::warning("E2001", draft.name.span, text);
            findings.push(finding.help("as in keepalived, which says so, too, and runs"));
        }
    }
}

fn initial(draft: &Draft) -> InitialState {
    draft.state.map_or(InitialState::Backup, |(s, _)| s)
}

/// Name of a virtual interface that the file does not name.
fn vmac_name(prefix: &str, family: Family, vrid: u8) -> String {
    match family {
        Family::V4 => format!("{prefix}.{vrid}"),
        Family::V6 => format!("{prefix}6.{vrid}"),
    }
}

/// keepalived's, where the file gives none.
fn priority(draft: &Draft, findings: &mut Vec<Diagnostic>) -> Priority {
    match (draft.priority, draft.state) {
        (Some((priority, _)), _) => Priority(priority as u8),
        (None, Some((InitialState::Master, state))) => {
            let text = "without a priority a master owns its addresses: 255, as in keepalived";
            findings.push(
                Diagnostic::note("E2005", state, text)
                    .help("weights do not count then; add `priority 100`, or what fits"),
            );
            Priority(255)
        }
        (None, _) => Priority(100),
    }
}

/// With `state MASTER` there is none, nor in strict mode: keepalived clears it.
fn preempt_delay(draft: &Draft, strict: bool) -> Duration {
    let written = draft.preempt_delay.map(|(delay, _)| delay);
    let counts = initial(draft) == InitialState::Backup && !strict;
    written.filter(|_| counts).unwrap_or_default()
}

fn announce(own: &super::instance::AnnounceDraft, global: &Announce) -> Announce {
    Announce {
        delay: own.delay.unwrap_or(global.delay),
        repeat: own.repeat.unwrap_or(global.repeat),
        refresh: own.refresh.or(global.refresh),
        refresh_repeat: own.refresh_repeat.unwrap_or(global.refresh_repeat),
        lower_prio_delay: own.lower_prio_delay.or(global.lower_prio_delay),
        lower_prio_repeat: own.lower_prio_repeat.or(global.lower_prio_repeat),
        ..global.clone()
    }
}

pub(super) fn family_of(address: IpAddr) -> Family {
    if address.is_ipv4() {
        Family::V4
    } else {
        Family::V6
    }
}

fn family(draft: &Draft) -> Family {
    if draft.native_ipv6.is_some() {
        return Family::V6;
    }
    let first = draft.addresses.first().map(|a| a.address);
    let other = draft.source.map(|(a, _)| a);
    let peer = draft.peers.first().map(|p| p.address);
    first.or(other).or(peer).map_or(Family::V4, family_of)
}

/// Version and interval as the instance will use them.
fn timing(
    draft: &Draft,
    config: &Config,
    family: Family,
    options: &Options,
    findings: &mut Vec<Diagnostic>,
) -> (Version, Duration) {
    let mut version = draft.version.map_or(config.global.version, |(v, _)| v);
    if family == Family::V6 && version == Version::V2 {
        if let Some((_, span)) = draft.version {
            let text = "VRRPv2 has no IPv6".to_owned();
            findings.push(replaced(options, span, text, "version 3"));
        }
        version = Version::V3;
    }
    let Some((mut interval, span)) = draft.advert else {
        return (version, Duration::from_secs(1));
    };
    let fraction = interval.subsec_micros();
    match version {
        Version::V2 if fraction != 0 => {
            let text = "VRRPv2 counts its interval in whole seconds".to_owned();
            let rounded = interval.as_secs_f64().round().max(1.0) as u64;
            let finding = replaced(options, span, text, &format!("advert_int {rounded}"));
            findings.push(finding.help("`vrrp_version 3` or `version 3` allows fractions"));
            interval = Duration::from_secs(rounded);
        }
        Version::V3 if interval > Duration::from_millis(40_950) => {
            let text = "VRRPv3 carries at most 40.95 s".to_owned();
            findings.push(replaced(options, span, text, "advert_int 40.95"));
            interval = Duration::from_millis(40_950);
        }
        Version::V3 if fraction % 10_000 != 0 => {
            let text = "VRRPv3 counts its interval in hundredths of a second".to_owned();
            let rounded = (interval.as_secs_f64() * 100.0).round().max(1.0);
            let instead = format!("advert_int {}", rounded / 100.0);
            findings.push(replaced(options, span, text, &instead));
            interval = Duration::from_millis(rounded as u64 * 10);
        }
        _ => {}
    }
    (version, interval)
}

fn contradictions(
    draft: &Draft,
    family: Family,
    version: Version,
    options: &Options,
    findings: &mut Vec<Diagnostic>,
) {
    if let (Some(span), Some((InitialState::Master, state))) = (draft.nopreempt, draft.state) {
        let text = "nopreempt does not work with `state MASTER`".to_owned();
        let mut finding = replaced(options, span, text, "preemption");
        finding.code = "E2005";
        findings.push(finding.also(state, "write `state BACKUP` on both hosts"));
    }
    if let (Some((_, span)), Some((InitialState::Master, state))) =
        (draft.preempt_delay, draft.state)
    {
        let text = "preempt_delay does not work with `state MASTER`".to_owned();
        let mut finding = replaced(options, span, text, "preempt_delay 0");
        finding.code = "E2005";
        findings.push(finding.also(state, "write `state BACKUP` on both hosts"));
    }
    if let (Some(span), Some((255, priority))) = (draft.nopreempt, draft.priority) {
        let text = "nopreempt means nothing together with priority 255";
        findings.push(Diagnostic::note("E2005", span, text).also(priority, "set here"));
    }
    if let (Some((_, span)), Some(nopreempt)) = (draft.preempt_delay, draft.nopreempt) {
        let text = "preempt_delay means nothing together with nopreempt";
        findings.push(Diagnostic::note("E2005", span, text).also(nopreempt, "set here"));
    }
    if let (Some((_, span)), Version::V3) = (&draft.auth, version) {
        let text = "VRRPv3 has no authentication; the password is not sent";
        findings.push(
            Diagnostic::note("E2005", *span, text).help("hosts of a pair trust the pair channel"),
        );
    }
    if let (Some((AuthType::Ah, span)), Version::V2) = (draft.auth_type, version) {
        let text = "VRRP has no auth_type AH since RFC 3768; it works here as in keepalived";
        let help = "`version 3` on both hosts is the successor; two of ours trust the pair channel";
        findings.push(Diagnostic::note("E2013", span, text).help(help));
    }
    half_an_authentication(draft, version, options, findings);
    if let (Some(span), None) = (draft.vmac_xmit_base, &draft.vmac) {
        let text = "vmac_xmit_base means nothing without use_vmac";
        findings.push(Diagnostic::note("E2005", span, text));
    }
    if let Some(vmac) = &draft.vmac
        && !draft.peers.is_empty()
        && !vmac.xmit_base
    {
        let text = "use_vmac with unicast_peer needs vmac_xmit_base".to_owned();
        let mut finding = replaced(options, draft.name.span, text, "vmac_xmit_base");
        finding.code = "E2005";
        findings.push(finding);
    }
    unicast::check(draft, findings);
    for (address, span) in draft.source.into_iter().chain(draft.group) {
        if family_of(address) != family {
            let text = format!("{address} is of another family than the virtual addresses");
            findings.push(Diagnostic::error("E2005", span, text));
        }
    }
}

/// keepalived goes on without authentication when the kind or the password is missing.
fn half_an_authentication(
    draft: &Draft,
    version: Version,
    options: &Options,
    findings: &mut Vec<Diagnostic>,
) {
    let (span, text, help) = match (draft.auth_type, &draft.auth) {
        (Some((_, span)), None) => {
            let text = "auth_type without auth_pass";
            (span, text, "add `auth_pass <secret>`")
        }
        (None, Some((_, span))) if version == Version::V2 => {
            let text = "auth_pass without auth_type: the password is not used";
            (*span, text, "add `auth_type PASS`")
        }
        (Some(_) | None, Some(_)) | (None, None) => return,
    };
    let mut finding = replaced(options, span, text.to_owned(), "no authentication");
    finding.code = "E2001";
    findings.push(finding.help(help));
}

/// `vrrp_strict`: what the RFC does not have. keepalived drops an instance with unicast peers, and
/// goes on without the rest.
fn strictly(draft: &Draft, options: &Options, findings: &mut Vec<Diagnostic>) {
    if let Some(peer) = draft.peers.first() {
        let text = "strict mode allows no unicast peers";
        findings.push(Diagnostic::error("E2005", peer.place.0, text));
    }
    for (span, what) in [
        (draft.auth.as_ref().map(|(_, span)| *span), "password"),
        (draft.preempt_delay.map(|(_, span)| span), "preempt_delay"),
        (draft.vmac_xmit_base, "vmac_xmit_base"),
    ] {
        if let Some(span) = span {
            let text = format!("strict mode allows no {what}");
            let mut finding = replaced(options, span, text, &format!("no {what}"));
            finding.code = "E2005";
            findings.push(finding);
        }
    }
}

/// Priorities near 100 cost more than half a second at every planned stop of a
/// keepalived peer; said once where it is written.
fn high_skew(draft: &Draft, findings: &mut Vec<Diagnostic>) {
    if let Some((priority, span)) = draft.priority
        && priority < 200
    {
        let skew_ms = (256 - priority) * 1000 / 256;
        let text = format!(
            "priority {priority}: when a keepalived master stops, the backup waits {skew_ms} ms per \
             second of interval"
        );
        let help = "with both priorities near 254 (254 and 250) it waits 0.02 s";
        findings.push(Diagnostic::note("E2007", span, text).help(help));
    }
}

fn same_family(
    list: Vec<VirtualAddress>,
    family: Family,
    options: &Options,
    findings: &mut Vec<Diagnostic>,
) -> Vec<VirtualAddress> {
    let (good, other): (Vec<_>, Vec<_>) = list
        .into_iter()
        .partition(|a| family_of(a.address) == family);
    for address in other {
        let text = format!("{} is of another family than the instance", address.address);
        let finding = replaced(options, address.place.0, text, "the other addresses")
            .help("addresses of the other family go into virtual_ipaddress_excluded");
        findings.push(Diagnostic {
            code: "E2005",
            ..finding
        });
    }
    good
}

/// References, duplicates and groups, after all blocks were read.
pub fn whole(config: &mut Config, options: &Options, findings: &mut Vec<Diagnostic>) {
    twice::names(config, options, findings);
    tracks::check(config, options, findings);
    config.statics.usual = config.global.default_interface.clone();
    statics::check(config, findings);
    rule::priorities(config, findings);
    sync::members(config, options, findings);
    sync::weights(config, findings);
    twice::numbers(config, findings);
    fifos(config, findings);
}

fn fifos(config: &Config, findings: &mut Vec<Diagnostic>) {
    let fifos = &config.global.notify_fifos;
    for fifo in fifos.iter().filter(|f| f.path.as_os_str().is_empty()) {
        let text = format!("{0}_script without `{0}`", fifo.keyword);
        findings.push(Diagnostic::error("E2001", fifo.place.0, text));
    }
    if let [first, second] = &fifos[..]
        && first.path == second.path
    {
        let text = format!("two fifos are {}", second.path.display());
        let finding = Diagnostic::error("E2003", second.place.0, text);
        findings.push(finding.also(first.place.0, "the first one"));
    }
}
