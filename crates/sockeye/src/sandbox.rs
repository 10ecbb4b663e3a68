//! What a program gives up for good once all that it needs is open.
//!
//! ```
//! use sockeye::sandbox::{Sandbox, SandboxLevel};
//!
//! let held = std::thread::spawn(|| Sandbox { reads: vec!["/usr".into()], ..Sandbox::default() }.enter());
//! if let SandboxLevel::Landlock(version) = held.join().expect("it does not panic")? {
//!     assert!(version > 0);
//! }
//! # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
//! ```

pub use crate::sys::sandbox::{Further, Reach, Sandbox, SandboxError, SandboxLevel};
