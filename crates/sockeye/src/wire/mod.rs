//! From bytes to meaning and back. Nothing here opens a socket.

#[cfg(feature = "http")]
pub(crate) mod http;
pub(crate) mod pcapng;
pub(crate) mod preface;
pub(crate) mod socks;
pub(crate) mod starttls;
