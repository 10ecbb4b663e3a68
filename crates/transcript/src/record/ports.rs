//! Ports that one side tells the other: where they stand in what was said. The number is another one each time, so it is
//! written as a hole.

use crate::secret::Secret;
use crate::side::Side;

/// A message in which a port may stand.
#[derive(Debug)]
pub(super) struct Mention {
    /// By its place among all messages.
    pub(super) statement: usize,
    pub(super) side: Side,
    /// Whether it is written in hex digits: a port may stand in it as two bytes.
    pub(super) is_hex: bool,
    pub(super) bytes: Vec<u8>,
}

/// Where a port stands that a connection goes to.
#[derive(Debug)]
pub(super) struct Port {
    /// None: it was not found in what was said.
    told: Option<Told>,
}

#[derive(Debug)]
struct Told {
    statement: usize,
    /// The name of its hole, how the number is written (`:p1,p2`), and the number as it is written.
    name: String,
    pattern: &'static str,
    value: Vec<u8>,
}

impl Port {
    /// Looks for a port in the message that its side said last.
    pub(super) fn told(port: u16, side: Side, mentions: &[Mention], others: &[Self], secrets: &[Secret]) -> Self {
        let found = mentions.iter().rev().filter(|mention| mention.side == side).find_map(|mention| {
            // A hole is for one connection.
            let is_taken = others.iter().any(|other| other.is_in(mention.statement));
            let (pattern, value) = written(port, mention).filter(|_| !is_taken)?;
            Some((mention.statement, pattern, value))
        });
        let told = found.map(|(statement, pattern, value)| {
            let name = (1..=others.len() + secrets.len() + 1)
                .map(|number| if number == 1 { "port".to_owned() } else { format!("port{number}") })
                .find(|name| {
                    !others.iter().any(|other| other.name() == Some(name))
                        && !secrets.iter().any(|secret| secret.name == *name)
                });
            Told { statement, name: name.unwrap_or_default(), pattern, value }
        });
        Self { told }
    }

    /// The name that stands for it.
    pub(super) fn name(&self) -> Option<&str> {
        self.told.as_ref().map(|told| told.name.as_str())
    }

    fn is_in(&self, statement: usize) -> bool {
        self.told.as_ref().is_some_and(|told| told.statement == statement)
    }

    /// The hole for it in a message, if that is the one that tells it.
    pub(super) fn as_hole(&self, statement: usize) -> Option<Secret> {
        let told = self.told.as_ref().filter(|told| told.statement == statement)?;
        Some(Secret { name: format!("{}{}", told.name, told.pattern), value: told.value.clone() })
    }
}

/// How a port stands in a message, if it does: by the pattern that writes it so.
fn written(port: u16, mention: &Mention) -> Option<(&'static str, Vec<u8>)> {
    let [high, low] = port.to_be_bytes();
    let as_text = [("", port.to_string()), (":p1,p2", format!("{high},{low}"))];
    let found = as_text.into_iter().find(|(_, digits)| stands(digits.as_bytes(), &mention.bytes));
    let found = found.map(|(pattern, digits)| (pattern, digits.into_bytes()));
    let is_binary = mention.is_hex && memchr::memmem::find(&mention.bytes, &[high, low]).is_some();
    found.or_else(|| is_binary.then(|| (":u16", vec![high, low])))
}

/// Whether a number stands somewhere by itself.
fn stands(number: &[u8], bytes: &[u8]) -> bool {
    memchr::memmem::find_iter(bytes, number).any(|at| {
        let is_digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
        !is_digit(at.checked_sub(1).and_then(|before| bytes.get(before))) && !is_digit(bytes.get(at + number.len()))
    })
}
