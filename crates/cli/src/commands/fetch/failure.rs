//! How the fetching of a page fails.

use crate::exit::Exit;

/// An exit code, and why.
pub(super) type Failure = (Exit, String);
