//! Figures as people look at them: tables in the terminal, a page, and a view while a run goes on.

mod live;
mod page;
mod summary;
pub(crate) mod units;

pub(crate) use live::Live;
pub(crate) use page::page;
pub(crate) use summary::{comparison, summary};
