//! From bytes to meaning and back. Nothing here opens a socket.

pub(crate) mod http;
pub(crate) mod socks;
