//! A transcript brought up to what a server says today: the received line that failed is written anew, and nothing else.

mod align;

use std::ops::Range;

use align::{Hole, Lines, Wanted};

use crate::Verdict;
use crate::notation::{hex, show_hiding};
use crate::secret::Secret;
use crate::syntax::{Form, TemplatePart, TemplatePartKind, payload_parts};
use crate::verdict::{Fault, Held};

/// A transcript with one line written anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Updated {
    /// The whole text.
    pub text: String,
    /// The holes of the line that are gone, as they were written: they do not stand in what came.
    pub lost: Vec<String>,
}

/// The text of a transcript with the line that a play failed at as it was received.
///
/// Its text becomes what came; its holes stay as they were written wherever their value, or what their pattern takes,
/// still stands. `None` where a line alone cannot mend it: something other than a line differed, or several lines
/// would have been right.
#[must_use]
pub fn update(text: &str, verdict: &Verdict) -> Option<Updated> {
    let [expected] = verdict.expected.as_slice() else { return None };
    // A line of a file that this one includes stands elsewhere.
    if verdict.source.includers(verdict.place.line).next().is_some() {
        return None;
    }
    verdict.byte.filter(|_| verdict.fault == Fault::Differs && expected.line == verdict.place.line)?;
    let mut lines: Vec<&str> = text.split('\n').collect();
    let index = verdict.place.line.checked_sub(1)?;
    let line = *lines.get(index)?;
    let (written, ending) = match line.strip_suffix('\r') {
        Some(written) => (written, "\r"),
        None => (line, ""),
    };
    let head = written.trim_start_matches([' ', '\t']);
    let (name, rest) = head.split_once(':')?;
    // The side, and perhaps which of its connections.
    let who = speaker(name)?;
    let form = match name[who.len()..].trim_start() {
        "" => Form::Text,
        "raw" => Form::Raw,
        "hex" => Form::Hex,
        _ => return None,
    };
    let old = Old::read(rest.strip_prefix(' ').unwrap_or(rest), form, verdict)?;
    let came = match form {
        Form::Text => &verdict.received[..],
        Form::Raw | Form::Hex => old.own(&verdict.received, says_more(&lines[index + 1..], who))?,
    };
    if came.is_empty() && form != Form::Text {
        return None;
    }
    let (payload, lost) = old.anew(came);
    let colon = written.len() - head.len() + name.len() + 1;
    let space = if payload.is_empty() { "" } else { " " };
    let new = format!("{}{space}{payload}{ending}", &written[..colon]);
    if new == line {
        return None;
    }
    lines[index] = &new;
    Some(Updated { text: lines.join("\n"), lost })
}

/// Who speaks in a line: `S`, or `S2` over a second connection.
fn speaker(line: &str) -> Option<&str> {
    let rest = line.strip_prefix(['C', 'S'])?;
    let behind = rest.trim_start_matches(|character: char| character.is_ascii_digit());
    Some(&line[..line.len() - behind.len()])
}

/// Whether the same side goes on right behind a line.
fn says_more(lines: &[&str], who: &str) -> bool {
    let mut next = lines.iter().map(|line| line.trim()).filter(|line| !line.is_empty() && !line.starts_with('#'));
    next.next().is_some_and(|next| speaker(next) == Some(who) && next.contains(':'))
}

/// The payload as it was written.
struct Old<'a> {
    parts: Vec<TemplatePart>,
    /// What is written for each part.
    written: Vec<String>,
    /// What each of them stood for.
    held: &'a [Held],
    form: Form,
    fold: bool,
    secrets: &'a [Secret],
}

impl<'a> Old<'a> {
    fn read(payload: &str, form: Form, verdict: &'a Verdict) -> Option<Self> {
        let parts = payload_parts(payload, form)?;
        if parts.len() != verdict.held.len() {
            return None;
        }
        let characters: Vec<char> = payload.chars().collect();
        let cut = |part: &TemplatePart| {
            Some(characters.get(part.place.column - 1..)?.iter().take(part.place.width).collect())
        };
        let written = parts.iter().map(cut).collect::<Option<_>>()?;
        Some(Self { parts, written, held: &verdict.held, form, fold: verdict.fold, secrets: &verdict.secrets })
    }

    /// Of what came, that which is this message: bytes have no end that is seen, only a length.
    fn own<'b>(&self, received: &'b [u8], says_more: bool) -> Option<&'b [u8]> {
        if !says_more {
            return Some(received);
        }
        let length = self.parts.iter().zip(self.held).try_fold(0_usize, |sum, (part, held)| {
            sum.checked_add(match (&part.kind, held) {
                (TemplatePartKind::Literal(bytes), _) => bytes.len(),
                (_, Held::Value(value)) => value.len(),
                (_, Held::Open { length }) => (*length)?,
                (_, Held::Same) => return None,
            })
        })?;
        received.get(..length)
    }

    /// The new payload, and the holes that it lacks.
    fn anew(&self, came: &[u8]) -> (String, Vec<String>) {
        // What a name captures in this very line is known only when the others are found.
        let first = self.places(came, &[]);
        let captured: Vec<(&str, &[u8])> = self
            .holes()
            .filter(|(index, _)| matches!(self.held[*index], Held::Open { .. }))
            .filter_map(|(index, hole)| Some((hole, &came[first[index].clone()?])))
            .collect();
        let mut places = if self.held.contains(&Held::Same) { self.places(came, &captured) } else { first };
        for (index, name) in self.holes().filter(|(index, _)| self.held[*index] == Held::Same) {
            let capture = self.holes().find(|(other, hole)| {
                *hole == name && *other < index && matches!(self.held[*other], Held::Open { .. })
            });
            let value = capture.and_then(|(capture, _)| places[capture].clone());
            let agrees = matches!((&value, &places[index]), (Some(a), Some(b)) if came[a.clone()] == came[b.clone()]);
            if !agrees {
                places[index] = None;
            }
        }
        let lost =
            self.holes().filter(|(index, _)| places[*index].is_none()).map(|(index, _)| self.written[index].clone());
        (self.write(came, &places), lost.collect())
    }

    /// The holes: their parts, and their names.
    fn holes(&self) -> impl Iterator<Item = (usize, &str)> {
        self.parts.iter().enumerate().filter_map(|(index, part)| match &part.kind {
            TemplatePartKind::Hole(hole) => Some((index, hole.name.as_str())),
            TemplatePartKind::Literal(_) => None,
        })
    }

    /// Where each part that is a hole stands in what came.
    fn places(&self, came: &[u8], captured: &[(&str, &[u8])]) -> Vec<Option<Range<usize>>> {
        let (mut text, mut holes, mut which) = (Vec::new(), Vec::new(), Vec::new());
        for (index, (part, held)) in self.parts.iter().zip(self.held).enumerate() {
            let at = text.len();
            let wanted = match (&part.kind, held) {
                (TemplatePartKind::Literal(bytes), _) => {
                    text.extend_from_slice(bytes);
                    continue;
                }
                (_, Held::Value(value)) => Wanted::Value(value),
                (TemplatePartKind::Hole(hole), Held::Open { length }) => {
                    Wanted::Capture { pattern: &hole.pattern, length: *length }
                }
                (TemplatePartKind::Hole(hole), _) => match captured.iter().find(|(name, _)| *name == hole.name) {
                    Some((_, value)) => Wanted::Value(value),
                    None => continue,
                },
            };
            holes.push(Hole { wanted, at });
            which.push(index);
        }
        let binary = self.form == Form::Hex;
        let lines = Lines { holes, text: &text, came, fold: self.fold, binary };
        let mut found = lines.align();
        // What the line compares with its own capture stands behind that.
        if !self.held.contains(&Held::Same) {
            lines.find_moved(&mut found);
        }
        let mut places = vec![None; self.parts.len()];
        for (index, place) in which.into_iter().zip(found) {
            places[index] = place;
        }
        places
    }

    /// The payload with its holes at these places.
    fn write(&self, came: &[u8], places: &[Option<Range<usize>>]) -> String {
        let (mut new, mut from, mut begins) = (String::new(), 0, 0);
        let mut found_holes: Vec<(usize, &Range<usize>)> =
            places.iter().enumerate().filter_map(|(index, place)| Some((index, place.as_ref()?))).collect();
        // Holes may have changed places.
        found_holes.sort_by_key(|(index, place)| (place.start, place.end, *index));
        for (index, place) in found_holes {
            self.between(&mut new, begins.min(index)..index, &came[from..place.start], false);
            new.push_str(&self.written[index]);
            (from, begins) = (place.end, index + 1);
        }
        self.between(&mut new, begins..self.parts.len(), &came[from..], true);
        new
    }

    /// Writes the text between two holes. What was written before and what came may be a hole where they meet: then all of it is
    /// written anew.
    fn between(&self, new: &mut String, parts: Range<usize>, came: &[u8], last: bool) {
        let at = new.len();
        self.text(new, parts, came, last);
        if self.form == Form::Hex {
            return;
        }
        let shown = show_hiding(came, self.secrets);
        if self.read_back(&new[at..]) != self.read_back(&shown) {
            new.truncate(at);
            match shown.strip_suffix("{0x20}") {
                Some(cut) if !last => new.extend([cut, " "]),
                _ => new.push_str(&shown),
            }
        }
    }

    /// What a piece of a payload stands for: its bytes, and a name in the place of each hole. `None` if it cannot be read.
    fn read_back(&self, payload: &str) -> Option<Vec<ReadBack>> {
        let mut read = Vec::new();
        for part in payload_parts(payload, self.form)? {
            let mut bytes = match part.kind {
                TemplatePartKind::Literal(bytes) => bytes,
                TemplatePartKind::Hole(hole) => {
                    read.push(ReadBack::Hole(hole.name));
                    continue;
                }
            };
            if self.fold {
                bytes.make_ascii_lowercase();
            }
            match read.last_mut() {
                Some(ReadBack::Bytes(before)) => before.append(&mut bytes),
                _ => read.push(ReadBack::Bytes(bytes)),
            }
        }
        Some(read)
    }

    /// Writes the text between two holes: as it was written where it is the same.
    fn text(&self, new: &mut String, parts: Range<usize>, mut came: &[u8], last: bool) {
        let same = |a: &[u8], b: &[u8]| if self.fold { a.eq_ignore_ascii_case(b) } else { a == b };
        let literal = |index: usize| match &self.parts[index].kind {
            TemplatePartKind::Literal(bytes) => Some(&bytes[..]),
            TemplatePartKind::Hole(_) => None,
        };
        let (mut front, mut back) = (parts.start, parts.end);
        while front < back
            && let Some(bytes) = literal(front)
            && let Some((head, rest)) = came.split_at_checked(bytes.len())
            && same(head, bytes)
        {
            new.push_str(&self.written[front]);
            (came, front) = (rest, front + 1);
        }
        while front < back
            && let Some(bytes) = literal(back - 1)
            && let Some(length) = came.len().checked_sub(bytes.len())
            && same(&came[length..], bytes)
        {
            (came, back) = (&came[..length], back - 1);
        }
        if self.form == Form::Hex {
            let old = (front..back).map(|index| self.written[index].as_str()).collect::<String>();
            new.push_str(&respaced(&old, came, self.secrets, new.ends_with('}')));
        } else if !came.is_empty() {
            let shown = show_hiding(came, self.secrets);
            // Only at the end of the line a space is not seen.
            match shown.strip_suffix("{0x20}") {
                Some(cut) if !last || back < parts.end => new.extend([cut, " "]),
                _ => new.push_str(&shown),
            }
        }
        new.extend(self.written[back..parts.end].iter().map(String::as_str));
    }
}

/// What a piece of a payload stands for.
#[derive(PartialEq, Eq)]
enum ReadBack {
    Bytes(Vec<u8>),
    Hole(String),
}

/// Bytes as pairs of hex digits, with the spaces of the old ones.
fn respaced(old: &str, came: &[u8], secrets: &[Secret], behind_hole: bool) -> String {
    let digits = old.chars().filter(char::is_ascii_hexdigit).count();
    let plain = old.chars().all(|c| c.is_ascii_hexdigit() || matches!(c, ' ' | '\t'));
    if plain && digits == came.len() * 2 && !crate::notation::has_any(came, secrets) {
        let upper = old.contains(|c: char| c.is_ascii_uppercase());
        let mut new = came.iter().flat_map(|byte| {
            let pair = if upper { format!("{byte:02X}") } else { format!("{byte:02x}") };
            pair.chars().collect::<Vec<_>>()
        });
        let keep = |c: char| if c.is_ascii_hexdigit() { new.next().unwrap_or(c) } else { c };
        return old.chars().map(keep).collect();
    }
    let pairs = hex(came, secrets);
    if pairs.is_empty() {
        return old.chars().take(1).filter(|c| *c == ' ').collect();
    }
    let spaced = old.trim().contains(' ') || digits <= 2;
    let pairs = if spaced { pairs } else { pairs.replace(' ', "") };
    let lead = if old.starts_with(' ') || (old.is_empty() && behind_hole) { " " } else { "" };
    let tail = if old.ends_with(' ') { " " } else { "" };
    format!("{lead}{pairs}{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Carrier, Ending, Input, Moment, Next, Output, PlayOptions, Scratch, Script, Side, Transcript};

    /// Plays the client of a transcript against these bytes, and mends the line that fails.
    fn mended(text: &str, came: &[u8]) -> Option<Updated> {
        let transcript = Transcript::parse("t", text.as_bytes(), &[]).expect("it follows the grammar");
        let script = Script::prepare(&transcript, &PlayOptions::new(Side::Client, Carrier::Stream)).expect("it plays");
        let (mut play, mut scratch, mut output) = (script.play(), Scratch::new(), Output::default());
        let input = Input { bytes: came, datagram: false, ended: false, now: Moment::default() };
        match play.step(&script, input, &mut scratch, &mut output).next {
            Next::End(Ending::Failed(verdict)) => update(text, &verdict),
            _ => None,
        }
    }

    #[test]
    fn only_text_changes_and_what_is_gone_is_named() {
        let new = mended("S: 200 id={n:int=5} of {x=y}\n", b"250 id=77, in 9\n").expect("a line mends it");
        assert_eq!((new.text.as_str(), new.lost.len()), ("S: 250 id={n:int=5}, in {x=y}\n", 0));
        let new = mended("S: 200 id={n:int=5}.\n", b"none\n").expect("a line mends it");
        assert_eq!((new.text.as_str(), &new.lost[..]), ("S: none\n", &["{n:int=5}".to_owned()][..]));
        let new = mended("S: 200 {_:word=a}\n", b"\n").expect("a line mends it");
        assert_eq!((new.text.as_str(), new.lost.len()), ("S:\n", 1));
        assert_eq!(mended("either\n  S: a\nor\n  S: b\nend\n", b"c\n"), None);
    }

    #[test]
    fn what_a_pattern_takes_begins_behind_a_space_of_either_kind() {
        for (text, came, new) in [
            ("S: 200 id={n:int=5}.\n", "200 value -7.\n", "S: 200 value {n:int=5}.\n"),
            ("S: 200 id={n:int=5}.\n", "200 value\t-7.\n", "S: 200 value{0x09}{n:int=5}.\n"),
            ("S: ok ={w:word=(a)};\n", "ok to (you);\n", "S: ok to {w:word=(a)};\n"),
        ] {
            let mended = mended(text, came.as_bytes()).expect("a line mends it");
            assert_eq!((mended.text.as_str(), mended.lost.len()), (new, 0));
        }
    }

    #[test]
    fn a_short_value_stays_only_as_a_word_of_its_own_and_a_long_one_wherever_it_stands() {
        for (value, line, came, new, lost) in [
            ("abc", "S: 200 {x}", &b"200 zabcz\n"[..], "S: 200 z{x}z", 0),
            ("1234", "S: 200 {x}", b"200 a1234\n", "S: 200 a{x}", 0),
            ("1", "S: 200 {x}", b"451 no\n", "S: 451 no", 1),
            ("a", "S: 200 {x}", b"200 many\n", "S: 200 many", 1),
            ("a", "S: 200 {x}", b"250 a\n", "S: 250 {x}", 0),
            // Bytes are no words.
            ("b", "S hex: 01 {x} 02", b"aba", "S hex: 61 {x} 61", 0),
            ("1", "S hex: 01 {x}", b"51", "S hex: 35 {x}", 0),
        ] {
            let text = format!("set x = {value}\n{line}\n");
            let mended = mended(&text, came).expect("a line mends it");
            assert_eq!((mended.text, mended.lost.len()), (format!("set x = {value}\n{new}\n"), lost));
        }
    }

    #[test]
    fn bytes_that_change_keep_the_spaces_between_them_if_they_are_as_many() {
        for (line, came, new) in [
            ("S hex: 0102 0304", &[1, 2, 3, 9][..], "S hex: 0102 0309"),
            ("S hex: 01020304", &[9, 2, 3, 9], "S hex: 09020309"),
            ("S hex: 0A 0B0c", &[0x1a, 0x1b, 0x1c], "S hex: 1A 1B1C"),
            ("S hex: 0102 0304", &[9, 9, 9], "S hex: 09 09 09"),
            ("S hex: 01020304", &[9, 9, 9], "S hex: 090909"),
        ] {
            let mended = mended(&format!("{line}\n"), came).map(|mended| mended.text);
            assert_eq!(mended, Some(format!("{new}\n")));
        }
    }

    #[test]
    fn many_holes_in_a_long_line_are_looked_for_in_bounded_time() {
        let holes = "{_:word=a} ".repeat(300);
        let came = format!("no {}\n", "b ".repeat(20_000));
        let new = mended(&format!("S: ok {holes}.\n"), came.as_bytes()).expect("a line mends it");
        assert!(new.text.starts_with("S: no "), "{}", &new.text[..80]);
    }

    #[test]
    fn what_is_the_same_at_either_end_of_a_text_stays_as_it_was_written() {
        for (line, came, new) in [
            ("S: 200 a{0x41}b", "250 aAb", "S: 250 a{0x41}b"),
            ("S: a{0x41}b 200", "aAb 250", "S: a{0x41}b 250"),
            ("S: {0x41}b{0x43} d", "AxC d", "S: {0x41}x{0x43} d"),
            ("S: 200 {0x41}{x=1}{0x42} ok", "250 A7B no", "S: 250 {0x41}{x=1}{0x42} no"),
            ("S: a{0x41}b{0x42}", "c", "S: c"),
            ("S: a{0x41}", "aAA", "S: a{0x41}A"),
            ("S: {0x41}a", "aAa", "S: a{0x41}a"),
            ("S: a{0x41}", "", "S:"),
        ] {
            let mended = mended(&format!("{line}\n"), format!("{came}\n").as_bytes()).map(|mended| mended.text);
            assert_eq!(mended, Some(format!("{new}\n")), "{line}");
        }
        // Letters of the other case are the same where case is ignored.
        let mended = mended("ignore case\nS: 200 a{0x41}b\n", b"250 AaB\n").map(|mended| mended.text);
        assert_eq!(mended.as_deref(), Some("ignore case\nS: 250 A{0x41}b\n"));
    }

    #[test]
    fn new_bytes_are_spaced_as_the_old_ones_were() {
        for (old, came, behind_hole, new) in [
            ("0102 03", &[9, 10, 11][..], false, "090a 0b"),
            (" 01\t02 ", &[9, 10], false, " 09\t0a "),
            ("0A02", &[9, 10], false, "090A"),
            ("0102", &[9], false, "09"),
            ("010203", &[9, 10], false, "090a"),
            ("01 02 03", &[9, 10], false, "09 0a"),
            // Of one pair nothing tells how it is spaced.
            ("01", &[9, 10], false, "09 0a"),
            ("", &[9, 10], false, "09 0a"),
            ("", &[9], true, " 09"),
            (" 01 ", &[9, 10], false, " 09 0a "),
            (" 01", &[], false, " "),
            ("01", &[], false, ""),
            ("{0x01}", &[9], false, "09"),
        ] {
            assert_eq!(respaced(old, came, &[], behind_hole), new, "{old:?} {came:?}");
        }
        let secret = Secret { name: "key".to_owned(), value: vec![9] };
        assert_eq!(respaced("01 02", &[9, 2], &[secret], false), "{key} 02");
    }

    #[test]
    fn who_speaks_is_a_side_and_perhaps_a_number_and_goes_on_in_the_next_line_that_says_something() {
        for (line, who) in
            [("S: a", Some("S")), ("C2 raw: a", Some("C2")), ("S12", Some("S12")), ("X: a", None), ("", None)]
        {
            assert_eq!(speaker(line), who, "{line}");
        }
        for (lines, goes_on) in [
            (&["S: b"][..], true),
            (&["", "  # a remark", "  S raw: b"], true),
            (&["C: b", "S: c"], false),
            (&["S2: b"], false),
            (&["S closes"], false),
            (&["end", "S: b"], false),
            (&["", "# a remark"], false),
            (&[], false),
        ] {
            assert_eq!(says_more(lines, "S"), goes_on, "{lines:?}");
        }
    }
}
