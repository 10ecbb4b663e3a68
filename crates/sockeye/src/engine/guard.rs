//! Whom a datagram server answers. A source address over UDP is only a claim: an answer may hit a host that never
//! asked, and two servers may answer each other for ever (CVE-2024-2169, US-CERT TA14-017A).

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use transcript::Moment;

use crate::limits;

/// Source ports of services that answer whatever they get: echo, daytime, qotd, chargen, time, DNS, TFTP, NTP, SNMP,
/// LDAP, SSDP, mDNS, memcached.
const SERVICE_PORTS: [u16; 13] = [7, 13, 17, 19, 37, 53, 69, 123, 161, 389, 1900, 5353, 11211];
const SECOND: Duration = Duration::from_secs(1);

/// What bounds the answers to sources off the loopback.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Budget {
    /// The bounds hold for every source.
    #[default]
    On,
    /// They hold for none.
    Off,
    /// They hold for none inside this network, given as an address and a prefix length in bits.
    Except(IpAddr, u8),
}

impl Budget {
    fn frees(self, source: IpAddr) -> bool {
        match self {
            Self::On => source.is_loopback(),
            Self::Off => true,
            Self::Except(network, bits) => {
                source.is_loopback() || prefix(source, bits, bits) == prefix(network, bits, bits)
            }
        }
    }
}

/// Why a datagram gets no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Withheld {
    Empty,
    OwnPort,
    ServicePort,
    /// It gives back what we say.
    Loop,
    Amplification,
    Rate,
    /// The system has no room for what was said before.
    NoRoom,
    /// The client of a Unix socket does not read what it was told before.
    NotRead,
    /// It may not come in.
    Denied,
}

impl Withheld {
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Denied => "datagrams from addresses that may not come in (--allow, --deny)",
            Self::Empty => "empty datagrams get no answer",
            Self::OwnPort => "datagrams from our own port number get no answer",
            Self::ServicePort => "datagrams from a service's port get no answer",
            Self::Loop => "a source that gives back our own words is taken for another server (--udp-budget off)",
            Self::Amplification => "off the loopback at most 3 bytes go out for each byte in (--udp-budget)",
            Self::Rate => "off the loopback at most 50 datagrams a second go to a network (--udp-budget)",
            Self::NotRead => "1024 answers or 256 KiB of them wait already for a client that does not read them",
            Self::NoRoom => "256 KiB of answers wait already: the interface does not take them",
        }
    }
}

#[derive(Debug, Default, Clone, Copy)]
struct Source {
    answered: u32,
    bytes_in: u64,
    bytes_out: u64,
}

#[derive(Debug, Clone, Copy)]
struct Window {
    since: Moment,
    count: u32,
}

/// One datagram server's memory of its sources.
#[derive(Debug)]
pub(crate) struct Guard {
    budget: Budget,
    own_ports: Vec<u16>,
    sources: HashMap<IpAddr, Source>,
    prefixes: HashMap<IpAddr, Window>,
    /// Sources that may be another server: what they sent last, how often in a row, when.
    echoes: HashMap<SocketAddr, (u64, u32, Moment)>,
}

impl Guard {
    pub(crate) fn new(budget: Budget, own_ports: Vec<u16>) -> Self {
        let (sources, prefixes, echoes) = Default::default();
        Self { budget, own_ports, sources, prefixes, echoes }
    }

    /// Whether it is held against any source what it says.
    pub(crate) fn is_on(&self) -> bool {
        self.budget != Budget::Off
    }

    /// Whether a datagram may be answered at all. `ours` says that it could be something we say ourselves.
    pub(crate) fn admit(
        &mut self,
        source: SocketAddr,
        payload: &[u8],
        ours: Reflected,
        now: Moment,
    ) -> Result<(), Withheld> {
        if payload.is_empty() {
            return Err(Withheld::Empty);
        }
        if self.own_ports.contains(&source.port()) {
            return Err(Withheld::OwnPort);
        }
        if SERVICE_PORTS.contains(&source.port()) {
            return Err(Withheld::ServicePort);
        }
        if self.is_on() && self.is_loop(source, payload, ours, now) {
            return Err(Withheld::Loop);
        }
        Ok(())
    }

    fn is_loop(&mut self, source: SocketAddr, payload: &[u8], ours: Reflected, now: Moment) -> bool {
        if ours == Reflected::No {
            return false;
        }
        if self.echoes.len() >= limits::UDP_SOURCES {
            self.echoes.clear();
        }
        let hash = match ours {
            // An echo says what it hears: only the same payload again and again is suspicious.
            Reflected::IfRepeated => {
                let mut hasher = DefaultHasher::new();
                payload.hash(&mut hasher);
                hasher.finish()
            }
            Reflected::Yes | Reflected::No => 0,
        };
        let (last, rounds, at) = self.echoes.entry(source).or_insert((hash, 0, now));
        if *last != hash || now > at.after(SECOND) {
            (*last, *rounds) = (hash, 0);
        }
        *at = now;
        *rounds = rounds.saturating_add(1);
        *rounds > limits::UDP_ROUNDS
    }

    /// Whether an answer of so many bytes to so many bytes may go out; it is counted if so.
    pub(crate) fn answer(&mut self, to: IpAddr, bytes_in: u64, bytes_out: u64, now: Moment) -> Result<(), Withheld> {
        if self.budget.frees(to) {
            return Ok(());
        }
        if self.sources.len() >= limits::UDP_SOURCES {
            self.sources.clear();
        }
        if self.prefixes.len() >= limits::UDP_SOURCES {
            self.prefixes.clear();
        }
        let source = self.sources.entry(to).or_default();
        source.bytes_in = source.bytes_in.saturating_add(bytes_in);
        let free = source.answered < limits::UDP_FREE;
        if !free
            && source.bytes_out.saturating_add(bytes_out) > source.bytes_in.saturating_mul(limits::UDP_AMPLIFICATION)
        {
            return Err(Withheld::Amplification);
        }
        let window = self.prefixes.entry(prefix(to, 24, 56)).or_insert(Window { since: now, count: 0 });
        if now >= window.since.after(SECOND) {
            *window = Window { since: now, count: 0 };
        }
        if window.count >= limits::UDP_PREFIX_RATE {
            return Err(Withheld::Rate);
        }
        window.count += 1;
        source.answered = source.answered.saturating_add(1);
        // The free ones do not use up what the later ones may say.
        if !free {
            source.bytes_out = source.bytes_out.saturating_add(bytes_out);
        }
        Ok(())
    }
}

/// Whether a payload could be one of our own answers come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reflected {
    No,
    Yes,
    /// Only if it comes again and again.
    IfRepeated,
}

fn prefix(address: IpAddr, v4_bits: u8, v6_bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(v4_bits.min(32))).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask))
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(v6_bits.min(128))).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Moment {
        Moment::from_nanos(millis * 1_000_000)
    }

    fn guard(budget: Budget) -> Guard {
        Guard::new(budget, vec![9999])
    }

    #[test]
    fn an_empty_datagram_our_own_port_and_service_ports_get_no_answer() {
        let mut guard = guard(Budget::Off);
        let from = |port| SocketAddr::from(([127, 0, 0, 1], port));
        assert_eq!(guard.admit(from(40000), b"", Reflected::No, at(0)), Err(Withheld::Empty));
        assert_eq!(guard.admit(from(9999), b"x", Reflected::No, at(0)), Err(Withheld::OwnPort));
        for port in SERVICE_PORTS {
            assert_eq!(guard.admit(from(port), b"x", Reflected::No, at(0)), Err(Withheld::ServicePort));
        }
        assert_eq!(guard.admit(from(40000), b"x", Reflected::No, at(0)), Ok(()));
    }

    #[test]
    fn another_server_is_answered_eight_times_and_a_client_always() {
        let mut guard = guard(Budget::On);
        let source = SocketAddr::from(([127, 0, 0, 1], 40000));
        let answered = (0..100).filter(|_| guard.admit(source, b"Hello, x!", Reflected::Yes, at(0)).is_ok()).count();
        assert_eq!(answered, 8);
        let client = SocketAddr::from(([127, 0, 0, 1], 40001));
        assert!((0..100).all(|_| guard.admit(client, b"x", Reflected::No, at(0)).is_ok()));
        assert!((0..100_u8).all(|n| guard.admit(client, &[n, 1], Reflected::IfRepeated, at(0)).is_ok()));
        assert!((0..100).all(|n| guard.admit(client, b"ping", Reflected::IfRepeated, at(2000 * n)).is_ok()));
    }

    #[test]
    fn off_the_loopback_a_source_gets_eight_answers_and_then_three_bytes_for_one() {
        let mut guard = guard(Budget::On);
        let victim = IpAddr::from([10, 0, 0, 1]);
        let mut sent = 0;
        for round in 0..40 {
            if guard.answer(victim, 1, 9, at(100 * round)).is_ok() {
                sent += 1;
            }
        }
        // Eight free ones; the forty bytes that came pay for thirteen answers of nine.
        assert_eq!(sent, 8 + 40 * 3 / 9);
        assert!((0..1000).all(|_| guard.answer(IpAddr::from([127, 0, 0, 1]), 1, 900, at(0)).is_ok()));
    }

    #[test]
    fn a_network_gets_fifty_datagrams_a_second_unless_the_budget_is_lifted_for_it() {
        let spray = |guard: &mut Guard| {
            (0..200_u8).filter(|&host| guard.answer(IpAddr::from([10, 0, 0, host]), 100, 1, at(0)).is_ok()).count()
        };
        assert_eq!(spray(&mut guard(Budget::On)), 50);
        assert_eq!(spray(&mut guard(Budget::Off)), 200);
        assert_eq!(spray(&mut guard(Budget::Except(IpAddr::from([10, 0, 0, 0]), 8))), 200);
        assert_eq!(spray(&mut guard(Budget::Except(IpAddr::from([192, 168, 0, 0]), 16))), 50);
    }
}
