//! The bounds of the format, in one place: the reference of the language tells them, and a test compares the two.
//!
//! ```
//! use transcript::{Transcript, limits};
//!
//! let deep = format!("C: hello\n{}", "repeat\n".repeat(limits::BLOCKS + 1));
//! let refused = Transcript::parse("deep.talk", deep.as_bytes(), &[]).expect_err("it is too deep");
//! let told = format!("blocks are nested deeper than {}", limits::BLOCKS);
//! assert!(refused.findings.iter().any(|finding| finding.message == told));
//! ```

use std::time::Duration;

/// Largest transcript, in bytes.
pub const TRANSCRIPT: usize = 16 * 1024 * 1024;
/// Most statements of a transcript. Holes and defaults count too, for a part of one each.
pub const STATEMENTS: usize = 500_000;
/// Deepest nesting of blocks.
pub const BLOCKS: usize = 16;
/// Files that one transcript includes, those that they include among them; one that is included twice counts twice.
pub const INCLUDED: usize = 1000;
/// Files that include each other, one inside the other.
pub const INCLUDED_DEPTH: usize = 16;
/// All included files together, in bytes.
pub const INCLUDED_BYTES: u64 = 16 * 1024 * 1024;
/// Lines of which any may come first at one choice.
pub const BRANCHES: usize = 2000;
/// Longest regular expression, in bytes.
pub const EXPRESSION: usize = 10 * 1024;
/// Most memory that one regular expression may become when it is compiled, in bytes.
pub const COMPILED_EXPRESSION: usize = 1024 * 1024;
/// Most memory that the different regular expressions of a transcript may become together, in bytes.
pub const COMPILED_EXPRESSIONS: usize = 64 * 1024 * 1024;
/// Most characters of a value that `random` makes.
pub const RANDOM: u16 = 4096;
/// Most bytes that the `bytes` pattern takes.
pub const COUNTED_BYTES: usize = 16 * 1024 * 1024;
/// Most bytes of a `varint`: it holds 64 bits.
pub const VARINT: usize = 10;
/// Connections of one play at once.
pub const CONNECTIONS: u8 = 9;
/// Largest datagram over IP, in bytes.
pub const DATAGRAM: u64 = 65_507;
/// Bytes of a message that is no line which must come within its time limit; each of them begins the time anew.
pub const GAIN: u64 = 64 * 1024;
/// Most bytes of what came that a [`Verdict`](crate::Verdict) tells programs.
pub const TOLD: usize = 64 * 1024;
/// How long a client waits for the server, if nothing else is said.
pub const CLIENT_WAIT: Duration = Duration::from_secs(5);
/// How long a server waits for its client, if nothing else is said.
pub const SERVER_WAIT: Duration = Duration::from_secs(300);
