//! Who may come in, for every verb that listens.
#![allow(rustdoc::broken_intra_doc_links, reason = "these comments are the help text, where [HOST] is a placeholder")]

use clap::{Args, ValueEnum};

/// Who may come in, and how many.
#[derive(Debug, Args)]
#[command(next_help_heading = "Who may come in")]
pub(crate) struct GateFlags {
    /// Let only these in: an address, a prefix such as 10.0.0.0/8, or @FILE with one a line, read again at SIGHUP; open
    /// connections stay
    #[arg(long, value_name = "PREFIX|@FILE")]
    pub(crate) allow: Vec<String>,
    /// Keep these out, even if they are among those of --allow
    #[arg(long, value_name = "PREFIX|@FILE")]
    pub(crate) deny: Vec<String>,
    /// Connections at once; more clients wait
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_conns: Option<u32>,
    /// Connections at once of one address; its next clients wait
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_conns_per_address: Option<u32>,
    /// What becomes of clients that find no room
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = WhenFull::Wait)]
    pub(crate) when_full: WhenFull,
    /// Become this user once all is bound and open; root's groups are given up too
    #[arg(long, value_name = "NAME[:GROUP]")]
    pub(crate) user: Option<String>,
}

impl GateFlags {
    /// Whether any of them was given.
    pub(crate) fn are_given(&self) -> bool {
        let Self { allow, deny, max_conns, max_conns_per_address, when_full, user } = self;
        let has_rules = !allow.is_empty() || !deny.is_empty();
        let has_counts = max_conns.is_some() || max_conns_per_address.is_some() || *when_full != WhenFull::Wait;
        has_rules || has_counts || user.is_some()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum WhenFull {
    /// They wait until there is
    Wait,
    /// Their connections are closed, and they are told of in the log
    Refuse,
}
