//! Figures as people look at them: tables in the terminal, a page, and a view while a run goes on.

#[allow(dead_code, reason = "what generates load shows it")]
mod live;
mod page;
mod summary;
pub(crate) mod units;

#[allow(unused_imports, reason = "what generates load shows it")]
pub(crate) use live::Live;
pub(crate) use page::page;
pub(crate) use summary::{comparison, summary};
