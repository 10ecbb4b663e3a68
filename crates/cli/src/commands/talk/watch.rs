//! Who hears what passes beside the conversation: a record, a dump, digests; and what is said and judged of it at the end.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use sockeye::event::Protocol;
use sockeye::record::{Record, Tap};
use sockeye::verb::talk::{Outcome, Progress};
use transcript::Side;

use super::super::bar::Bar;
use super::super::connection::carrier;
use super::super::hex::Hex;
use super::super::taps::tee;
use crate::exit::Exit;
use crate::flags::Talk;
use crate::output::Console;

/// What the flags want to be heard, said and judged.
pub(super) struct Watch<'a> {
    flags: &'a Talk,
    hex: Option<Arc<Hex>>,
    digests: Option<Arc<Digests>>,
    began: Instant,
}

impl<'a> Watch<'a> {
    pub(super) fn new(flags: &'a Talk, ours: Side, protocol: Protocol) -> Self {
        let hex = flags.hex.then(|| Arc::new(Hex::new(ours, carrier(protocol))));
        let digests = (flags.progress || flags.sha256.is_some()).then(|| Arc::new(Digests::new(ours)));
        Self { flags, hex, digests, began: Instant::now() }
    }

    /// The listeners of the conversation, if there are any: without one, bytes stay in the kernel.
    pub(super) fn tap(&self, record: Option<&Arc<Record>>) -> Option<Arc<dyn Tap>> {
        let digests = self.digests.clone().map(|digests| digests as Arc<dyn Tap>);
        tee(self.listeners(record).into_iter().chain(digests).collect())
    }

    /// Who hears what is said before TLS begins.
    pub(super) fn tap_in_clear(&self, record: Option<&Arc<Record>>) -> Option<Arc<dyn Tap>> {
        tee(self.listeners(record))
    }

    fn listeners(&self, record: Option<&Arc<Record>>) -> Vec<Arc<dyn Tap>> {
        let record = record.map(|record| Arc::clone(record) as Arc<dyn Tap>);
        let hex = self.hex.clone().map(|hex| hex as Arc<dyn Tap>);
        record.into_iter().chain(hex).collect()
    }

    /// Draws how far it is.
    pub(super) fn bar(&self, progress: &Arc<Progress>, console: &Console) -> Option<Bar> {
        if !self.flags.progress || self.hex.is_some() {
            return None;
        }
        let (progress, awaited) = (Arc::clone(progress), self.flags.bytes);
        let file = length_of_input();
        let look = move || {
            let (sent, received) = (progress.sent(), progress.received());
            match (awaited, file) {
                (Some(awaited), _) if received > 0 => (received, Some(awaited)),
                (_, Some(file)) if sent > 0 => (sent, Some(file)),
                _ => (sent + received, None),
            }
        };
        Bar::start(look, console)
    }

    /// Says what passed, and judges what came. A conversation that did not end well has its code already.
    pub(super) fn judge(&self, exit: Exit, outcome: &Outcome, peer: &str, console: &Console) -> Exit {
        if let (Some(digests), true) = (&self.digests, self.flags.progress) {
            digests.say(self.began, outcome, peer, console);
        }
        if exit != Exit::Done {
            return exit;
        }
        let received = outcome.received;
        match self.flags.bytes {
            Some(awaited) if received < awaited => {
                let why = format!("{peer}: cut short: {received} bytes came of {awaited} (--bytes)");
                return console.fail(Exit::CutShort, &why);
            }
            Some(awaited) if received > awaited => {
                let why = format!("{peer}: {received} bytes came, more than {awaited} (--bytes)");
                return console.fail(Exit::Differs, &why);
            }
            _ => {}
        }
        if let (Some(digests), Some(awaited)) = (&self.digests, &self.flags.sha256) {
            let came = digests.of_peer();
            if came != awaited.0 {
                let why = format!("{peer}: the SHA-256 of what came is {came}, and not {} (--sha256)", awaited.0);
                return console.fail(Exit::Differs, &why);
            }
        }
        exit
    }
}

/// The length of standard input where it is a file: what is behind its offset.
fn length_of_input() -> Option<u64> {
    let stdin = std::io::stdin();
    let found = rustix::fs::fstat(&stdin).ok()?;
    if rustix::fs::FileType::from_raw_mode(found.st_mode) != rustix::fs::FileType::RegularFile {
        return None;
    }
    let offset = rustix::fs::seek(&stdin, rustix::fs::SeekFrom::Current(0)).ok()?;
    Some(u64::try_from(found.st_size).ok()?.saturating_sub(offset))
}

/// Digests of what went each way, and when.
#[derive(Debug)]
struct Digests {
    ours: Side,
    directions: Mutex<[OneWay; 2]>,
}

#[derive(Debug, Clone, Default)]
struct OneWay {
    digest: Sha256,
    /// When its last byte passed.
    last: Option<Instant>,
}

impl OneWay {
    fn hex(&self) -> String {
        self.digest.clone().finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Tap for Digests {
    fn said(&self, side: Side, bytes: &[u8]) {
        let mut directions = self.directions.lock().unwrap_or_else(PoisonError::into_inner);
        let direction = &mut directions[usize::from(side == self.ours)];
        direction.digest.update(bytes);
        direction.last = Some(Instant::now());
    }

    fn ended(&self, _: Side) {}

    fn reset(&self, _: Side) {}
}

impl Digests {
    fn new(ours: Side) -> Self {
        Self { ours, directions: Mutex::default() }
    }

    fn directions(&self) -> [OneWay; 2] {
        self.directions.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn of_peer(&self) -> String {
        self.directions()[0].hex()
    }

    fn say(&self, began: Instant, outcome: &Outcome, peer: &str, console: &Console) {
        let [from_peer, from_us] = self.directions();
        let both = [("sent", &from_us, outcome.sent), ("received", &from_peer, outcome.received)];
        let mut object = Map::new();
        object.insert("event".to_owned(), json!("transferred"));
        object.insert("peer".to_owned(), json!(peer));
        for (what, direction, bytes) in both {
            let took = direction.last.map_or(Duration::ZERO, |last| last.duration_since(began));
            let seconds = took.as_secs_f64();
            let fields = json!({ "bytes": bytes, "seconds": seconds, "sha256": direction.hex() });
            object.insert(what.to_owned(), fields);
            if bytes > 0 && !console.json {
                let rate = rate(bytes, took);
                let (bytes, digest) = (size(bytes), direction.hex());
                console.note(&format!("{peer}: {what} {bytes} in {seconds:.3} s{rate}, SHA-256 {digest}"));
            }
        }
        if console.json && !console.quiet {
            console.tell(&Value::Object(object));
        } else if outcome.sent + outcome.received == 0 {
            console.note(&format!("{peer}: nothing was sent, and nothing came"));
        }
    }
}

fn rate(bytes: u64, took: Duration) -> String {
    if took < Duration::from_millis(1) {
        return String::new();
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "for people"
    )]
    let rate = (bytes as f64 / took.as_secs_f64()) as u64;
    format!(", {}/s", scaled(rate))
}

fn size(bytes: u64) -> String {
    if bytes < 1024 { format!("{bytes} bytes") } else { format!("{bytes} bytes ({})", scaled(bytes)) }
}

fn scaled(bytes: u64) -> String {
    let (shift, unit) = match bytes {
        0..=1023 => return format!("{bytes} bytes"),
        1024..=1_048_575 => (10, "KiB"),
        1_048_576..=1_073_741_823 => (20, "MiB"),
        _ => (30, "GiB"),
    };
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let scaled = bytes as f64 / f64::from(1_u32 << shift);
    format!("{scaled:.1} {unit}")
}
