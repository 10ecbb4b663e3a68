//! One file a verb. Verbs do not know each other.

pub mod addrs;
pub mod check;
pub mod fetch;
pub mod nc;
pub mod ports;
pub mod serve;
pub mod talk;
