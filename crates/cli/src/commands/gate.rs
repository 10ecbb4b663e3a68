//! Who may come in: the rules that were given, read again at SIGHUP; and the user that the server becomes.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use sockeye::event::{Event, Observer};
use sockeye::gate::{Gate, Prefix, Rules, WhenFull};
use sockeye::net::words;
use sockeye::user::User;

use super::signals;
use crate::exit::Exit;
use crate::flags::gate::{self as flags, GateFlags};
use crate::output::Console;

/// The gate, as the flags say.
pub(super) fn gate(flags: &GateFlags, console: &Console) -> Result<Gate, Exit> {
    let rules = rules(&flags.allow, &flags.deny).map_err(|(exit, why)| console.fail(exit, &why))?;
    let count = |count: Option<u32>| count.map(|count| usize::try_from(count).unwrap_or(usize::MAX));
    let when_full = match flags.when_full {
        flags::WhenFull::Wait => WhenFull::Wait,
        flags::WhenFull::Refuse => WhenFull::Refuse,
    };
    let mut gate = Gate::new(rules);
    (gate.most, gate.per_address) = (count(flags.max_conns), count(flags.max_conns_per_address));
    gate.when_full = when_full;
    Ok(gate)
}

/// What may be read again: a gate and where its rules come from.
struct Source {
    gate: Gate,
    allow: Vec<String>,
    deny: Vec<String>,
}

impl Source {
    /// None where no rule is in a file.
    fn new(gate: &Gate, flags: &GateFlags) -> Option<Self> {
        let GateFlags { allow, deny, .. } = flags;
        let has_file = allow.iter().chain(deny).any(|rule| rule.starts_with('@'));
        has_file.then(|| Self { gate: gate.clone(), allow: allow.clone(), deny: deny.clone() })
    }

    /// Reads the rules again; the old ones stay if the new ones are wrong.
    fn read_again(&self) -> String {
        match rules(&self.allow, &self.deny) {
            Ok(rules) => {
                let (allow, deny) = (rules.allow.len(), rules.deny.len());
                self.gate.replace(rules);
                format!("read again who may come in: {allow} allowed, {deny} denied")
            }
            Err((_, why)) => format!("not read again, the old rules stay: {why}"),
        }
    }
}

/// What tells how reading rules again went, until this is dropped: a log ends when no one writes to it any more.
pub(super) struct Rereading(Arc<Mutex<Option<Box<dyn Observer>>>>);

impl Drop for Rereading {
    fn drop(&mut self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// Has SIGHUP read rules again that are in files.
pub(super) fn read_again_on_hangup(gate: &Gate, flags: &GateFlags, console: &Console) -> io::Result<Rereading> {
    let teller = Arc::new(Mutex::new(None));
    if let Some(source) = Source::new(gate, flags) {
        *teller.lock().unwrap_or_else(PoisonError::into_inner) = Some(console.observer());
        let teller = Arc::clone(&teller);
        signals::on_hangup(move || {
            let notice = Event::Notice(source.read_again());
            if let Some(teller) = &mut *teller.lock().unwrap_or_else(PoisonError::into_inner) {
                teller.observe(notice);
            }
        })?;
    }
    Ok(Rereading(teller))
}

fn rules(allow: &[String], deny: &[String]) -> Result<Rules, (Exit, String)> {
    Ok(Rules { allow: prefixes("--allow", allow)?, deny: prefixes("--deny", deny)? })
}

fn prefixes(flag: &str, given: &[String]) -> Result<Vec<Prefix>, (Exit, String)> {
    let mut prefixes = Vec::new();
    for rule in given {
        let Some(path) = rule.strip_prefix('@') else {
            prefixes.push(rule.parse().map_err(|error| (Exit::Usage, format!("{flag}: {error}")))?);
            continue;
        };
        let text = std::fs::read_to_string(Path::new(path))
            .map_err(|error| (Exit::CannotRead, format!("{flag}: {path}: {}", words(&error))))?;
        let mut found = false;
        for (index, line) in text.lines().enumerate() {
            let rule = line.split('#').next().unwrap_or_default().trim();
            if rule.is_empty() {
                continue;
            }
            let rule = rule.parse().map_err(|error| (Exit::Usage, format!("{flag}: {path}:{}: {error}", index + 1)))?;
            prefixes.push(rule);
            found = true;
        }
        if !found && flag == "--allow" {
            // No rule at all would let everybody in.
            return Err((Exit::Usage, format!("{flag}: {path}: no address is in it; ::/0 is every one")));
        }
    }
    Ok(prefixes)
}

/// Who is to be become, if anyone: looked for before anything is bound.
pub(super) fn user(flags: &GateFlags, console: &Console) -> Result<Option<User>, Exit> {
    let Some(name) = &flags.user else { return Ok(None) };
    let user = User::parse(name).map_err(|why| console.fail(Exit::Usage, &format!("--user: {why}")))?;
    Ok(Some(user))
}

/// Becomes it.
pub(super) fn become_user(user: Option<&User>, console: &Console) -> Result<(), Exit> {
    let Some(user) = user else { return Ok(()) };
    user.become_it().map_err(|error| {
        let hint = match error.kind() {
            std::io::ErrorKind::PermissionDenied => "; only root may become another user",
            _ => "",
        };
        console.fail(Exit::Usage, &format!("--user: cannot become {user}: {}{hint}", words(&error)))
    })?;
    if console.verbose > 0 {
        console.note(&format!("became {user}, and there is no way back"));
    }
    Ok(())
}
