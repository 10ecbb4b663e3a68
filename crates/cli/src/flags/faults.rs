//! A bad network, as people write it: each fault with the direction that it is about.

use clap::Args;
use sockeye::faults::{After, BadNetwork, Delay, Faults, Shape, Slice};

use super::parsers::duration;

/// What a network does to what passes.
#[derive(Debug, Args)]
#[command(
    next_help_heading = "A bad network, on purpose (up: before a value is what clients say, down: what servers say)"
)]
pub(crate) struct NetworkFlags {
    /// Let everything come late: 20ms, 20ms±5ms or 20ms+-5ms, and ,normal for a bell curve
    #[arg(long, value_name = "[up:|down:]TIME[±TIME][,normal]", value_parser = directed(delay))]
    pub(crate) delay: Vec<Directed<Delay>>,
    /// Let so much through in a second: 1Mbit, 125kB, 64KiB
    #[arg(long, value_name = "[up:|down:]RATE", value_parser = directed(rate))]
    pub(crate) rate: Vec<Directed<u64>>,
    /// Let a stream come in pieces of so many bytes: 1, 3..9, and ,5ms between two of them
    #[arg(long, value_name = "[up:|down:]BYTES[..BYTES][,TIME]", value_parser = directed(slice))]
    pub(crate) slice: Vec<Directed<Slice>>,
    /// Change one bit in this share of a stream's bytes, or of datagrams: 0.01, 1%
    #[arg(long, value_name = "[up:|down:]SHARE", value_parser = directed(share))]
    pub(crate) corrupt: Vec<Directed<f64>>,
    /// End a connection once so many bytes passed, or after a time: 1000, 64KiB, 2s
    #[arg(long, value_name = "[up:|down:]BYTES|TIME", value_parser = directed(after))]
    pub(crate) cut_after: Vec<Directed<After>>,
    /// Reset it
    #[arg(long, value_name = "[up:|down:]BYTES|TIME", value_parser = directed(after))]
    pub(crate) reset_after: Vec<Directed<After>>,
    /// Let nothing more pass, and keep it open
    #[arg(long, value_name = "[up:|down:]BYTES|TIME", value_parser = directed(after))]
    pub(crate) stall_after: Vec<Directed<After>>,
    /// Lose this share of datagrams
    #[arg(long, value_name = "[up:|down:]SHARE", value_parser = directed(share))]
    pub(crate) drop: Vec<Directed<f64>>,
    /// Let this share of datagrams come twice
    #[arg(long, value_name = "[up:|down:]SHARE", value_parser = directed(share))]
    pub(crate) duplicate: Vec<Directed<f64>>,
    /// Let this share of datagrams be overtaken by the next one
    #[arg(long, value_name = "[up:|down:]SHARE", value_parser = directed(share))]
    pub(crate) reorder: Vec<Directed<f64>>,
    /// Refuse this share of connections
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub(crate) refuse: Option<f64>,
    /// Let all of this happen to this share of connections only
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub(crate) share: Option<f64>,
    /// Faults without a direction are about what clients say
    #[arg(long, conflicts_with = "down")]
    pub(crate) up: bool,
    /// Faults without a direction are about what servers say
    #[arg(long)]
    pub(crate) down: bool,
    /// What chance comes from: the same number has the same done to the same connections [default: one that is said]
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
}

/// A value, and the direction that it is about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Directed<T> {
    up: bool,
    down: bool,
    value: T,
}

impl NetworkFlags {
    /// What happens, with this seed if none is given.
    pub(crate) fn network(&self, seed: u64) -> BadNetwork {
        let mut network = BadNetwork {
            share: self.share.unwrap_or(1.0),
            refuse: self.refuse.unwrap_or(0.0),
            seed: self.seed.unwrap_or(seed),
            ..BadNetwork::default()
        };
        for fault in self.faults() {
            for (up, down, set) in &fault.given {
                let (up, down) = if *up || *down { (*up, *down) } else { (!self.down, !self.up) };
                if up {
                    set(&mut network.up);
                }
                if down {
                    set(&mut network.down);
                }
            }
        }
        network
    }

    /// Every fault that has a direction: its flag, which sockets it is about, and what was given.
    fn faults(&self) -> [FaultFlag<'_>; 10] {
        use Sockets::{All, Datagrams, Streams};
        [
            FaultFlag::new("--delay", All, &self.delay, |faults, delay| faults.delay = Some(delay)),
            FaultFlag::new("--rate", All, &self.rate, |faults, rate| faults.rate = Some(rate)),
            FaultFlag::new("--slice", Streams, &self.slice, |faults, slice| faults.slice = Some(slice)),
            FaultFlag::new("--corrupt", All, &self.corrupt, |faults, share| faults.corrupt = share),
            FaultFlag::new("--cut-after", Streams, &self.cut_after, |faults, after| faults.cut_after = Some(after)),
            FaultFlag::new("--reset-after", Streams, &self.reset_after, |faults, after| {
                faults.reset_after = Some(after);
            }),
            FaultFlag::new("--stall-after", Streams, &self.stall_after, |faults, after| {
                faults.stall_after = Some(after);
            }),
            FaultFlag::new("--drop", Datagrams, &self.drop, |faults, share| faults.drop = share),
            FaultFlag::new("--duplicate", Datagrams, &self.duplicate, |faults, share| faults.duplicate = share),
            FaultFlag::new("--reorder", Datagrams, &self.reorder, |faults, share| faults.reorder = share),
        ]
    }

    /// A flag that says which connections faults are about, where there is none.
    pub(crate) fn without_fault(&self) -> Option<&'static str> {
        let has_fault = self.refuse.is_some() || self.faults().iter().any(FaultFlag::is_given);
        let flags = [("--share", self.share.is_some()), ("--up", self.up), ("--down", self.down)];
        flags.into_iter().find(|(_, is_given)| *is_given && !has_fault).map(|(flag, _)| flag)
    }

    /// A fault that only one kind of socket has, where it is the other: its flag.
    pub(crate) fn unfit(&self, is_datagram: bool) -> Option<&'static str> {
        let wrong = if is_datagram { Sockets::Streams } else { Sockets::Datagrams };
        let refuse = (is_datagram && self.refuse.is_some()).then_some("--refuse");
        let unfit = self.faults().into_iter().find(|fault| fault.sockets == wrong && fault.is_given());
        unfit.map(|fault| fault.flag).or(refuse)
    }
}

/// Which sockets a fault is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sockets {
    All,
    Streams,
    Datagrams,
}

/// What sets one value of a fault in one direction.
type Set<'a> = Box<dyn Fn(&mut Faults) + 'a>;

/// A fault that has a direction.
struct FaultFlag<'a> {
    flag: &'static str,
    sockets: Sockets,
    /// Each value: whether it names the way up and the way down, and what sets it.
    given: Vec<(bool, bool, Set<'a>)>,
}

impl<'a> FaultFlag<'a> {
    fn new<T: Copy>(flag: &'static str, sockets: Sockets, values: &'a [Directed<T>], set: fn(&mut Faults, T)) -> Self {
        let given = values.iter().map(|directed| {
            let value = directed.value;
            (directed.up, directed.down, Box::new(move |faults: &mut Faults| set(faults, value)) as Set<'a>)
        });
        Self { flag, sockets, given: given.collect() }
    }

    fn is_given(&self) -> bool {
        !self.given.is_empty()
    }
}

/// A parser of a value that may have its direction before it.
fn directed<T: Clone + Send + Sync + 'static>(
    parse: fn(&str) -> Result<T, String>,
) -> impl Fn(&str) -> Result<Directed<T>, String> + Clone + Send + Sync + 'static {
    move |text| {
        let (up, down, rest) = match (text.strip_prefix("up:"), text.strip_prefix("down:")) {
            (Some(rest), _) => (true, false, rest),
            (_, Some(rest)) => (false, true, rest),
            _ => (false, false, text.strip_prefix("both:").unwrap_or(text)),
        };
        let named = text.starts_with("both:");
        Ok(Directed { up: up || named, down: down || named, value: parse(rest)? })
    }
}

fn delay(text: &str) -> Result<Delay, String> {
    let wrong = |_| "write a time, and perhaps how much it differs: 20ms, 20ms±5ms, 20ms+-5ms,normal".to_owned();
    let (times, shape) = match text.rsplit_once(',') {
        Some((times, "normal")) => (times, Shape::Normal),
        Some(_) => return Err("behind the comma write normal, or leave it out".to_owned()),
        None => (text, Shape::Even),
    };
    let (mean, spread) = times.split_once('±').or_else(|| times.split_once("+-")).unwrap_or((times, "0ms"));
    for bare in [mean, spread] {
        // Some tools count milliseconds, and others seconds.
        if bare.parse::<f64>().is_ok_and(|number| number > 0.0) {
            return Err(format!("{bare} of what? write {bare}ms or {bare}s"));
        }
    }
    Ok(Delay { mean: duration(mean).map_err(wrong)?, spread: duration(spread).map_err(wrong)?, shape })
}

/// Bytes a second.
fn rate(text: &str) -> Result<u64, String> {
    let wrong = || "write bits or bytes a second: 1Mbit, 800kbit, 125kB, 64KiB".to_owned();
    let text = text.strip_suffix("/s").unwrap_or(text);
    let units = [
        ("gbit", 125e6),
        ("mbit", 125e3),
        ("kbit", 125.0),
        ("bit", 0.125),
        ("gib", 1073741824.0),
        ("mib", 1048576.0),
        ("kib", 1024.0),
        ("gb", 1e9),
        ("mb", 1e6),
        ("kb", 1e3),
        ("b", 1.0),
        ("", 1.0),
    ];
    let lower = text.to_ascii_lowercase();
    let (number, factor) =
        units.iter().find_map(|(unit, factor)| Some((lower.strip_suffix(unit)?, factor))).ok_or_else(wrong)?;
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let bytes = number * factor;
    if bytes == 0.0 {
        return Err("with 0 nothing passes: --stall-after 0 does that".to_owned());
    }
    if (1.0..=1e12).contains(&bytes) { Ok(bytes as u64) } else { Err(wrong()) }
}

fn slice(text: &str) -> Result<Slice, String> {
    let wrong = |_| "write how many bytes, and perhaps a pause: 1, 3..9, 100..200,5ms".to_owned();
    let (lengths, pause) = text.split_once(',').unwrap_or((text, "0ms"));
    let (least, most) = lengths.split_once("..").unwrap_or((lengths, lengths));
    let number = |text: &str| super::parsers::size(text).map_err(wrong);
    let (least, most) = (number(least)?, number(most)?);
    if least > most {
        return Err("write the smaller number first".to_owned());
    }
    Ok(Slice::new(least, most, duration(pause).map_err(wrong)?))
}

fn share(text: &str) -> Result<f64, String> {
    let (number, factor) = text.strip_suffix('%').map_or((text, 1.0), |number| (number, 0.01));
    let share = number.parse::<f64>().ok().map(|number| number * factor);
    share
        .filter(|share| (0.0..=1.0).contains(share))
        .ok_or_else(|| "write a share from 0 to 1, or a percentage: 0.01, 1%".to_owned())
}

/// A bare number is bytes; a time has its unit.
fn after(text: &str) -> Result<After, String> {
    let is_time = text.ends_with(['s', 'm', 'h']);
    let wrong = |_| "write bytes or a time: 1000, 64KiB, 500ms, 2s".to_owned();
    if is_time {
        return duration(text).map(After::Time).map_err(wrong);
    }
    if text == "0" {
        return Ok(After::Bytes(0));
    }
    super::parsers::large_size(text).map(After::Bytes).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn faults_are_read_as_people_write_them() {
        let milliseconds = Duration::from_millis;
        let late = |mean, spread, shape| Delay { mean: milliseconds(mean), spread: milliseconds(spread), shape };
        assert_eq!(delay("20ms"), Ok(late(20, 0, Shape::Even)));
        assert_eq!(delay("20ms±5ms"), Ok(late(20, 5, Shape::Even)));
        assert_eq!(delay("1s+-5ms,normal"), Ok(late(1000, 5, Shape::Normal)));
        assert_eq!(
            [rate("1Mbit"), rate("1Mbit/s"), rate("64KiB"), rate("1kB")],
            [Ok(125_000), Ok(125_000), Ok(65_536), Ok(1000)]
        );
        assert_eq!(slice("3..9,5ms"), Ok(Slice::new(3, 9, milliseconds(5))));
        assert_eq!([share("1%"), share("0.5")], [Ok(0.01), Ok(0.5)]);
        assert_eq!(
            [after("1000"), after("64KiB"), after("2s"), after("500ms"), after("2m")],
            [
                Ok(After::Bytes(1000)),
                Ok(After::Bytes(65_536)),
                Ok(After::Time(milliseconds(2000))),
                Ok(After::Time(milliseconds(500))),
                Ok(After::Time(milliseconds(120_000)))
            ]
        );
        assert_eq!(delay("0"), Ok(late(0, 0, Shape::Even)));
        for wrong in ["20", "20ms±5", "20±5ms", "20ms±", "20ms,odd", "x"] {
            assert!(delay(wrong).is_err(), "{wrong}");
        }
        assert!(rate("fast").is_err() && rate("0").is_err() && slice("9..3").is_err() && share("2").is_err());
        let up = directed(share)("up:1%").unwrap();
        assert_eq!((up.up, up.down, up.value), (true, false, 0.01));
        assert!(directed(share)("sideways:1%").is_err());
    }
}
