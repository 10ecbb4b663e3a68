//! What all pages of one run have in common.

use sockeye::verb::fetch::{FetchOptions, Jar};

use super::super::bar::Bar;
use super::interrupt::Downloads;
use crate::flags::Fetch;
use crate::output::Console;

/// One run, of one page or of many.
pub(super) struct Session<'a> {
    pub(super) flags: &'a Fetch,
    pub(super) options: &'a FetchOptions,
    pub(super) console: &'a Console,
    pub(super) downloads: &'a Downloads,
    pub(super) bar: Option<&'a Bar>,
    /// Cookies that stay.
    pub(super) jar: Option<Jar>,
}

impl Session<'_> {
    /// Says something; where there is a bar, beside it.
    pub(super) fn aside<T>(&self, say: impl FnOnce() -> T) -> T {
        let Some(bar) = self.bar else { return say() };
        bar.aside(|| {
            let said = say();
            // Before the bar is drawn again.
            self.console.flush();
            said
        })
    }

    pub(super) fn note(&self, text: &str) {
        self.aside(|| self.console.note(text));
    }
}
