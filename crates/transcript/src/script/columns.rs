//! The checks of a play's own values. Whatever may be wrong with them is told by making the script once more with the values
//! in it, so that a value is refused in the same words however it is given; most rows need no more than a look.

use super::over_carrier::DATAGRAM;
use super::sayable::said;
use super::{PlayOptions, Script};
use crate::carrier::Carrier;
use crate::pattern::count_in;
use crate::program::{self, Depends, MOST_SAID, Op, Pattern, Piece, PieceKind, Program};
use crate::row::{Filling, Row};
use crate::secret::Secret;
use crate::syntax::{Form, Refused};
use crate::transcript::Transcript;
use crate::values::{MOST_VALUES, Scratch, given_index, given_slot};

/// What has to be looked at in each row.
#[derive(Debug)]
pub(crate) struct Columns {
    transcript: Transcript,
    /// How the script was made.
    options: PlayOptions,
    /// Those of them whose values are secret.
    secret: Vec<usize>,
    /// Longest value that fits into every message.
    room: usize,
    /// Those that stand in text lines of ours, where no value may break the line.
    in_lines: Vec<usize>,
    /// Those that count bytes, each with the lengths of the defaults that it counts.
    counts: Vec<(usize, Vec<usize>)>,
    /// Messages of ours that could be heard as others.
    mistakable: Vec<usize>,
    /// Whether a value may decide if a listener can tell messages apart, which takes a longer look.
    decides: bool,
}

impl Columns {
    pub(super) fn of(program: &Program, transcript: &Transcript, options: &PlayOptions) -> Self {
        let mut columns = Self {
            transcript: transcript.clone(),
            options: options.clone(),
            secret: vec![],
            room: room(program, options.carrier),
            in_lines: vec![],
            counts: vec![],
            mistakable: vec![],
            decides: decides(program),
        };
        let is_secret = |name: &String| options.secrets.iter().any(|secret| secret.name == *name);
        columns.secret = (0..options.columns.len()).filter(|&index| is_secret(&options.columns[index])).collect();
        for message in &program.messages {
            for piece in &message.pieces {
                match &piece.kind {
                    PieceKind::Value(slot) => {
                        let is_line = message.form == Form::Text && options.carrier == Carrier::Stream;
                        columns.in_lines.extend(given_index(*slot).filter(|_| is_line && message.side == options.side));
                    }
                    PieceKind::Capture { pattern: Pattern::BytesOf(count), defaults, .. } => {
                        let lengths = defaults.iter().map(Vec::len).collect();
                        columns.counts.extend(given_index(count.slot).map(|index| (index, lengths)));
                    }
                    _ => {}
                }
            }
        }
        columns.mistakable = said(program)
            .into_iter()
            .filter(|&index| {
                let message = &program.messages[index];
                let rivals = message.rivals.iter().map(|&rival| program.messages[rival].depends);
                let depends = message.depends;
                depends < Depends::Play
                    && rivals.chain([depends]).any(|depends| depends == Depends::Given)
                    && !message.rivals.is_empty()
                    && message.missing().is_none()
            })
            .collect();
        columns
    }
}

/// What came of the values that are made of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Made {
    All,
    /// One could not be made.
    NotAll,
    /// They would not fit into a play.
    TooLarge,
}

/// Longest value that makes no message too long, however often it stands in it.
fn room(program: &Program, carrier: Carrier) -> usize {
    let mut room = MOST_VALUES;
    let mut fits = |most: usize, (own, uses): (usize, usize)| {
        room = most.saturating_sub(own).checked_div(uses).map_or(room, |each| room.min(each));
    };
    let taken = |index: usize| {
        let pieces = &program.messages[index].pieces;
        let own = program::matcher::text_length(pieces, &Scratch::default()).unwrap_or(usize::MAX);
        (own, pieces.iter().filter(|piece| is_given(piece)).count())
    };
    (0..program.messages.len()).for_each(|index| fits(MOST_SAID, taken(index)));
    if carrier.keeps_bounds() {
        // What the datagram at hand holds so far, if several messages go into one.
        let mut together: Option<(usize, usize)> = None;
        for op in &program.ops {
            match op {
                Op::Together => together = Some((0, 0)),
                Op::Apart => together = None,
                Op::Say(message) | Op::Hear(message) => {
                    let (own, uses) = taken(*message);
                    let (before, used) = together.unwrap_or_default();
                    let all = (before.saturating_add(own), used + uses);
                    together = together.map(|_| all);
                    fits(DATAGRAM as usize, all);
                }
                _ => {}
            }
        }
    }
    room
}

fn is_given(piece: &Piece) -> bool {
    matches!(piece.kind, PieceKind::Value(slot) if given_index(slot).is_some())
}

/// Whether some message that is no line depends on what is given where several may come.
fn decides(program: &Program) -> bool {
    let given = |message: &usize| {
        let message = &program.messages[*message];
        message.form != Form::Text && message.depends != Depends::Nothing && message.pieces.iter().any(is_given)
    };
    program.orders.iter().any(|order| order.messages.iter().any(given))
        || program.choices.iter().flat_map(|choice| &choice.arms).any(|arm| match &arm.first {
            program::First::Line(message) => given(message),
            _ => false,
        })
}

impl Script {
    /// The names whose values a play is given, in their order: see [`PlayOptions::columns`].
    #[must_use]
    pub fn columns(&self) -> &[String] {
        self.columns.as_ref().map_or(&[], |columns| &columns.options.columns)
    }

    /// The values of one play, in the order of [`Self::columns`], for [`Self::play_with`].
    ///
    /// # Errors
    /// Every reason why this side cannot play it with these values, in the words of [`Self::prepare`].
    pub fn row<V: AsRef<[u8]>>(&self, values: &[V]) -> Result<Row, Refused> {
        self.row_again(values.iter().map(AsRef::as_ref), None)
    }

    /// The same in the memory of the row of a play that is over, see [`Play::take_row`](crate::Play::take_row): where each of a
    /// million plays has values of its own, nothing is allocated for them.
    ///
    /// # Errors
    /// As [`Self::row`].
    pub fn row_again<'v>(
        &self,
        values: impl ExactSizeIterator<Item = &'v [u8]> + Clone,
        old: Option<Row>,
    ) -> Result<Row, Refused> {
        let Some(columns) = self.columns.as_deref().filter(|columns| columns.options.columns.len() == values.len())
        else {
            let names = self.columns().len();
            let text = format!("{} values are given for the {names} names that differ from play to play", values.len());
            let place = crate::diagnostic::Span { line: 1, column: 1, width: 1 };
            return Err(Refused::new(&self.source, vec![crate::Diagnostic::error(place, text)]));
        };
        let refusal = || self.refusal(columns, &values.clone().collect::<Vec<_>>());
        let length = values.clone().map(<[u8]>::len).fold(0, usize::saturating_add);
        if length > MOST_VALUES {
            return Err(refusal().unwrap_or_else(|| self.too_large(length)));
        }
        let mut filling = Filling::new(values.len() + self.program.recipes.len(), length, old);
        values.clone().for_each(|value| filling.push(value));
        let made = self.make(&mut filling, MOST_VALUES - length);
        let row = filling.end();
        let value = |index: usize| row.value(index).unwrap_or_default();
        let mut all = (0..self.program.given.len()).map(|index| value(index).len());
        let is_odd = made != Made::All
            || all.any(|length| length > columns.room)
            || columns.in_lines.iter().any(|&index| memchr::memchr(b'\n', value(index)).is_some())
            || columns.counts.iter().any(|(index, lengths)| {
                count_in(value(*index)).is_none_or(|count| lengths.iter().any(|&length| length != count))
            });
        if (columns.decides || is_odd || self.could_be_misheard(columns, &row))
            && let Some(refused) = refusal()
        {
            return Err(refused);
        }
        if made == Made::TooLarge {
            return Err(self.made_too_large());
        }
        Ok(row)
    }

    /// Makes the values that are made of others, up to so many bytes together.
    fn make(&self, filling: &mut Filling, mut room: usize) -> Made {
        let mut all = Made::All;
        for recipe in &self.program.recipes {
            let fill = |pieces: &[Piece]| {
                let mut bytes = Vec::new();
                for piece in pieces {
                    bytes.extend_from_slice(match &piece.kind {
                        PieceKind::Literal(text) => text,
                        PieceKind::Value(slot) => {
                            given_index(*slot).and_then(|index| filling.value(index)).unwrap_or_default()
                        }
                        PieceKind::Capture { .. } | PieceKind::Same { .. } => &[],
                    });
                    if bytes.len() > MOST_VALUES {
                        return None;
                    }
                }
                Some(bytes)
            };
            let made = fill(&recipe.key).zip(fill(&recipe.value)).and_then(|(key, value)| match recipe.function {
                Some(function) => function.apply(&key, &value).ok(),
                None => Some(value),
            });
            let made = made.unwrap_or_else(|| {
                all = all.max(Made::NotAll);
                Vec::new()
            });
            match room.checked_sub(made.len()) {
                Some(left) => {
                    filling.push(&made);
                    room = left;
                }
                None => {
                    filling.push(&[]);
                    all = Made::TooLarge;
                }
            }
        }
        all
    }

    fn could_be_misheard(&self, columns: &Columns, row: &Row) -> bool {
        if columns.mistakable.is_empty() {
            return false;
        }
        let mut scratch = Scratch::new();
        scratch.row = Some(row.clone());
        let mut messages = columns.mistakable.iter();
        messages.any(|&message| !program::misheard(&self.program, message, Depends::Given, &mut scratch).is_empty())
    }

    /// Why a script with these values in it would be refused.
    fn refusal<V: AsRef<[u8]>>(&self, columns: &Columns, values: &[V]) -> Option<Refused> {
        let mut options = columns.options.clone();
        let names = std::mem::take(&mut options.columns);
        for index in &columns.secret {
            options.secrets.push(Secret { name: names[*index].clone(), value: values[*index].as_ref().to_vec() });
        }
        options.values.extend(names.into_iter().zip(values.iter().map(|value| value.as_ref().to_vec())));
        Self::prepare(&columns.transcript, &options).err()
    }

    fn too_large(&self, length: usize) -> Refused {
        self.too_large_as(format!(
            "the values that are given are {length} bytes long together, and a play holds 16 MiB"
        ))
    }

    fn made_too_large(&self) -> Refused {
        let text = "the values that are given and those made of them are longer than 16 MiB together, which is what a play holds";
        self.too_large_as(text.to_owned())
    }

    fn too_large_as(&self, text: String) -> Refused {
        let place = crate::diagnostic::Span { line: 1, column: 1, width: 1 };
        let finding = crate::Diagnostic::error(place, text).help("a larger body is a file: `S file: body.bin`");
        Refused::new(&self.source, vec![finding])
    }

    /// Every secret that may stand in what is shown of a play, those among its own values too.
    pub(crate) fn secrets_with(&self, scratch: &Scratch) -> std::sync::Arc<[Secret]> {
        let columns = self.columns.as_deref().filter(|columns| !columns.secret.is_empty());
        if columns.is_none() && self.hidden.is_empty() {
            return std::sync::Arc::clone(&self.secrets);
        }
        let given = columns.iter().flat_map(|columns| &columns.secret).map(|&index| given_slot(index));
        let own = given.chain(self.hidden.iter().copied()).map(|slot| Secret {
            name: self.program.name(slot).to_owned(),
            value: scratch.value(slot).unwrap_or_default().to_vec(),
        });
        self.secrets.iter().cloned().chain(own).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::Side;

    fn columns(text: &str, carrier: Carrier) -> Arc<Columns> {
        let transcript = Transcript::parse("t.talk", text.as_bytes(), &["a", "b"]).unwrap();
        let mut options = PlayOptions::new(Side::Client, carrier);
        options.columns = vec!["a".to_owned(), "b".to_owned()];
        let script = Script::prepare(&transcript, &options).unwrap_or_else(|why| panic!("{why}"));
        script.columns.unwrap()
    }

    #[test]
    fn a_row_of_values_that_are_short_enough_for_every_message_needs_no_longer_look() {
        use Carrier::{Datagram, Packet, Stream};
        const MOST: usize = DATAGRAM as usize;
        for (text, carrier, room) in [
            ("C: x\n", Stream, MOST_VALUES),
            ("C: {a}\n", Stream, MOST_VALUES),
            ("C: {a}{b}\n", Stream, MOST_SAID / 2),
            ("C: {a}--{b}{a}\n", Stream, (MOST_SAID - 2) / 3),
            ("C: {a}\nS: {_}{a}....{a}{b}{a}\nC: {a}{b}{b}\n", Stream, (MOST_SAID - 4) / 4),
            ("C: {a}{a}{a}\nC raw: {x={0x01}}\n", Stream, MOST_SAID / 3),
            ("together\n  C: {a}{a}\n  C: {b}{b}\nend\n", Stream, MOST_SAID / 2),
            ("C: x\n", Datagram, MOST_VALUES),
            ("C: {a}\n", Datagram, MOST),
            ("C: {a}\n", Packet, MOST),
            ("C: {a}..{b}\nC: {a}.\n", Datagram, (MOST - 2) / 2),
            ("C: x\nS: {a}.{a}.{a}.\n", Datagram, (MOST - 3) / 3),
            // What goes into one datagram is counted together, and what follows it anew.
            ("together\n  C: {a}12\n  C: {b}3\nend\n", Datagram, (MOST - 3) / 2),
            ("together\n  C: {a}12\n  C: 3\n  C: {a}{b}\nend\nC: {a}\n", Datagram, (MOST - 3) / 3),
            ("together\n  C: {a}\nend\ntogether\n  C: {a}{b}\nend\nC: {a}\n", Datagram, MOST / 2),
            ("together\n  C: {a}\n  C: {a}\nend\nC: {a}{b}.\nS: x\n", Datagram, (MOST - 1) / 2),
        ] {
            assert_eq!(columns(text, carrier).room, room, "{text}");
        }
    }

    #[test]
    fn a_row_takes_a_longer_look_only_where_a_value_decides_what_can_be_told_apart() {
        let either = |first: &str| format!("either\n  S {first}\nor\n  S raw: 12345\nend\n");
        for (text, decides) in [
            ("S raw: {a}\nC: {b}\n", false),
            ("repeat\n  S: {a}\nend\nS: {b}\n", false),
            ("in any order\n  S: {a}\n  S: {b}\nend\n", false),
            (&either("raw: 67890"), false),
            (&either("raw: {_:5 bytes}"), false),
            (&either("raw: {a}"), true),
            (&either("hex: 00 {b}"), true),
            (&format!("C: {{a}}\n{}S raw: {{b}}\n", either("raw: 6")), false),
            ("in any order\n  S raw: a\n  S raw: b\nend\n", false),
            ("in any order\n  S raw: .\n  S raw: {a}\nend\n", true),
            ("in any order\n  C raw: .\n  C hex: {b}\nend\n", true),
            ("repeat\n  C: x\nend\nC closes\n", false),
        ] {
            assert_eq!(columns(text, Carrier::Stream).decides, decides, "{text}");
        }
    }

    #[test]
    fn each_value_is_looked_at_where_it_could_be_wrong() {
        let text = "C: {a}\nC raw: {b}\nS: {b}\nC raw: {x:a bytes=12}\nS raw: {y:b bytes}\n";
        let found = columns(text, Carrier::Stream);
        assert_eq!((&found.in_lines[..], &found.counts[..]), (&[0][..], &[(0, vec![2]), (1, vec![])][..]));
        assert!(found.mistakable.is_empty() && found.secret.is_empty());
        // Inside a datagram a line ending is text.
        assert!(columns("C: {a}\nS: x\n", Carrier::Datagram).in_lines.is_empty());
        let found = columns("repeat\n  C: {a}\n  S: {b}\nend\nC: exit\n", Carrier::Stream);
        assert_eq!((&found.in_lines[..], found.mistakable.len()), (&[0][..], 1));
    }
}
