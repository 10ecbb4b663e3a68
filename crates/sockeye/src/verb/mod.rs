//! One file a verb. Verbs do not know each other.

pub mod check;
pub mod fetch;
pub mod serve;
pub mod talk;
