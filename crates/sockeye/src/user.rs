//! The user that a server becomes when all that needs another user is done.
//!
//! ```
//! use sockeye::user::User;
//!
//! assert_eq!(User::parse("1000:1000").map(|user| user.uid()), Ok(1000));
//! ```

pub use crate::sys::user::{User, UserError};
