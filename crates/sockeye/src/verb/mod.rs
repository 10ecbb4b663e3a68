//! One file a verb. Verbs do not know each other.
//!
//! ```
//! use sockeye::verb::ports::{Query, ports};
//!
//! let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
//! let port = listener.local_addr()?.port();
//! let found = ports(&Query { ports: vec![port], ..Query::default() })?;
//! assert_eq!(found.len(), 1);
//! # Ok::<(), std::io::Error>(())
//! ```

pub mod addrs;
#[cfg(feature = "http")]
pub mod fetch;
#[cfg(feature = "figures")]
pub mod load;
pub mod nc;
pub mod ports;
pub mod relay;
pub mod serve;
pub mod talk;
