//! The transcript format: what is said in a conversation, and by whom.
//!
//! This crate owns the format, its diagnostics and the player. It knows no socket, no clock and no file: bytes, the end
//! of the stream and the time go in as arguments, actions come out.
//!
//! ```
//! use transcript::{Carrier, Input, Moment, Next, Output, PlayOptions, Scratch, Script, Side, Transcript};
//!
//! let text = b"S: Welcome!\nrepeat\n  C: {name=Michael}\n  S: Hello, {name}!\nend\nC: exit\nS closes\n";
//! let transcript = Transcript::parse("greeting.talk", text, &[]).expect("it follows the grammar");
//! let script = Script::prepare(&transcript, &PlayOptions::new(Side::Server, Carrier::Stream)).expect("a server can play it");
//!
//! let (mut play, mut scratch, mut output) = (script.play(), Scratch::new(), Output::default());
//! let input = Input { bytes: b"Tracy\nexit\n", datagram: false, ended: false, now: Moment::default() };
//! let step = play.step(&script, input, &mut scratch, &mut output);
//! assert_eq!(output.bytes, b"Welcome!\nHello, Tracy!\n");
//! assert_eq!(step.consumed, 11);
//! assert!(matches!(step.next, Next::End(_)));
//! ```

pub mod calendar;
mod carrier;
mod connections;
mod diagnostic;
mod file;
mod format;
mod function;
mod given;
pub mod import;
pub mod limits;
mod lint;
mod made;
mod moment;
mod names;
mod notation;
mod number;
mod pattern;
mod play;
mod program;
pub mod record;
pub mod rehearse;
mod row;
mod script;
mod secret;
mod seek;
mod side;
mod silence;
mod syntax;
mod tls;
mod transcript;
mod update;
mod values;
mod verdict;

pub use carrier::{Bound, Carrier, MessageKind};
pub use diagnostic::{Diagnostic, Severity, Source, Span};
pub use file::{File, Files};
pub use format::format;
pub use given::{UnknownName, known_names};
pub use made::{Clock, Fresh, NoTime, time};
pub use moment::Moment;
pub use notation::{is_hidden, show};
pub use play::{Ending, Exchange, Exchanges, Input, Next, Output, Play, SAID_AHEAD, Step, Watch};
pub use program::MOST_SAID;
pub use row::Row;
pub use script::{CLIENT_WAIT, PlayOptions, SERVER_WAIT, Script};
pub use side::Side;
pub use syntax::nearest as nearest_word;
pub use syntax::{At, Eol, MOST_SHOWN, Refused, Settings};
pub use transcript::Transcript;
pub use update::{Updated, update};
pub use values::{MOST_VALUES, Scratch};
pub use verdict::{Awaited, Expected, Fault, FaultKind, Verdict, seconds};

/// The examples of the README, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
