//! Two who talk, under any two short labels that take turns: `A:` and `B:`, `U:` and `H:`, `Alice>` and `Bob>`. Words
//! before a colon are in prose too, so that what only may be a conversation is told and not taken for one.

use std::collections::{HashMap, HashSet};

use super::clean::{behind_prefix, behind_time};
use super::label::{FIELDS, Form, Label, behind_example, is_letter};
use super::line::{Marker, is_answer};
use crate::side::Side;

/// So many labels of a page are looked at, those that stand there most often.
const MOST_LABELS: usize = 16;
/// More words than this, on average, are prose.
const WORDS: usize = 12;

/// Who asks, by its name, and who is asked. A letter says less: RFC 821's S is the sender.
const CLIENTS: [&str; 9] = ["cli", "client", "ua", "user", "browser", "caller", "initiator", "requester", "requestor"];
const SERVERS: [&str; 8] = ["srv", "server", "host", "daemon", "callee", "responder", "service", "sv"];
const CLIENT_LETTERS: [&str; 4] = ["c", "u", "i", "q"];
const SERVER_LETTERS: [&str; 3] = ["s", "h", "r"];

/// How it is known who of the two is the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// It was said by whoever imports the page.
    Told,
    Name,
    /// The other one says codes, as servers do.
    Answers,
    SpeaksFirst,
}

/// Two who talk.
#[derive(Debug, Clone)]
pub(super) struct Pair {
    client: (String, Form),
    server: (String, Form),
    pub(super) because: Reason,
}

/// What the labels of a page come to.
#[derive(Debug)]
pub(super) enum Found {
    /// No two labels take turns.
    Nothing,
    /// It may be a conversation and may be something else: why that is not known, and the first label.
    Unclear(String),
    Pair(Pair),
}

/// A line with a label.
struct Said<'a> {
    label: Label<'a>,
    text: &'a str,
    /// Words of it and of the lines that may be its rest.
    words: usize,
}

impl Pair {
    /// Looks for two labels that take turns; `client` is the name of one of them, if that is told.
    pub(super) fn find(lines: &[(usize, String)], client: Option<&str>) -> Found {
        let said = said(lines);
        let (mut labels, counts) = labels(&said);
        if let Some(client) = client {
            let client = client.trim_matches(['<', '>', '[', ']', ':', ' ']);
            labels.sort_by_key(|label| !label.name.eq_ignore_ascii_case(client));
            if !labels.first().is_some_and(|label| label.name.eq_ignore_ascii_case(client)) {
                return Found::Nothing;
            }
        }
        labels.truncate(MOST_LABELS);
        let Some((turns, one, other)) = most_turns(&said, &labels, client.is_some()) else { return Found::Nothing };
        // In the order in which they speak.
        let first = said.iter().map(|said| said.label).find(|label| [one, other].contains(label)).unwrap_or(one);
        let second = if first == one { other } else { one };
        let is_reply = |said: &&Said<'_>| is_answer(said.text.trim());
        let answers = |label| 2 * said_as(&said, label).filter(is_reply).count() >= counts[&label];
        if client.is_none() {
            let by_turns = turns >= 2 || (is_known(one) && is_known(other)) || answers(one) != answers(other);
            if let Some(why) = doubt(&said, &labels, &counts, (first, second), by_turns) {
                return Found::Unclear(format!(
                    "{why}: if two talk there, say who is the client (--client {})",
                    first.name
                ));
            }
        }
        let (client, because) = if client.is_some() { (one, Reason::Told) } else { who_asks(first, second, answers) };
        let server = if client == one { other } else { one };
        let own = |label: Label<'_>| (label.name.to_owned(), label.form);
        Found::Pair(Self { client: own(client), server: own(server), because })
    }

    /// Who says a line, and what.
    pub(super) fn marked<'b>(&self, body: &'b str) -> Option<(Marker, &'b str)> {
        let (label, said) = Label::of(body)?;
        let is = |(name, form): &(String, Form)| label.name == name && label.form == *form;
        let marker = if is(&self.client) { Marker::C } else { is(&self.server).then_some(Marker::S)? };
        Some((marker, said))
    }

    /// What was guessed, in words.
    pub(super) fn guess(&self) -> String {
        let label = |(name, form): &(String, Form)| Label { name, form: *form }.to_string();
        let (client, server) = (label(&self.client), label(&self.server));
        let why = match self.because {
            Reason::Told => return format!("{client} is the client, as --client says, and {server} the server"),
            Reason::Name => "by its name",
            Reason::Answers => "since the other one answers with codes",
            Reason::SpeaksFirst => "since it speaks first",
        };
        let other = match &self.server.0 {
            name if name.contains(' ') => format!("'{name}'"),
            name => name.clone(),
        };
        format!(
            "{client} and {server} are two who talk: {client} is the client, {why} (--client {other}: the other one)"
        )
    }
}

/// All labels, those that stand there most often first, and how often they do.
fn labels<'a>(said: &[Said<'a>]) -> (Vec<Label<'a>>, HashMap<Label<'a>, usize>) {
    let mut counts: HashMap<Label<'_>, usize> = HashMap::new();
    said.iter().for_each(|said| *counts.entry(said.label).or_default() += 1);
    // In the order of the page, which is the same each time.
    let mut seen = HashSet::new();
    let mut labels: Vec<Label<'_>> = said.iter().map(|said| said.label).filter(|label| seen.insert(*label)).collect();
    labels.sort_by_key(|label| (std::cmp::Reverse(counts[label]), label.name.len()));
    (labels, counts)
}

/// The two labels of one form that take turns most often, and how often they do; one of them is the first if that is told.
fn most_turns<'a>(said: &[Said<'a>], labels: &[Label<'a>], is_told: bool) -> Option<(usize, Label<'a>, Label<'a>)> {
    let turns = |one: Label<'_>, other: Label<'_>| {
        let mut both = said.iter().map(|said| said.label).filter(|label| [one, other].contains(label));
        let Some(mut last) = both.next() else { return 0 };
        both.filter(|&label| std::mem::replace(&mut last, label) != label).count()
    };
    let mut best: Option<(usize, Label<'_>, Label<'_>)> = None;
    for (at, &one) in labels.iter().enumerate() {
        for &other in &labels[at + 1..] {
            let count = if one.form == other.form { turns(one, other) } else { 0 };
            if count > best.map_or(0, |(most, ..)| most) {
                best = Some((count, one, other));
            }
        }
        if is_told {
            break;
        }
    }
    best
}

/// Why two labels may not be those of two who talk.
fn doubt<'a>(
    said: &[Said<'a>],
    labels: &[Label<'a>],
    counts: &HashMap<Label<'a>, usize>,
    (first, second): (Label<'a>, Label<'a>),
    by_turns: bool,
) -> Option<String> {
    let least = counts[&first].min(counts[&second]);
    // `Note:` between `A:` and `B:` is no third.
    let third = labels.iter().find(|&&label| {
        label != first
            && label != second
            && label.form == first.form
            && counts[&label] >= least
            && label.name.len() <= 2.max(first.name.len()).max(second.name.len())
    });
    let words: usize = said_as(said, first).chain(said_as(said, second)).map(|said| said.words).sum();
    let is_field =
        |label: Label<'_>| FIELDS.contains(&label.name.to_ascii_lowercase().as_str()) || label.name.contains('-');
    if let Some(third) = third {
        Some(format!("{first}, {second} and {third} stand before its lines, and a transcript has two sides"))
    } else if is_field(first) || is_field(second) || words > WORDS * (counts[&first] + counts[&second]) {
        Some(format!("{first} and {second} stand before its lines, which may be prose"))
    } else if by_turns {
        None
    } else {
        Some(format!("{first} and {second} stand before its lines only once by turns"))
    }
}

fn said_as<'s, 'a>(said: &'s [Said<'a>], label: Label<'a>) -> impl Iterator<Item = &'s Said<'a>> {
    said.iter().filter(move |said| said.label == label)
}

/// The lines of a page that have a label.
fn said(lines: &[(usize, String)]) -> Vec<Said<'_>> {
    let mut said: Vec<Said<'_>> = Vec::new();
    let mut goes_on = false;
    for (_, line) in lines {
        let body = behind_example(line.trim());
        let body = if Label::of(body).is_some() { body } else { behind_time_or_bullet(body) };
        let words = body.split_ascii_whitespace().count();
        if let Some((label, text)) = Label::of(body) {
            said.push(Said { label, text, words: words.saturating_sub(1) });
            goes_on = true;
        } else if words == 0 {
            goes_on = false;
        } else if let Some(last) = said.last_mut().filter(|_| goes_on) {
            last.words += words;
        }
    }
    said
}

/// A line without its time; without a bullet, where one letter stands behind it: a list has words there.
fn behind_time_or_bullet(body: &str) -> &str {
    behind_time(body).or_else(|| behind_prefix(body).filter(|behind| is_letter(behind))).unwrap_or(body)
}

/// Whose name a label is, if it is one of these.
fn role(label: Label<'_>, clients: &[&str], servers: &[&str]) -> Option<Side> {
    let name = label.name.to_ascii_lowercase();
    if clients.contains(&name.as_str()) {
        return Some(Side::Client);
    }
    servers.contains(&name.as_str()).then_some(Side::Server)
}

fn is_known(label: Label<'_>) -> bool {
    role(label, &CLIENTS, &SERVERS).or_else(|| role(label, &CLIENT_LETTERS, &SERVER_LETTERS)).is_some()
}

/// Who of two is the client.
fn who_asks<'a>(first: Label<'a>, second: Label<'a>, answers: impl Fn(Label<'a>) -> bool) -> (Label<'a>, Reason) {
    let by_name =
        |clients: &[&str], servers: &[&str]| match (role(first, clients, servers), role(second, clients, servers)) {
            (one, other) if one == other => None,
            (Some(Side::Client), _) | (None, Some(Side::Server)) => Some((first, Reason::Name)),
            _ => Some((second, Reason::Name)),
        };
    let by_answers = match (answers(first), answers(second)) {
        (true, false) => Some((second, Reason::Answers)),
        (false, true) => Some((first, Reason::Answers)),
        _ => None,
    };
    by_name(&CLIENTS, &SERVERS)
        .or(by_answers)
        .or_else(|| by_name(&CLIENT_LETTERS, &SERVER_LETTERS))
        .unwrap_or((first, Reason::SpeaksFirst))
}
