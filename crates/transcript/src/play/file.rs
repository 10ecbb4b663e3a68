//! Files that are said or heard as they stand, a piece at a time: none is ever held whole.

use super::step::{Next, SAID_AHEAD};
use super::walk::{Stop, Walk};
use super::{Play, Watch};
use crate::carrier::MessageKind;
use crate::notation::show;
use crate::program::Pc;
use crate::verdict::{Awaited, Expected, Fault};

/// How much of a file is looked at in one go.
const PIECE: usize = 64 * 1024;
/// Bytes that are shown of either side where they differ.
const SHOWN: usize = 64;

impl<W: Watch> Walk<'_, W> {
    /// Says or hears a file, as far as that goes.
    #[inline(never)]
    pub(super) fn file(&mut self, play: &mut Play, index: usize) -> Result<Pc, Stop> {
        self.owes_ending = false;
        let file = &self.script.program.files[index];
        if file.side == self.script.side {
            self.say_file(play, index)?;
            self.watch.said(file.place.line, self.input.now);
        } else {
            self.hear_file(play, index)?;
            self.watch.heard(file.place.line, self.input.now);
        }
        play.file_offset = 0;
        Ok(play.pc + 1)
    }

    fn say_file(&mut self, play: &mut Play, index: usize) -> Result<(), Stop> {
        let file = &self.script.files[index];
        let output = &mut self.output.bytes;
        while play.file_offset < file.len() {
            if output.len() >= SAID_AHEAD && !self.script.carrier.keeps_bounds() {
                return Err(Stop::Next(Next::Flush));
            }
            let start = output.len();
            let want = PIECE.min(usize::try_from(file.len() - play.file_offset).unwrap_or(PIECE));
            output.resize(start + want, 0);
            let read = file.read_at(play.file_offset, &mut output[start..]).unwrap_or(0);
            output.truncate(start + read);
            if read == 0 {
                return Err(self.file_shrank(play, index));
            }
            play.file_offset += read as u64;
        }
        self.kind = MessageKind::Binary;
        self.end_datagram();
        Ok(())
    }

    fn hear_file(&mut self, play: &mut Play, index: usize) -> Result<(), Stop> {
        self.begin_waiting(play);
        if play.file_offset == 0 {
            self.skip_late_ending(play);
        }
        let file = &self.script.files[index];
        let mut piece = Vec::new();
        while play.file_offset < file.len() {
            let rest = self.rest();
            if rest.is_empty() {
                if play.file_offset - play.gained >= PIECE as u64 {
                    (play.gained, play.waiting_since) = (play.file_offset, Some(self.input.now));
                }
                return Err(self.wait(play));
            }
            let want = PIECE.min(rest.len()).min(usize::try_from(file.len() - play.file_offset).unwrap_or(PIECE));
            piece.resize(want, 0);
            let read = file.read_at(play.file_offset, &mut piece).unwrap_or(0);
            if read == 0 {
                return Err(self.file_shrank(play, index));
            }
            let same = piece[..read].iter().zip(rest).take_while(|(a, b)| a == b).count();
            play.file_offset += same as u64;
            self.at += same;
            if same < read {
                return Err(self.file_differs(play, index, &piece[same..read]));
            }
        }
        if self.datagram && !self.rest().is_empty() {
            return Err(self.file_differs(play, index, &[]));
        }
        self.datagram = false;
        self.take(play, 0, 0)
    }

    fn file_differs(&mut self, play: &mut Play, index: usize, expected: &[u8]) -> Stop {
        let file = &self.script.program.files[index];
        let rest = self.rest();
        let mut verdict = self.account(play, Fault::Differs, &rest[..rest.len().min(SHOWN)]);
        let place = format!("byte {} of {}: ", play.file_offset + 1, file.path);
        let shown =
            if expected.is_empty() { "(its end)".to_owned() } else { show(&expected[..expected.len().min(SHOWN)]) };
        verdict.place = file.place;
        verdict.byte = None;
        verdict.expected =
            vec![Expected { awaited: Awaited::File, line: file.place.line, text: place + &shown, matched: 0 }];
        Stop::failed(verdict)
    }

    /// The file is shorter than it was when the play began, or can be read no more.
    fn file_shrank(&mut self, play: &mut Play, index: usize) -> Stop {
        let file = &self.script.program.files[index];
        let mut verdict = self.account(play, Fault::FileShrank, &[]);
        verdict.place = file.path_place;
        verdict.side = self.script.side;
        verdict.name.clone_from(&file.path);
        verdict.expected.clear();
        Stop::failed(verdict)
    }
}
