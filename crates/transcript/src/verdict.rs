//! What a play that did not go as written says about it: where, what was expected, what came.

mod kind;
mod rows;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use crate::Side;
use crate::diagnostic::{Source, Span};
use crate::function::NotEncoded;
use crate::notation::show_hiding;
use crate::secret::Secret;

pub use kind::FaultKind;

/// Why a play failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Something else was said than the transcript says.
    Differs,
    /// What came in time was no whole line, or nothing.
    NothingCame {
        /// How long was waited.
        waited: Duration,
    },
    /// A line was said that must not come.
    Forbidden,
    /// A value by which it is chosen how to go on is none of those that are written.
    NoSuchValue,
    /// A value that is a port to connect to is none.
    NotAPort,
    /// The stream ended before the conversation did.
    ClosedEarly,
    /// The connection was reset.
    Reset,
    /// A line is longer than the bound, in bytes.
    TooLong {
        /// The bound.
        most: usize,
    },
    /// More came where the stream should have ended.
    UnexpectedData,
    /// The line's ending is not the one that `eol` asks for.
    WrongEnding,
    /// What we were about to say would have been heard as the line with this number.
    Misheard {
        /// That line.
        line: usize,
    },
    /// A value that would stand in a text line holds a line ending.
    BrokenLine,
    /// More came than one message that is no line may hold, in bytes.
    TooMuch {
        /// The bound.
        most: usize,
    },
    /// A value is not what `unbase64` or `unhex` reads.
    NotEncoded,
    /// A value is no number, or a larger one than there is room for where it is written.
    NoFit,
    /// A value that counts bytes is no number of bytes.
    NotACount,
    /// All values of the play together would hold more than the bound, in bytes.
    ValuesTooLarge {
        /// The bound.
        most: usize,
    },
    /// With its values filled in, a message is larger than the bound, in bytes.
    MessageTooLarge {
        /// The bound.
        most: usize,
    },
    /// What we were about to say is not as long as a value says.
    WrongLength,
    /// A file of ours is shorter than it was, or can be read no more.
    FileShrank,
    /// Something was said in clear where TLS begins.
    ClearBytes,
    /// The two sides could not agree on TLS; the name says why.
    Tls,
    /// TLS did not end where it should; the name says why.
    TlsGoesOn,
    /// The other side's certificate is not to be believed; the name says why.
    Untrusted,
}

/// What sort of thing would have been right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Awaited {
    /// A message.
    Message,
    /// The bytes of a file; the text names the place in it.
    File,
    /// The end of the stream, or a reset: no message.
    End,
}

/// One thing that would have been right, and how far it matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// Of what sort it is.
    pub awaited: Awaited,
    /// The transcript's line.
    pub line: usize,
    /// What it says, values filled in, in transcript notation.
    pub text: String,
    /// How many bytes of what came agree with it.
    pub matched: usize,
}

/// What a part of a line stood for when a play failed at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Held {
    /// These bytes: its own text, or a value.
    Value(Arc<[u8]>),
    /// What it would have captured; how long that is, where it is known.
    Open { length: Option<usize> },
    /// What the same line captured before.
    Same,
}

/// What ends a message of which only a part came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unfinished {
    /// The number of bytes that it has.
    Bytes,
    /// The text behind a hole that may be of any length.
    Text,
    /// The end of the stream.
    End,
    /// A line ending, and nothing else.
    Line,
    /// A line ending, where a gap may be asked for.
    LineOrNoGap,
    /// A line ending or a gap.
    LineOrGap,
    /// The end of the stream: lines have no ending, and no gap is asked for.
    NoGap,
    /// A gap or the end of the stream: lines have no ending.
    Gap,
}

impl Unfinished {
    /// Why it goes on, and what to change.
    fn why(self) -> &'static str {
        match self {
            Self::Bytes => "`raw:`, `hex:` and `file:` wait for as many bytes as they have: more were to come",
            Self::Text => "a `raw:` or `hex:` line waits for what stands behind its hole: that has not come yet",
            Self::End => {
                "a hole that ends a `raw:` or `hex:` line takes all up to the end of the stream: it has not come yet"
            }
            Self::Line => "no line ending yet: use `raw:` for a prompt",
            Self::LineOrNoGap => "no line ending yet: use `raw:` for a prompt, or `gap`",
            Self::LineOrGap => "no line ending yet, and no pause as long as `gap`: it is to be shorter than the wait",
            Self::NoGap => {
                "with `eol none` a line ends with a pause or with the stream: write `gap 100ms`, or use `raw:`"
            }
            Self::Gap => "no pause as long as `gap` yet: it is to be shorter than the wait",
        }
    }
}

/// The account of a play that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Why.
    pub fault: Fault,
    /// Who did not do as written: the other side, or ours where we refused to speak.
    pub side: Side,
    /// Where in the transcript.
    pub place: Span,
    /// The transcript.
    pub source: Arc<Source>,
    /// What we said last: the transcript's line, and the bytes.
    pub sent: Option<(usize, Vec<u8>)>,
    /// What would have been right, nearest first.
    pub expected: Vec<Expected>,
    /// What came instead; empty if nothing did.
    pub received: Vec<u8>,
    /// The byte of what came, counted from 1, at which it differs.
    pub byte: Option<usize>,
    /// The name, the file or the reason that the fault is about; empty where it is about none.
    pub name: String,
    /// Values that are not shown.
    pub secrets: Arc<[Secret]>,
    /// What the parts of the line stood for, where a single one would have been right.
    pub(crate) held: Vec<Held>,
    /// Whether letters of its text match in either case.
    pub(crate) fold: bool,
    /// What a function reads that was given something else.
    pub(crate) refused: Option<NotEncoded>,
    /// What would have ended the message that did not come whole.
    pub(crate) unfinished: Option<Unfinished>,
}

/// A name as it is written in a transcript.
fn in_braces(name: &str) -> String {
    if name.starts_with('{') { name.to_owned() } else { format!("{{{name}}}") }
}

/// Most bytes of a line that are shown around a difference.
const SHOWN: usize = 8 * 1024;
/// Most bytes of what came that programs are told.
const TOLD: usize = crate::limits::TOLD;

impl Verdict {
    /// One sentence: "the server said something else".
    #[must_use]
    pub fn headline(&self) -> String {
        let side = self.side;
        match self.fault {
            Fault::Differs => format!("the {side} said something else"),
            Fault::NothingCame { waited } if !self.name.is_empty() => {
                format!("the {side} opened no connection within {}: `{}`", seconds(waited), self.name)
            }
            Fault::NothingCame { waited } if self.received.is_empty() => {
                format!("nothing came from the {side} within {}", seconds(waited))
            }
            Fault::NothingCame { waited } if self.awaits_bytes() => {
                format!("not all of the bytes came from the {side} within {}", seconds(waited))
            }
            Fault::NothingCame { waited } => format!("no whole line came from the {side} within {}", seconds(waited)),
            Fault::Forbidden => format!("the {side} said what must not come here"),
            Fault::NoSuchValue if self.received.is_empty() => {
                format!("{} is empty, and no `is` has that value", in_braces(&self.name))
            }
            Fault::NoSuchValue => {
                format!("{} is `{}`, and no `is` has that value", in_braces(&self.name), self.show(&self.received))
            }
            Fault::NotAPort if self.received.is_empty() => format!("{{{}}} is empty, and should be a port", self.name),
            Fault::NotAPort => format!("{{{}}} is `{}`, which is no port", self.name, self.show(&self.received)),
            Fault::ClosedEarly => format!("the {side} closed early"),
            Fault::Reset => format!("the {side} reset the connection"),
            Fault::TooLong { most } => format!("the {side} sent a line longer than {most} bytes (--max-line)"),
            Fault::UnexpectedData => format!("the {side} said more than the transcript"),
            Fault::WrongEnding => format!("the {side} ended its line in another way than `eol` says"),
            Fault::Misheard { line } => {
                let sent = self.show(self.sent.as_ref().map_or(&[], |sent| &sent.1));
                format!("`{sent}` would be heard as {}", self.source.mention(line))
            }
            Fault::BrokenLine => "a value with a line ending in it cannot stand in a text line".to_owned(),
            Fault::TooMuch { most } => format!("the {side} sent more than {most} bytes without what should end them"),
            Fault::NotEncoded => {
                let why =
                    self.refused.map_or("the value is not encoded as it should be".to_owned(), |why| why.to_string());
                format!("{{{}}} cannot be made: {why}", self.name)
            }
            Fault::NoFit if self.received.is_empty() => {
                format!("{{{}}} cannot be written: the value is empty", self.name)
            }
            Fault::NoFit => {
                format!("{{{}}} cannot be written: the value is `{}`", self.name, self.show(&self.received))
            }
            Fault::NotACount if self.received.is_empty() => {
                format!("{{{}}} is empty, and should be a number of bytes", self.name)
            }
            Fault::NotACount => {
                format!("{{{}}} is `{}`, which is no number of bytes", self.name, self.show(&self.received))
            }
            Fault::ValuesTooLarge { most } => {
                format!(
                    "the values of this play would hold more than {} together: {{{}}} grew",
                    mebibytes(most),
                    self.name
                )
            }
            Fault::MessageTooLarge { most } => {
                format!("with its values filled in, what would be said is larger than {}", mebibytes(most))
            }
            Fault::WrongLength => format!("what would be said is not as long as {{{}}} says", self.name),
            Fault::ClearBytes => format!("the {side} said more in clear before TLS began"),
            Fault::TlsGoesOn => format!("TLS did not end: {}", self.name),
            Fault::Tls | Fault::Untrusted => format!("TLS did not begin: {}", self.name),
            Fault::FileShrank => format!("`{}` is shorter than it was when the play began", self.name),
        }
    }

    /// What would have been right, in transcript notation; none where the fault is not about a message.
    #[must_use]
    pub fn expected_text(&self) -> Option<String> {
        match self.fault {
            Fault::Tls | Fault::TlsGoesOn | Fault::Untrusted => {
                Some(self.source.line(self.place.line).trim().to_owned())
            }
            _ => {
                let mut messages = self.expected.iter().filter(|expected| expected.awaited != Awaited::End);
                messages.next().map(|expected| expected.text.clone())
            }
        }
    }

    /// What came instead, in transcript notation and without secrets, 64 KiB of it at most; none if nothing came.
    #[must_use]
    pub fn received_text(&self) -> Option<String> {
        let is_empty_line = self.fault == Fault::Differs && self.byte.is_some() || self.is_about_a_value();
        (!self.received.is_empty() || is_empty_line).then(|| self.show(&self.received[..self.end_within(TOLD)]))
    }

    /// Where what came is cut, so that it is not in the middle of a secret.
    fn end_within(&self, most: usize) -> usize {
        let mut end = most.min(self.received.len());
        while end < self.received.len() {
            let across = self.secrets.iter().filter(|secret| !secret.value.is_empty()).find_map(|secret| {
                let reach = secret.value.len() - 1;
                let from = end.saturating_sub(reach);
                let part = &self.received[from..(end + reach).min(self.received.len())];
                memchr::memmem::find(part, &secret.value).map(|at| from + at)
            });
            match across {
                Some(begins) => end = begins,
                None => break,
            }
        }
        end
    }

    /// The whole account, over several lines; `who` names the play and its connection.
    #[must_use]
    pub fn render(&self, who: &str) -> String {
        format!("error: {}\n{}", self.headline(), self.details(who))
    }

    /// The account below its headline: the place, and what was said.
    #[must_use]
    pub fn details(&self, who: &str) -> String {
        let mut text = String::new();
        let (name, line) = self.source.locate(self.place.line);
        let at = format!("  --> {name}:{line}:{}", self.place.column);
        if who.is_empty() {
            let _ = writeln!(text, "{at}");
        } else {
            let _ = writeln!(text, "{at:<56} {who}");
        }
        let rows = self.rows();
        let number = |line: usize| self.source.locate(line).1;
        let digits = rows.iter().filter_map(|row| row.line).map(number).max().unwrap_or(1).to_string().len();
        let width = rows
            .iter()
            .filter_map(|row| row.line)
            .map(|line| self.source.line(line).chars().count())
            .max()
            .unwrap_or(0)
            .clamp(20, 44);
        for row in &rows {
            let (number, written) = match row.line {
                Some(line) => (number(line).to_string(), clip(self.source.line(line), width)),
                None => (String::new(), String::new()),
            };
            let line = format!(" {number:>digits$} | {written:<width$}  {:<9} {}", row.label, row.text);
            let _ = writeln!(text, "{}", line.trim_end());
            if let Some((offset, note)) = &row.caret {
                let before = " ".repeat(digits + 4 + width + 2 + 10 + offset);
                let _ = writeln!(text, " {:>digits$} |{}^ {note}", "", &before[digits + 3..]);
            }
        }
        if let Some(unfinished) = self.unfinished {
            let _ = writeln!(text, " {:>digits$} = {}", "", unfinished.why());
        }
        text
    }

    /// Whether what was awaited is bytes and no line.
    fn awaits_bytes(&self) -> bool {
        matches!(self.unfinished, Some(Unfinished::Bytes | Unfinished::Text | Unfinished::End))
    }

    /// Whether what came is told as the value that is wrong.
    fn is_about_a_value(&self) -> bool {
        matches!(self.fault, Fault::NoSuchValue | Fault::NotAPort | Fault::NotEncoded | Fault::NoFit)
    }

    fn show(&self, bytes: &[u8]) -> String {
        show_hiding(bytes, &self.secrets)
    }
}

fn clip(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

fn mebibytes(bytes: usize) -> String {
    if bytes < 1 << 20 { format!("a datagram, {bytes} bytes") } else { format!("{} MiB", bytes >> 20) }
}

/// A duration as people read it: `5 s`, `0.1 s`, `5 min`.
#[must_use]
pub fn seconds(time: Duration) -> String {
    // What is less than half a millisecond is not shown.
    let nanos = time.subsec_nanos();
    let time = match (nanos + 500_000) / 1_000_000 * 1_000_000 {
        0 if time.as_secs() == 0 => time,
        rounded => Duration::from_secs(time.as_secs()) + Duration::from_nanos(u64::from(rounded)),
    };
    let whole = time.as_secs();
    if time.subsec_nanos() == 0 && whole >= 60 && whole.is_multiple_of(60) {
        format!("{} min", whole / 60)
    } else if time.subsec_nanos() == 0 {
        format!("{whole} s")
    } else {
        let text = format!("{:.3}", time.as_secs_f64());
        format!("{} s", text.trim_end_matches('0').trim_end_matches('.'))
    }
}

#[cfg(test)]
mod tests;
