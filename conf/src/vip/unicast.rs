//! Whom adverts come from and go to: source, multicast group, unicast peers.

use super::Options;
use super::check::family_of;
use super::instance::Draft;
use super::model::{Family, Peer, Place};
use super::section::{self, Section, replaced};
use crate::diagnostic::Diagnostic;
use crate::keyword::{Args, wrong};
use std::net::IpAddr;

type Here = Section<Draft>;
type Done = Result<(), Diagnostic>;

/// `mcast_src_ip` and `unicast_src_ip`: where adverts come from.
pub fn source(s: &mut Here, a: &mut Args<'_>) -> Done {
    let word = a.expect("an address")?;
    s.draft.source = Some((section::address(word)?, word.span));
    if a.keyword() == "unicast_src_ip" {
        s.draft.unicast_words.push(a.head());
    }
    Ok(())
}

/// `mcast_dst_ip`: the group of adverts.
pub fn group(s: &mut Here, a: &mut Args<'_>) -> Done {
    let word = a.expect("a multicast address")?;
    let group = section::address(word)?;
    if !is_group(group) {
        return Err(wrong(
            word,
            "a multicast address, of IPv6 a link-local one (ff02::...)",
        ));
    }
    s.draft.group = Some((group, word.span));
    Ok(())
}

/// Whether adverts can go there: in IPv6 they stay on the link.
pub fn is_group(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_multicast(),
        IpAddr::V6(v6) => v6.segments()[0] & 0xff0f == 0xff02,
    }
}

/// `unicast_peer`: the other hosts.
pub fn peers(s: &mut Here, a: &mut Args<'_>) -> Done {
    s.draft.unicast_words.push(a.head());
    for node in s.block(a)? {
        let head = node.keyword();
        let Ok(address) = section::address(head) else {
            let text = format!("`{}` is not an IP address", head.text);
            s.replaced(head.span, text, "the other peers");
            continue;
        };
        let form = "[min_ttl <0-255>] [max_ttl <0-255>]";
        let mut args = Args::new(&head.text, form, head.span, &node.words[1..]);
        let mut peer = Peer {
            address,
            place: Place(head.span),
            min_ttl: None,
            max_ttl: None,
        };
        while args.peek().is_some() {
            if args.take_if("min_ttl").is_some() {
                peer.min_ttl = Some(section::number(&mut args, 0, 255)?);
            } else if args.take_if("max_ttl").is_some() {
                peer.max_ttl = Some(section::number(&mut args, 0, 255)?);
            } else {
                args.finish()?;
            }
        }
        if let (Some(low), Some(high)) = (peer.min_ttl, peer.max_ttl)
            && low > high
        {
            let text = format!("no packet has a TTL of at least {low} and at most {high}");
            return Err(Diagnostic::error("E2005", head.span.to(args.end()), text));
        }
        s.draft.peers.push(peer);
    }
    Ok(())
}

/// Peers that an instance of this family cannot speak to are errors; in lenient mode they are
/// left out.
pub fn same_family(
    peers: &mut Vec<Peer>,
    family: Family,
    options: &Options,
    findings: &mut Vec<Diagnostic>,
) {
    peers.retain(|peer| {
        let fits = family_of(peer.address) == family;
        if !fits {
            let text = format!(
                "{} is of another family than the virtual addresses",
                peer.address
            );
            let mut finding = replaced(options, peer.place.0, text, "the other peers");
            finding.code = "E2005";
            findings.push(finding);
        }
        fits
    });
}

/// Words of unicast in an instance that has no peer, and so speaks multicast.
pub fn check(draft: &Draft, findings: &mut Vec<Diagnostic>) {
    if !draft.peers.is_empty() || draft.fault_no_peer {
        return;
    }
    if let Some(span) = draft.unicast_words.first() {
        let text = "a word of unicast without a peer: the adverts go to the multicast group";
        let finding = Diagnostic::warning("E2005", *span, text);
        findings.push(finding.help("name the other host: `unicast_peer { <address> }`"));
    }
}
