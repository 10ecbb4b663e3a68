//! What a carrier cannot have: acts without a meaning there, and messages that are too long for it.

use std::collections::HashSet;

use crate::Side;
use crate::carrier::Carrier;
use crate::diagnostic::{Diagnostic, Span};
use crate::program::{self, First, Op, Program, StreamAction, matcher};
use crate::syntax::Tls;
use crate::values::Scratch;

/// Most bytes of a datagram over IPv4 (RFC 768, RFC 791).
pub(crate) const DATAGRAM: u64 = crate::limits::DATAGRAM;

/// Why this carrier cannot have it.
pub(super) fn over_carrier(program: &Program, carrier: Carrier) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    match carrier {
        Carrier::Stream => {}
        Carrier::Datagram => findings.extend(over_datagrams(program)),
        Carrier::Packet => findings.extend(over_packets(program)),
        Carrier::Messages => findings.extend(over_messages(program)),
    }
    if carrier.keeps_bounds() {
        findings.extend(too_long_for_datagrams(program));
    }
    findings
}

fn meaningless(place: Span, act: &str, carrier: &str) -> Diagnostic {
    Diagnostic::error(place, format!("`{act}` has no meaning over {carrier}")).help("leave it out, or use TCP")
}

/// Datagrams have no beginning of a connection, no half-close and no reset.
fn over_datagrams(program: &Program) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    for (op, place) in program.ops.iter().zip(&program.places) {
        let act = match op {
            Op::Do(StreamAction::StopSending) | Op::Expect(StreamAction::StopSending) => "stops sending",
            Op::Do(StreamAction::Reset) | Op::Expect(StreamAction::Reset) => "resets",
            Op::Tls(Tls::Start { .. }) => "starttls",
            Op::Tls(Tls::Stop) => "stoptls",
            Op::Connect(_) => "connects",
            _ => continue,
        };
        findings.push(meaningless(*place, act, "datagrams"));
    }
    for choice in &program.choices {
        let end = choice.arms.iter().find(|arm| matches!(arm.first, First::Expect(StreamAction::Close)));
        if let Some(end) = end.filter(|_| choice.arms.len() > 1) {
            findings.push(
                Diagnostic::error(program.places[end.pc], "over datagrams nobody hears that the other side closes")
                    .help("say how many lines there are (repeat 3), or end them by a line; or use TCP"),
            );
        }
    }
    let mut told = HashSet::new();
    for first in program::first_of_all(program) {
        let (side, place) = match first {
            First::Line(message) => (program.messages[message].side, program.messages[message].place),
            First::File(file) => (program.files[file].side, program.files[file].place),
            _ => continue,
        };
        if side == Side::Server && told.insert(place.line) {
            findings.push(
                Diagnostic::error(place, "a server cannot speak first over datagrams")
                    .help("begin with a line of the client"),
            );
        }
    }
    findings
}

/// Packets of a Unix socket are those of one connection, without TLS, and without a reset of ours.
fn over_packets(program: &Program) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    for (op, place) in program.ops.iter().zip(&program.places) {
        let act = match op {
            Op::Do(StreamAction::Reset) => "resets",
            Op::Tls(Tls::Start { .. }) => "starttls",
            Op::Tls(Tls::Stop) => "stoptls",
            Op::Connect(_) => "connects",
            _ => continue,
        };
        findings.push(meaningless(*place, act, "packets of a Unix socket"));
    }
    findings
}

/// Messages end in both directions at once, and TLS is what they are in.
fn over_messages(program: &Program) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    for (op, place) in program.ops.iter().zip(&program.places) {
        let (text, help) = match op {
            Op::Do(StreamAction::StopSending) | Op::Expect(StreamAction::StopSending) => {
                ("a WebSocket ends in both directions at once: `stops sending` has no meaning there", "write `closes`")
            }
            Op::Tls(Tls::Start { .. }) => {
                ("a WebSocket does not go over to TLS: `starttls` has no meaning there", "write wss://")
            }
            Op::Tls(Tls::Stop) => {
                ("TLS stays around a WebSocket: `stoptls` has no meaning there", "leave it out, or write tcp://")
            }
            _ => continue,
        };
        findings.push(Diagnostic::error(*place, text).help(help));
    }
    findings
}

/// No message may be longer than a datagram, nor may those be that go into one.
fn too_long_for_datagrams(program: &Program) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    // The messages of the `together` at hand: where it stands, and their length.
    let mut together: Option<usize> = None;
    for (op, place) in program.ops.iter().zip(&program.places) {
        let length = match op {
            Op::Together => {
                together = Some(0);
                continue;
            }
            Op::Apart => {
                together = None;
                continue;
            }
            Op::Say(message) | Op::Hear(message) => {
                matcher::text_length(&program.messages[*message].pieces, &Scratch::default()).unwrap_or(usize::MAX)
            }
            _ => continue,
        };
        let before = together.unwrap_or(0);
        let all = before.saturating_add(length);
        if together.is_some() {
            together = Some(all);
        }
        // Of a block it is said once.
        if all as u64 > DATAGRAM && before as u64 <= DATAGRAM {
            let text = format!("a datagram holds {DATAGRAM} bytes, and this one would have {all}");
            findings.push(Diagnostic::error(*place, text).help("say it in parts, or use TCP"));
        }
    }
    findings
}
