//! What becomes of a file that is not whole when a signal ends the process.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sockeye::verb::fetch::download::Unfinished;
use sockeye::verb::fetch::{Body, Progress, Uploaded};

use crate::commands::signals;
use crate::exit::Exit;
use crate::output::Console;

/// Everything that is under way.
#[derive(Clone, Default)]
pub(super) struct Downloads {
    unfinished: Arc<Mutex<Vec<UnfinishedDownload>>>,
    uploads: Arc<Mutex<Vec<Body>>>,
}

struct UnfinishedDownload {
    progress: Arc<Progress>,
    unfinished: Unfinished,
}

impl Downloads {
    /// A user who interrupts a download is told how far it came, and no half of it stays behind but what can be gone on with.
    pub(super) fn tell_when_interrupted(&self, console: &Console) -> Result<(), Exit> {
        let (downloads, told) = (self.clone(), console.apart());
        signals::end_on_signals(move |_| {
            let all = downloads.all();
            let partial: Vec<String> =
                all.iter().filter_map(|one| one.unfinished.leave()).map(|path| path.display().to_string()).collect();
            if told.quiet {
                return;
            }
            let uploaded = downloads.uploaded();
            let (received, promised) = Progress::sum(all.iter().map(|one| &one.progress));
            let of = promised.filter(|&promised| promised > 0);
            let of = of.map_or_else(String::new, |promised| format!(" of {promised}"));
            let end = match partial.as_slice() {
                [] => "nothing saved".to_owned(),
                partial => format!("--resume goes on with {}", partial.join(", ")),
            };
            told.complain(&format!("sockeye: interrupted; {uploaded}{received} bytes{of} of the body received, {end}"));
        })
        .map_err(|error| {
            console.fail(Exit::NoResources, &format!("cannot watch for signals: {}", sockeye::net::words(&error)))
        })
    }

    /// Puts one in place of what the same fetch had before.
    pub(super) fn put(&self, progress: &Arc<Progress>, unfinished: Unfinished) {
        let mut all = self.all();
        all.retain(|one| !Arc::ptr_eq(&one.progress, progress));
        all.push(UnfinishedDownload { progress: Arc::clone(progress), unfinished });
    }

    /// This is sent.
    pub(super) fn sends(&self, body: &Body) {
        self.uploads.lock().unwrap_or_else(PoisonError::into_inner).push(body.clone());
    }

    /// How much of what is to be sent was, if anything is.
    fn uploaded(&self) -> String {
        let bodies = self.uploads.lock().unwrap_or_else(PoisonError::into_inner);
        let begun: Vec<Uploaded> = bodies.iter().filter_map(Body::uploaded).collect();
        if begun.is_empty() {
            return String::new();
        }
        let sent: u64 = begun.iter().map(|one| one.sent).sum();
        let of: Option<u64> = begun.iter().map(|one| one.of).sum();
        let of = of.map_or_else(String::new, |of| format!(" of {of}"));
        format!("{sent} bytes{of} of the upload sent, ")
    }

    fn all(&self) -> MutexGuard<'_, Vec<UnfinishedDownload>> {
        self.unfinished.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
