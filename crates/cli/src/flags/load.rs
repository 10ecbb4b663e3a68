//! The flags of `load`.
#![allow(rustdoc::broken_intra_doc_links, reason = "these comments are the help text, where [HOST] is a placeholder")]

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clap::{Args, ValueEnum};
use sockeye::limits;
use sockeye::net::tls::Trust;
use sockeye::verb::load::{Allowed, Arrivals, Shard};

use super::parsers::{duration, lasting, limit, pin, size};
use super::values::{FamilyFlags, Values};

#[derive(Debug, Args)]
#[command(
    after_help = "Without --rate the loop is closed: a connection begins its next play when the one before is over, and requests that are not \
    sent while the server stands still are in no figure. With --rate it is open: plays begin by a clock, and latency counts from when a play was due.\n\
    A transcript is played again over the same connection if nothing in it is about a connection's beginning or end: the client speaks \
    first, neither side closes, stops sending or resets, and there is no `starttls`. Else, and with --reconnect, each play has a connection \
    of its own. A name `play` in a transcript stands for the number of the play, from 1.\n\
    Latency is told for each exchange, named by file and line: from the last byte of a run of C lines to the last byte of the run of S lines \
    after it. The clock is read when a connection has its turn, so a latency is never told too short, and too long by a \
    few microseconds at most.\n\
    Exit code 0: at least one play of every transcript was finished, none failed or no more than --max-errors allows, and every gate was reached."
)]
pub(crate) struct Load {
    /// Where to: [tcp://|udp://|tls://|ws://|wss://][HOST]:PORT, HOST PORT, PORT, unix:PATH, unix-dgram:PATH or unix-seqpacket:PATH, or the URL of a page; with --play, the transcript's
    /// `at` is the default
    #[arg(value_name = "ADDR|URL", required_unless_present = "play", num_args = 1..=2)]
    pub(crate) address: Vec<String>,
    /// Play the C side of a transcript and check every answer; of several each is played as often as its weight says
    #[arg(long, value_name = "FILE[@WEIGHT]", value_parser = weighted)]
    pub(crate) play: Vec<(PathBuf, u32)>,
    /// Connections at once
    #[arg(long, value_name = "N", default_value_t = limits::LOAD_CONNECTIONS as u32, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) connections: u32,
    /// Threads; one for each processor if not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// How long plays begin; 10 s, unless --plays is given
    #[arg(long, value_name = "TIME", value_parser = lasting)]
    pub(crate) duration: Option<Duration>,
    /// Plays in all
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) plays: Option<u64>,
    /// A connection for each play
    #[arg(long)]
    pub(crate) reconnect: bool,
    /// Open connections one after the other over so long; with --rate, let the rate grow over it, too
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "0")]
    pub(crate) ramp: Duration,
    /// Pause between two plays of a connection
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "0", conflicts_with = "rate")]
    pub(crate) think: Duration,
    /// Give plays the values of a .csv (names in its first row) or .jsonl file, row by row, and from the front again; of a page:
    /// send this, or with @FILE what a file holds, and ask with POST
    #[arg(long, value_name = "FILE|TEXT")]
    pub(crate) data: Option<OsString>,
    /// Of a page: requests on their way at once over a connection
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with = "play", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) pipeline: u16,
    /// Of a page: send a field; `Name:` leaves out our own
    #[arg(short = 'H', long, value_name = "NAME: VALUE", conflicts_with = "play")]
    pub(crate) header: Vec<String>,
    /// Of a page: the method
    #[arg(short = 'X', long, value_name = "METHOD", conflicts_with = "play", value_parser = method)]
    pub(crate) method: Option<String>,
    /// Of a page: the status that every answer must have; without it, one from 200 to 399
    #[arg(long, value_name = "CODE", conflicts_with = "play", value_parser = clap::value_parser!(u16).range(200..=599))]
    pub(crate) status: Option<u16>,
    /// Connect from these addresses of this machine, in turn; each has 28,000 ports
    #[arg(long, value_name = "ADDR[,ADDR]", value_delimiter = ',')]
    pub(crate) source: Vec<IpAddr>,
    /// Begin so many plays a second, whatever the server does
    #[arg(long, value_name = "N", value_parser = rate)]
    pub(crate) rate: Option<f64>,
    /// With --rate: at even distances, or at random as people come, by --seed
    #[arg(long, value_name = "HOW", requires = "rate", value_enum, default_value = "constant")]
    pub(crate) arrivals: ArrivalsFlag,
    /// Fail if the slowest of a hundred exchanges took longer
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) max_p99: Option<Duration>,
    /// Fail if more plays failed: a number, or a part of all such as 0.1%
    #[arg(long, value_name = "N|%", value_parser = allowed)]
    pub(crate) max_errors: Option<Allowed>,
    /// Fail if there were fewer exchanges a second
    #[arg(long, value_name = "N", value_parser = rate)]
    pub(crate) min_rate: Option<f64>,
    /// Write what was measured, for sockeye report
    #[arg(long, value_name = "FILE.json")]
    pub(crate) save: Option<PathBuf>,
    /// Write a page about it: one file, without a network
    #[arg(long, value_name = "FILE.html")]
    pub(crate) report: Option<PathBuf>,
    /// Be one of several that share connections, rate, plays and rows: 2/4 is the second of four; Slurm, AWS Batch and, with
    /// --shards, Kubernetes say it themselves
    #[arg(long, value_name = "I/N", value_parser = shard)]
    pub(crate) shard: Option<Shard>,
    /// Of how many shards this is one, where JOB_COMPLETION_INDEX says which
    #[arg(long, value_name = "N", conflicts_with = "shard", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) shards: Option<u32>,
    /// Begin then: 2026-11-28T15:30:00Z, or seconds since 1970
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) start_at: Option<SystemTime>,
    /// Wait so long for the server's next line
    #[arg(long, value_name = "TIME", value_parser = limit)]
    pub(crate) timeout: Option<Duration>,
    /// For looking the name up and for each connection
    #[arg(long, value_name = "TIME", value_parser = limit, default_value = "10s")]
    pub(crate) connect_timeout: Duration,
    /// Over TLS, trust who these certificates (PEM) sign for, and no others
    #[arg(long, value_name = "FILE", conflicts_with = "pin")]
    pub(crate) ca: Option<PathBuf>,
    /// The same for one certificate, no matter who signed it
    #[arg(long, value_name = "sha256:HEX", value_parser = pin)]
    pub(crate) pin: Option<Trust>,
    /// Longest line
    #[arg(long, value_name = "SIZE", value_parser = size, default_value = "64KiB")]
    pub(crate) max_line: usize,
    #[command(flatten)]
    pub(crate) values: Values,
    #[command(flatten)]
    pub(crate) family: FamilyFlags,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ArrivalsFlag {
    Constant,
    Poisson,
}

impl From<ArrivalsFlag> for Arrivals {
    fn from(flag: ArrivalsFlag) -> Self {
        match flag {
            ArrivalsFlag::Constant => Self::Constant,
            ArrivalsFlag::Poisson => Self::Poisson,
        }
    }
}

/// `FILE`, or `FILE@3`. A file whose name has an `@` and digits behind it is named with a weight: `a@2@1`.
fn weighted(text: &str) -> Result<(PathBuf, u32), String> {
    match text.rsplit_once('@') {
        Some((file, weight))
            if !file.is_empty() && !weight.is_empty() && weight.bytes().all(|b| b.is_ascii_digit()) =>
        {
            let weight = weight.parse::<u32>().ok().filter(|weight| (1..=1_000_000).contains(weight));
            Ok((file.into(), weight.ok_or("a weight is from 1 to 1000000")?))
        }
        _ => Ok((text.into(), 1)),
    }
}

fn method(text: &str) -> Result<String, String> {
    let is_token =
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.!~".contains(&byte));
    if is_token { Ok(text.to_owned()) } else { Err("a method is one word, such as PUT".to_owned()) }
}

fn rate(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix("/s").unwrap_or(text);
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    match number.parse::<f64>() {
        Ok(rate) if is_number && rate > 0.0 && rate <= 1e9 => Ok(rate),
        _ => Err("write how many a second: 1000, 0.5".to_owned()),
    }
}

fn allowed(text: &str) -> Result<Allowed, String> {
    let wrong = || "write a number or a part of all: 0, 10, 0.1%".to_owned();
    match text.strip_suffix('%') {
        None => text.parse().map(Allowed::Count).map_err(|_| wrong()),
        Some(part) => match part.trim().parse::<f64>() {
            Ok(part) if (0.0..=100.0).contains(&part) => Ok(Allowed::Part(part / 100.0)),
            _ => Err(wrong()),
        },
    }
}

/// `1/4` to `4/4`.
pub(crate) fn shard(text: &str) -> Result<Shard, String> {
    let wrong = || "write which of how many, from 1: 1/4, 2/4, 3/4 and 4/4".to_owned();
    let (index, of) = text.split_once('/').ok_or_else(wrong)?;
    let (index, of) = (index.parse::<u32>().map_err(|_| wrong())?, of.parse::<u32>().map_err(|_| wrong())?);
    if index == 0 || index > of { Err(wrong()) } else { Ok(Shard { index: index - 1, of }) }
}

fn moment(text: &str) -> Result<SystemTime, String> {
    let is_seconds = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let seconds = text.parse::<f64>().ok().filter(|_| is_seconds);
    let since = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let read = since.and_then(|since| SystemTime::UNIX_EPOCH.checked_add(since));
    read.or_else(|| sockeye::figures::point_in_time(text))
        .ok_or_else(|| "write 2026-11-28T15:30:00Z, or seconds since 1970".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_people_write_them() {
        assert_eq!(weighted("a.talk"), Ok(("a.talk".into(), 1)));
        assert_eq!(weighted("a.talk@3"), Ok(("a.talk".into(), 3)));
        assert_eq!(weighted("me@home.talk"), Ok(("me@home.talk".into(), 1)));
        assert_eq!(weighted("me@2@1"), Ok(("me@2".into(), 1)));
        assert!(weighted("a.talk@0").is_err());
        assert_eq!((rate("1000"), rate("0.5/s")), (Ok(1000.0), Ok(0.5)));
        for text in ["0", "-1", "x", "", "inf", "nan", "1e3"] {
            assert!(rate(text).is_err(), "{text}");
        }
        assert_eq!(allowed("10"), Ok(Allowed::Count(10)));
        assert_eq!(allowed("1%"), Ok(Allowed::Part(0.01)));
        assert!(allowed("101%").is_err() && allowed("-1").is_err() && allowed("%").is_err());
        assert_eq!(shard("2/4"), Ok(Shard { index: 1, of: 4 }));
        for text in ["0/4", "5/4", "1", "/", "a/b", "1/0"] {
            assert!(shard(text).is_err(), "{text}");
        }
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_764_343_800);
        assert_eq!(moment("1764343800"), Ok(time));
        assert_eq!(moment("2025-11-28T15:30:00Z"), Ok(time));
        assert!(moment("tomorrow").is_err() && moment("").is_err() && moment("2025-13-28T15:30:00Z").is_err());
    }
}
