//! One file a verb. Verbs do not know each other.

pub mod check;
pub mod serve;
pub mod talk;
