//! Transcripts made ready to be played many times, each with the values of its plays.

use std::collections::BTreeMap;
use std::sync::Arc;

use transcript::{Diagnostic, PlayOptions, Refused, Row, Script, Side, Transcript, known_names};

use super::{LoadOptions, Rows, Work};
use crate::endpoint::Protocol;
use crate::engine::client::InitialLayers;
use crate::engine::load::{Numbered, Piece, Places, Played, Request};
#[cfg(feature = "http")]
use crate::limits;

/// The name that stands for the number of the play.
const NUMBER: &str = "play";
/// So many lines are told apart: each has a histogram in each thread. What is behind them has one together.
const MOST_LINES: usize = crate::limits::LOAD_LINES;
const OTHERS: &str = "further lines";

/// Everything that is played.
#[derive(Debug)]
pub(super) struct Pieces {
    pieces: Vec<Piece>,
    /// What is asked over HTTP instead.
    pub(super) request: Option<Arc<Request>>,
    /// What the target is called, where it is more than an address.
    pub(super) target: Option<String>,
    pub(super) begins: InitialLayers,
    pub(super) protocol: Protocol,
    /// The files, as they were named.
    pub(super) files: Vec<String>,
    /// By place: the lines that are told apart.
    pub(super) names: Vec<String>,
    pub(super) notices: Vec<String>,
}

impl Pieces {
    pub(super) fn prepare(options: &LoadOptions) -> Result<Self, Refused> {
        let protocol = options.protocol();
        let mut all = Self {
            pieces: vec![],
            request: None,
            target: None,
            begins: InitialLayers::at(&options.address),
            protocol,
            files: vec![],
            names: vec![],
            notices: vec![],
        };
        #[cfg_attr(
            not(feature = "http"),
            allow(clippy::infallible_destructuring_match, reason = "there are pages, too")
        )]
        let plays = match &options.work {
            Work::Plays(plays) => plays,
            #[cfg(feature = "http")]
            Work::Requests(page) => {
                let wait = options.timeout.unwrap_or(limits::TALK_WAIT);
                all.request = Some(Arc::new(page.request(options.reconnect, wait)));
                (all.target, all.begins) = (Some(page.url.shown()), page.begins());
                all.names = vec![page.name()];
                return Ok(all);
            }
        };
        for weighted in plays {
            all.add(weighted, options)?;
        }
        let keeps = !options.reconnect && all.pieces.iter().all(|piece| piece.script.repeats());
        all.pieces.iter_mut().for_each(|piece| piece.keeps = keeps);
        Ok(all)
    }

    fn add(&mut self, weighted: &super::Weighted, options: &LoadOptions) -> Result<(), Refused> {
        let transcript = &weighted.loaded.transcript;
        let mut playing = PlayOptions::new(Side::Client, options.address.carrier(self.protocol));
        playing.values.clone_from(&options.values);
        playing.secrets.clone_from(&options.secrets);
        playing.fresh = options.fresh;
        playing.fresh.seed ^= options.shard.map_or(0, |shard| u64::from(shard.index) << 32);
        playing.longest_line = options.longest_line;
        playing.wait_override = options.timeout;
        playing.files.clone_from(&weighted.loaded.files);
        let Rows { names, rows } = &options.rows;
        // Of several transcripts each takes the values that it has names for.
        let has = |name: &str| known_names([transcript], &[name]).is_ok();
        let columns: Vec<usize> = (0..names.len()).filter(|&index| has(&names[index])).collect();
        playing.columns = columns.iter().map(|&index| names[index].clone()).collect();
        let is_given = options.values.contains_key(NUMBER) || names.iter().any(|name| name == NUMBER);
        let is_numbered = !is_given && has(NUMBER);
        if is_numbered {
            playing.columns.push(NUMBER.to_owned());
        }
        let script = Script::prepare(transcript, &playing)?;
        if let Some(place) = transcript.connects() {
            let message = "`load` measures one connection a play, and this line opens another one";
            let help = "take the part between two connections as a transcript of its own, or play it with `talk --play --repeat`";
            let findings = vec![Diagnostic::error(place, message).help(help)];
            return Err(Refused { source: Arc::clone(transcript.source()), findings });
        }
        let notices = transcript.warnings().iter().chain(script.warnings());
        self.notices.extend(notices.map(|notice| notice.one_line(transcript.source())));
        let values = |row: &[Vec<u8>]| -> Vec<Vec<u8>> { columns.iter().map(|&index| row[index].clone()).collect() };
        let (mut made, mut numbered) = (Vec::new(), None);
        if is_numbered {
            let mut given: Vec<_> = rows.iter().map(|(_, row)| values(row)).collect();
            if given.is_empty() || columns.is_empty() {
                given = vec![vec![]];
            }
            for row in &given {
                script.row(&[row.clone(), vec![b"1".to_vec()]].concat())?;
            }
            numbered = Some(Arc::new(WithNumber { rows: given }) as Arc<dyn Numbered>);
        } else if !columns.is_empty() {
            made = rows.iter().map(|(_, row)| script.row(&values(row))).collect::<Result<Vec<Row>, _>>()?;
        }
        let places = self.places(transcript, &script);
        let name = transcript.source().name().to_owned();
        self.files.push(name);
        self.pieces.push(Piece {
            script: Arc::new(script),
            weight: u64::from(weighted.weight.max(1)),
            places: Arc::new(places),
            rows: made.into(),
            numbered,
            keeps: false,
            turn: 0,
        });
        Ok(())
    }

    /// Where the lines of a transcript stand among all that are told apart. A line that several transcripts include, or that is
    /// included twice, is one line.
    fn places(&mut self, transcript: &Transcript, script: &Script) -> Places {
        let mut known: BTreeMap<&str, u32> = BTreeMap::new();
        let names = std::mem::take(&mut self.names);
        for (place, name) in (0..).zip(&names) {
            known.insert(name, place);
        }
        let (mut added, mut places) = (Vec::new(), Vec::new());
        let lines: Vec<(usize, String)> = script
            .lines()
            .into_iter()
            .map(|line| {
                let (file, own) = transcript.source().locate(line);
                (line, format!("{file}:{own}"))
            })
            .collect();
        for (line, name) in &lines {
            let next = (names.len() + added.len()) as u32;
            let name = if next as usize >= MOST_LINES && !known.contains_key(&**name) { OTHERS } else { name };
            let place = *known.entry(name).or_insert(next);
            if place == next {
                added.push(name.to_owned());
            }
            places.push((*line, place));
        }
        self.names = names.iter().cloned().chain(added).collect();
        Places::new(places)
    }

    /// The files of which no play ended.
    pub(super) fn never_played(&self, played: &Played) -> Vec<String> {
        let files = self.files.iter().zip(&played.pieces);
        files.filter(|(_, was_played)| !**was_played).map(|(file, _)| file.clone()).collect()
    }

    /// Whether connections stay from play to play.
    pub(super) fn keeps(&self) -> bool {
        self.pieces.iter().all(|piece| piece.keeps)
    }

    /// The same for a thread: scripts that two threads count would have them wait for each other.
    pub(super) fn for_a_thread(&self) -> Vec<Piece> {
        let own = |piece: &Piece| Piece { script: Arc::new(Script::clone(&piece.script)), ..piece.clone() };
        self.pieces.iter().map(own).collect()
    }
}

/// Rows of values, and behind them the number of the play.
#[derive(Debug)]
struct WithNumber {
    rows: Vec<Vec<Vec<u8>>>,
}

impl Numbered for WithNumber {
    fn rows(&self) -> usize {
        if self.rows[0].is_empty() { 0 } else { self.rows.len() }
    }

    fn row(&self, script: &Script, number: u64, row: u32, old: Option<Row>) -> Option<Row> {
        let row = &self.rows[row as usize];
        let mut room = [0; 20];
        let digits = decimal(number, &mut room);
        let value = |index: usize| row.get(index).map_or(digits, Vec::as_slice);
        script.row_again((0..row.len() + 1).map(value), old).ok()
    }
}

/// A number in digits, without taking memory for them.
fn decimal(mut number: u64, room: &mut [u8; 20]) -> &[u8] {
    let mut at = room.len();
    loop {
        at -= 1;
        room[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &room[at..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_whole() {
        for number in [0, 1, 9, 10, 305, 1_000_000, u64::MAX] {
            assert_eq!(decimal(number, &mut [0; 20]), number.to_string().as_bytes());
        }
    }
}
