//! System calls that no library wraps safely, and what /proc tells. The only place besides `net` where `unsafe` may stand.

pub(crate) mod bsd;
pub(crate) mod child;
pub(crate) mod datagrams;
pub(crate) mod files;
pub(crate) mod holder;
pub(crate) mod hostname;
pub(crate) mod inet_diag;
pub(crate) mod inherited;
pub(crate) mod interface;
pub(crate) mod interfaces;
pub(crate) mod memory;
mod netlink;
pub(crate) mod option;
pub(crate) mod process;
pub(crate) mod queue;
pub(crate) mod sandbox;
pub(crate) mod signal;
pub(crate) mod tcp_diag;
pub(crate) mod tcp_info;
pub(crate) mod terminal;
#[cfg(feature = "figures")]
pub(crate) mod timer;
pub(crate) mod unix_diag;
pub(crate) mod user;
