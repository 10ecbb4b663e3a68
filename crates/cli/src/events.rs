//! Events as lines for people, or as JSON: one event is one line, whatever a peer put into it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Map, Value, json};
use sockeye::event::{Conversation, Ended, Event};
use sockeye::failure::Failure;

use crate::failure::{put_conversation, put_failure};
use crate::{clean, json};

/// Openings and closings in a second above which they are summed up.
const MANY: u64 = 100;
/// Causes told apart in a second: a text may name what a peer sent, and then each is another.
const CAUSES: usize = 32;
const SECOND: Duration = Duration::from_secs(1);

/// How events are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// Lines; many openings and closings in a second become one.
    Summed,
    /// Lines, every one.
    Every,
    /// JSON objects, every one.
    Json,
}

/// Turns events into text. It reads no clock: the time comes in.
pub(crate) struct Renderer {
    style: Style,
    /// When the second in hand began.
    since: Duration,
    shown: u64,
    opened: u64,
    closed: u64,
    answered: u64,
    /// By cause: how many of it were held back in this second, and whether one was shown.
    causes: BTreeMap<String, (u64, bool)>,
}

impl Renderer {
    pub(crate) fn new(style: Style) -> Self {
        Self { style, since: Duration::ZERO, shown: 0, opened: 0, closed: 0, answered: 0, causes: BTreeMap::new() }
    }

    pub(crate) fn event(&mut self, event: &Event, now: Duration, text: &mut String) {
        self.tick(now, false, text);
        if self.style == Style::Json {
            if let Event::Answered { lines, .. } = event {
                text.push_str(lines);
                return;
            }
            json::push_line(text, &Value::Object(object(event)));
            return;
        }
        match event {
            Event::Listening(endpoint) => push_line(text, &format!("listening on {endpoint}")),
            Event::Opened(conversation) => {
                if self.may_show() {
                    push_line(text, &format!("opened {}", known(conversation)));
                } else {
                    self.opened += 1;
                }
            }
            Event::Closed { .. } => {
                if !self.may_show() {
                    self.closed += 1;
                    return;
                }
                push_line(text, &closed(event));
            }
            Event::Failed { conversation, failure } => {
                if self.style == Style::Every || self.first_of(cause(failure), 1) {
                    text.push_str(&clean::lines(&failure.of(conversation.as_ref())));
                }
            }
            Event::Dropped { count, error } => {
                if self.first_of(error.clone(), *count) {
                    push_line(text, &format!("dropped {count}: {error}"));
                }
            }
            Event::Notice(notice) => push_line(text, notice),
            Event::Stderr { number, line } => push_line(text, &format!("#{number}: {line}")),
            Event::Said { number, text: said, .. } => push_line(text, &format!("#{number} {said}")),
            Event::Answered { lines, .. } => {
                for line in lines.split_inclusive('\n') {
                    if self.may_show() {
                        text.push_str(line);
                    } else {
                        self.answered += 1;
                    }
                }
            }
            // One that this program does not know is better told badly than not at all.
            other => push_line(text, &format!("{other:?}")),
        }
    }

    /// A second may be over: says what it held back.
    pub(crate) fn tick(&mut self, now: Duration, end: bool, text: &mut String) {
        if now < self.since + SECOND && !end {
            return;
        }
        if self.opened + self.closed > 0 {
            push_line(
                text,
                &format!("and {} opened, {} closed in this second (-v shows each)", self.opened, self.closed),
            );
        }
        if self.answered > 0 {
            push_line(text, &format!("and {} requests answered in this second (-v shows each)", self.answered));
        }
        for (cause, (held, _)) in std::mem::take(&mut self.causes) {
            if held > 0 {
                push_line(text, &format!("{held} more: {cause}"));
            }
        }
        (self.since, self.shown, self.opened, self.closed, self.answered) = (now, 0, 0, 0, 0);
    }

    /// Events that a full queue lost.
    pub(crate) fn lost(&mut self, count: u64, text: &mut String) {
        let error = "log events were lost: standard error is slow";
        if self.style == Style::Json {
            json::push_line(text, &json!({ "event": "dropped", "count": count, "error": error }));
        } else {
            push_line(text, &format!("{count} {error}"));
        }
    }

    fn may_show(&mut self) -> bool {
        self.shown += 1;
        self.style == Style::Every || self.shown <= MANY
    }

    /// Whether a cause is new in this second; else it is counted.
    fn first_of(&mut self, cause: String, count: u64) -> bool {
        let cause = match self.causes.len() {
            CAUSES.. if !self.causes.contains_key(&cause) => "of other causes".to_owned(),
            _ => cause,
        };
        let (held, shown) = self.causes.entry(cause).or_default();
        if std::mem::replace(shown, true) {
            *held += count;
            return false;
        }
        true
    }
}

/// What a failed play has in common with others: its kind and its place. The same line of a transcript failing over and
/// over is one cause, no matter which client it is.
fn cause(failure: &Failure) -> String {
    let place = failure.place().map_or_else(String::new, |place| format!(" ({place})"));
    format!("error: {}{place}", failure.headline())
}

fn push_line(text: &mut String, line: &str) {
    text.push_str(&clean::line(line));
    text.push('\n');
}

/// `#1 tcp 127.0.0.1:9999 <- 127.0.0.1:52144`, and where a relay leads it.
fn known(conversation: &Conversation) -> String {
    let Conversation { number, protocol, server, client, to } = conversation;
    let to = to.as_ref().map_or_else(String::new, |to| format!(", to {to}"));
    format!("#{number} {protocol} {server} <- {client}{to}")
}

/// How a conversation ended, in one line.
fn closed(event: &Event) -> String {
    let Event::Closed { conversation, by, from_client, from_server, lasted, reason, ended, .. } = event else {
        return String::new();
    };
    let mut line = format!(
        "closed {} by {by}, {from_client} bytes from the client, {from_server} from the server, {:.3} s",
        known(conversation),
        lasted.as_secs_f64()
    );
    if let Some(ended) = ended {
        let _ = write!(line, ", its program {ended}");
    }
    if let Some(reason) = reason {
        let _ = write!(line, ": {reason}");
    }
    line
}

/// The same as fields.
fn put_end(object: &mut Map<String, Value>, event: &Event) {
    let Event::Closed { by, from_client, from_server, lasted, reason, ended, .. } = event else { return };
    object.insert("by".to_owned(), json!(by.to_string()));
    object.insert("from_client".to_owned(), json!(from_client));
    object.insert("from_server".to_owned(), json!(from_server));
    object.insert("seconds".to_owned(), json!(lasted.as_secs_f64()));
    if let Some(reason) = reason {
        object.insert("error".to_owned(), json!(reason));
    }
    match ended {
        Some(Ended::Exited(status)) => drop(object.insert("exit".to_owned(), json!(status))),
        Some(Ended::Signalled(signal)) => drop(object.insert("signal".to_owned(), json!(signal))),
        Some(Ended::Unknown) | None => {}
    }
}

fn object(event: &Event) -> Map<String, Value> {
    let mut object = Map::new();
    let kind = match event {
        Event::Listening(endpoint) => {
            object.insert("proto".to_owned(), json!(endpoint.protocol.scheme()));
            object.insert("server".to_owned(), json!(endpoint.name.to_string()));
            "listening"
        }
        Event::Opened(conversation) => {
            put_conversation(&mut object, conversation);
            "opened"
        }
        Event::Closed { conversation, .. } => {
            put_conversation(&mut object, conversation);
            put_end(&mut object, event);
            "closed"
        }
        Event::Failed { conversation, failure } => {
            if let Some(conversation) = conversation {
                put_conversation(&mut object, conversation);
            }
            put_failure(&mut object, failure);
            "failed"
        }
        // It comes as an object already.
        Event::Answered { .. } => return object,
        Event::Said { number, side, text } => {
            object.insert("conn".to_owned(), json!(number));
            object
                .insert("side".to_owned(), json!(if *side == transcript::Side::Client { "client" } else { "server" }));
            object.insert("text".to_owned(), json!(text));
            "said"
        }
        Event::Dropped { count, error } => {
            object.insert("count".to_owned(), json!(count));
            object.insert("error".to_owned(), json!(error));
            "dropped"
        }
        Event::Stderr { number, line } => {
            object.insert("conn".to_owned(), json!(number));
            object.insert("line".to_owned(), json!(line));
            "stderr"
        }
        Event::Notice(notice) => {
            object.insert("error".to_owned(), json!(notice));
            "notice"
        }
        other => {
            object.insert("error".to_owned(), json!(format!("{other:?}")));
            "notice"
        }
    };
    object.insert("event".to_owned(), json!(kind));
    object
}

#[cfg(test)]
mod tests {
    use sockeye::event::{ClosedBy, Name, Protocol};
    use sockeye::failure::Kind;

    use super::*;

    fn conversation(number: u64) -> Conversation {
        let name = |port: u16| Name::from(std::net::SocketAddr::from(([127, 0, 0, 1], port)));
        Conversation { number, protocol: Protocol::Tcp, server: name(9999), client: name(52144), to: None }
    }

    fn closed(reason: Option<&str>) -> Event {
        Event::Closed {
            unjudged: 0,
            conversation: conversation(1),
            by: ClosedBy::Client,
            from_client: 14,
            from_server: 30,
            lasted: Duration::from_millis(1204),
            reason: reason.map(str::to_owned),
            ended: None,
        }
    }

    fn render(style: Style, events: &[Event]) -> String {
        let mut renderer = Renderer::new(style);
        let mut text = String::new();
        for event in events {
            renderer.event(event, Duration::ZERO, &mut text);
        }
        renderer.tick(Duration::ZERO, true, &mut text);
        text
    }

    #[test]
    fn a_conversation_is_known_by_its_number_and_four_tuple() {
        assert_eq!(
            render(Style::Summed, &[Event::Opened(conversation(1)), closed(None)]),
            "opened #1 tcp 127.0.0.1:9999 <- 127.0.0.1:52144\nclosed #1 tcp 127.0.0.1:9999 <- 127.0.0.1:52144 by client, \
             14 bytes from the client, 30 from the server, 1.204 s\n"
        );
    }

    #[test]
    fn json_events_have_the_names_of_the_contract() {
        let text = render(Style::Json, &[closed(None)]);
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            value,
            json!({ "event": "closed", "conn": 1, "proto": "tcp", "server": "127.0.0.1:9999", "client": "127.0.0.1:52144",
                "by": "client", "from_client": 14, "from_server": 30, "seconds": 1.204 })
        );
    }

    /// Row 62 of the faults.
    #[test]
    fn one_event_stays_one_line_whatever_a_peer_sent() {
        let evil = "x\r\nopened #9 forged\u{1b}[2J\u{2028}\u{85}";
        let text = render(Style::Summed, &[closed(Some(evil))]);
        assert_eq!(text.lines().count(), 1, "{text:?}");
        assert!(!text.contains('\u{1b}'));
        let failure = Failure::other(Kind::Socket, evil);
        let text = render(Style::Json, &[closed(Some(evil)), Event::Failed { conversation: None, failure }]);
        assert_eq!(text.lines().count(), 2);
        assert!(!text.chars().any(|character| character != '\n' && transcript::is_hidden(character)), "{text:?}");
        for line in text.lines() {
            let event: Value = serde_json::from_str(line).unwrap();
            assert_eq!(event["error"], evil);
        }
    }

    #[test]
    fn many_openings_in_a_second_become_one_line_unless_each_is_asked_for() {
        let events: Vec<Event> = (0..500).map(|number| Event::Opened(conversation(number))).collect();
        let text = render(Style::Summed, &events);
        assert_eq!(text.lines().count(), 101);
        assert!(text.ends_with("and 400 opened, 0 closed in this second (-v shows each)\n"));
        assert_eq!(render(Style::Every, &events).lines().count(), 500);
    }

    #[test]
    fn a_cause_is_said_once_a_second_and_then_summed_up() {
        let events = vec![Event::Dropped { count: 2, error: "empty".into() }; 10];
        assert_eq!(render(Style::Summed, &events), "dropped 2: empty\n18 more: empty\n");
    }

    fn failed(headline: &str, client: u64) -> Event {
        let failure = Failure::Other { kind: Kind::WriteTimeout, line: Some(3), reason: headline.to_owned() };
        Event::Failed { conversation: Some(conversation(client)), failure }
    }

    #[test]
    fn a_line_that_fails_for_every_client_is_one_cause() {
        let events: Vec<Event> = (1..=50).map(|client| failed("the client said something else", client)).collect();
        let text = render(Style::Summed, &events);
        assert_eq!(text.matches("play ").count(), 1, "{text}");
        assert!(text.ends_with("49 more: error: the client said something else (line 3)\n"), "{text}");
        assert_eq!(render(Style::Every, &events).matches("play ").count(), 50);
    }

    /// Row 13 of the faults: a peer that chooses the words of our errors still cannot flood the log.
    #[test]
    fn causes_that_peers_invent_are_bounded() {
        let events: Vec<Event> =
            (1..=5000).map(|client| failed(&format!("`name {client}` would be heard as line 8"), client)).collect();
        let text = render(Style::Summed, &events);
        assert_eq!(text.matches("play ").count(), CAUSES + 1);
        assert!(text.ends_with(&format!("{} more: of other causes\n", 5000 - CAUSES - 1)), "{text}");
    }

    #[test]
    fn each_second_says_what_it_held_back_also_when_nothing_else_happens() {
        let mut renderer = Renderer::new(Style::Summed);
        let mut text = String::new();
        for number in 0..=MANY {
            renderer.event(&Event::Opened(conversation(number)), Duration::from_millis(1200), &mut text);
        }
        text.clear();
        renderer.tick(Duration::from_millis(2100), false, &mut text);
        assert_eq!(text, "");
        renderer.tick(Duration::from_millis(2200), false, &mut text);
        assert_eq!(text, "and 1 opened, 0 closed in this second (-v shows each)\n");
        text.clear();
        renderer.event(&Event::Opened(conversation(1)), Duration::from_millis(2300), &mut text);
        assert!(text.starts_with("opened #1"), "{text}");
    }
}
