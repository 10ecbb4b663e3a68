//! Who may come in, and how many: rules about addresses, which may change while a server runs, and counts.
//!
//! ```
//! use sockeye::gate::{Gate, Rules};
//!
//! let rules = Rules { allow: vec!["10.0.0.0/8".parse()?], deny: vec!["10.0.0.7".parse()?] };
//! let gate = Gate::new(rules);
//! assert!(gate.admits("10.1.2.3".parse()?));
//! assert!(!gate.admits("10.0.0.7".parse()?) && !gate.admits("192.0.2.1".parse()?));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// Addresses that begin with the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Prefix {
    network: u128,
    /// Of the 128 bits of an IPv6 address; an IPv4 address stands in the last 32 (RFC 4291, section 2.5.5.2).
    bits: u32,
}

/// What is no address and no prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrefixError(String);

impl fmt::Display for PrefixError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no address and no prefix such as 10.0.0.0/8 or 2001:db8::/32", self.0)
    }
}

impl std::error::Error for PrefixError {}

impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let wrong = || PrefixError(text.to_owned());
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.trim_matches(['[', ']']).parse().map_err(|_| wrong())?;
        let own = if address.is_ipv4() { 32 } else { 128 };
        let length = match length {
            // `+8` and `08` are no lengths.
            Some(length) if length.bytes().all(|byte| byte.is_ascii_digit()) => {
                length.parse().ok().filter(|length| *length <= own).ok_or_else(wrong)?
            }
            Some(_) => return Err(wrong()),
            None => own,
        };
        let bits = 128 - own + length;
        Ok(Self { network: number(address) & mask(bits), bits })
    }
}

impl Prefix {
    /// Whether an address begins like this. One of IPv4 is the same however it is written.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        number(address) & mask(self.bits) == self.network
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().into(),
        IpAddr::V6(address) => address.into(),
    }
}

fn mask(bits: u32) -> u128 {
    if bits == 0 { 0 } else { u128::MAX << (128 - bits) }
}

/// Which addresses may come in: those of `allow`, or all where it is empty, less those of `deny`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// Those that may.
    pub allow: Vec<Prefix>,
    /// Those that may not, even if they are among the others.
    pub deny: Vec<Prefix>,
}

impl Rules {
    fn admits(&self, address: IpAddr) -> bool {
        let is_in = |prefixes: &[Prefix]| prefixes.iter().any(|prefix| prefix.contains(address));
        (self.allow.is_empty() || is_in(&self.allow)) && !is_in(&self.deny)
    }
}

/// What becomes of a client that there is no room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenFull {
    /// It waits until there is.
    #[default]
    Wait,
    /// Its connection is closed.
    Refuse,
}

/// Why a client does not come in, in words that follow its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Denied {
    /// The rules say so.
    ByRules,
    /// As many are inside as may be.
    Full(usize),
    /// As many of its address.
    FullOfAddress(usize),
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ByRules => f.write_str("may not come in (--allow, --deny)"),
            Self::Full(most) => write!(f, "refused: {most} connections, as many as may be (--max-conns)"),
            Self::FullOfAddress(most) => {
                write!(f, "refused: {most} connections, as many as may be of one address (--max-conns-per-address)")
            }
        }
    }
}

/// The client that a message is about.
pub(crate) fn who(address: Option<IpAddr>) -> String {
    address.map_or_else(|| "a client".to_owned(), |address| address.to_string())
}

/// A door that servers share with the code that changes its rules.
#[derive(Debug, Clone, Default)]
pub struct Gate {
    /// Connections in all.
    pub most: Option<usize>,
    /// Connections of one address.
    pub per_address: Option<usize>,
    /// Clients that there is no room for.
    pub when_full: WhenFull,
    shared: Arc<GateState>,
}

#[derive(Debug, Default)]
struct GateState {
    rules: RwLock<Rules>,
    inside: Mutex<HashMap<IpAddr, usize>>,
    /// How many have left.
    left: AtomicU64,
}

impl Gate {
    /// One with rules and without counts.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        let gate = Self::default();
        gate.replace(rules);
        gate
    }

    /// From here on these rules hold, for those who come. Those inside stay.
    pub fn replace(&self, rules: Rules) {
        *self.shared.rules.write().unwrap_or_else(PoisonError::into_inner) = rules;
    }

    /// Whether this address may come in.
    #[must_use]
    pub fn admits(&self, address: IpAddr) -> bool {
        self.shared.rules.read().unwrap_or_else(PoisonError::into_inner).admits(address)
    }

    /// Lets a client in, beside so many who are inside, or says why not. Who may come to a Unix socket is said by the rights of
    /// its file: there it has no address.
    pub(crate) fn judge(&self, address: Option<IpAddr>, inside: usize) -> Result<Option<Box<Pass>>, Denied> {
        self.judge_by_rules(address)?;
        if let Some(most) = self.most.filter(|most| inside >= *most) {
            return Err(Denied::Full(most));
        }
        self.enter_from(address)
    }

    /// The same of a client that is inside already, and whose address was not known before.
    pub(crate) fn judge_announced(&self, address: Option<IpAddr>) -> Result<Option<Box<Pass>>, Denied> {
        self.judge_by_rules(address)?;
        self.enter_from(address)
    }

    fn judge_by_rules(&self, address: Option<IpAddr>) -> Result<(), Denied> {
        let is_denied = address.is_some_and(|address| !self.admits(address));
        if is_denied { Err(Denied::ByRules) } else { Ok(()) }
    }

    /// Lets a client in, or says that there are as many of its address as may be.
    pub(crate) fn enter_from(&self, address: Option<IpAddr>) -> Result<Option<Box<Pass>>, Denied> {
        let entered = address.map_or(Ok(None), |address| self.enter(address));
        entered.map_err(|()| Denied::FullOfAddress(self.per_address.unwrap_or_default()))
    }

    /// How many may be inside at once, where something else bounds them too.
    pub(crate) fn bound(&self, other: usize) -> usize {
        self.most.map_or(other, |most| most.min(other))
    }

    /// As many as may be are inside, and new clients wait: how many that is.
    pub(crate) fn is_full(&self, inside: usize) -> Option<usize> {
        self.most.filter(|most| self.when_full == WhenFull::Wait && inside >= *most)
    }

    /// Whether clients are counted.
    pub(crate) fn counts(&self) -> bool {
        self.most.is_some() || self.per_address.is_some()
    }

    /// That more of an address wait.
    pub(crate) fn words_of_waiting(&self, address: Option<IpAddr>) -> String {
        let most = self.per_address.unwrap_or_default();
        let who = address.map_or_else(String::new, |address| format!("{address} has "));
        format!(
            "{who}{most} connections, as many as may be of one address (--max-conns-per-address); its next clients wait"
        )
    }

    /// That more of all wait.
    pub(crate) fn words_of_full(most: usize) -> String {
        format!("{most} connections, as many as may be (--max-conns); new clients wait")
    }

    /// Lets one in where connections of an address are counted; an error if there are as many as may be.
    fn enter(&self, address: IpAddr) -> Result<Option<Box<Pass>>, ()> {
        let Some(most) = self.per_address else { return Ok(None) };
        let mut inside = self.shared.inside.lock().unwrap_or_else(PoisonError::into_inner);
        let count = inside.entry(address).or_default();
        if *count >= most {
            return Err(());
        }
        *count += 1;
        Ok(Some(Box::new(Pass { shared: Arc::clone(&self.shared), address })))
    }

    /// How many of those that were counted have left.
    pub(crate) fn left(&self) -> u64 {
        self.shared.left.load(Ordering::SeqCst)
    }
}

/// The right to be inside, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Pass {
    shared: Arc<GateState>,
    address: IpAddr,
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut inside = self.shared.inside.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = inside.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                inside.remove(&self.address);
            }
        }
        self.shared.left.fetch_add(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Prefix {
        text.parse().unwrap()
    }

    #[test]
    fn a_prefix_is_of_bits_and_ipv4_is_the_same_however_it_is_written() {
        for (prefix, address, is_in) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.1.2.3/8", "10.9.9.9", true),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("::ffff:10.0.0.0/104", "10.1.2.3", true),
            ("192.0.2.128/25", "192.0.2.127", false),
            ("192.0.2.128/25", "192.0.2.128", true),
            ("0.0.0.0/0", "255.255.255.255", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "10.1.2.3", true),
            ("2001:db8::/33", "2001:db8:7fff::1", true),
            ("2001:db8::/33", "2001:db8:8000::1", false),
            ("[::1]", "::1", true),
            ("127.0.0.1", "127.0.0.2", false),
        ] {
            let address = address.parse().unwrap();
            assert_eq!(self::prefix(prefix).contains(address), is_in, "{address} in {prefix}");
        }
        for text in [
            "",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/",
            "10.0.0.0/-1",
            "10.0.0.0/+8",
            "10.0.0",
            "localhost",
            "1.2.3.4/8/9",
        ] {
            assert!(text.parse::<Prefix>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_denied_is_out_even_if_it_is_allowed_and_new_rules_hold_at_once() {
        let gate = Gate::new(Rules { allow: vec![prefix("10.0.0.0/8")], deny: vec![prefix("10.0.0.0/24")] });
        let admits = |gate: &Gate, address: &str| gate.admits(address.parse().unwrap());
        assert!(admits(&gate, "10.1.0.1") && !admits(&gate, "10.0.0.1") && !admits(&gate, "::1"));
        let other = gate.clone();
        gate.replace(Rules { allow: vec![], deny: vec![prefix("::1")] });
        assert!(admits(&other, "10.0.0.1") && !admits(&other, "::1"));
    }

    #[test]
    fn who_leaves_makes_room_for_the_next_of_its_address() {
        let gate = Gate { per_address: Some(2), ..Gate::default() };
        let address = "192.0.2.1".parse().unwrap();
        let passes = [gate.enter(address).unwrap(), gate.enter(address).unwrap()];
        assert!(gate.enter(address).is_err());
        assert!(gate.enter("192.0.2.2".parse().unwrap()).is_ok());
        assert_eq!(gate.left(), 1);
        drop(passes);
        assert!(gate.enter(address).is_ok());
        assert!(gate.shared.inside.lock().unwrap().is_empty());
        assert!(Gate::default().enter(address).unwrap().is_none());
    }
}
