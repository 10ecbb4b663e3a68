//! The transcript format: what is said in a conversation, and by whom.
//!
//! This crate owns the format, its diagnostics and the player. It knows no socket, no clock and no file: bytes, the end
//! of the stream and the time go in as arguments, actions come out.

mod side;

pub use side::Side;
