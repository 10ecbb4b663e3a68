//! The files that clients of HTTP/2 hold open, beyond one for each connection: as many as clients of HTTP/1 hold is what
//! everybody may, and the others share what there is.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::limits;
use crate::sys::files::open_files;

/// How many there are of them, over all connections to a site.
#[derive(Debug, Default)]
pub(crate) struct MoreFiles(AtomicUsize);

/// What one connection has of them; it is given back when the connection ends.
pub(super) struct Share {
    all: Arc<MoreFiles>,
    taken: usize,
}

impl Share {
    pub(super) fn of(all: Arc<MoreFiles>) -> Self {
        Self { all, taken: 0 }
    }

    /// Whether the connection may hold so many files; if it may, there is room for them.
    pub(super) fn has_room_for(&mut self, files: usize) -> bool {
        while files > 1 + self.taken {
            let all = &self.all.0;
            if all.fetch_add(1, Ordering::Relaxed) >= limits::more_files(open_files()) {
                all.fetch_sub(1, Ordering::Relaxed);
                return false;
            }
            self.taken += 1;
        }
        true
    }

    /// The connection holds so many files now: others may have the rest.
    pub(super) fn settle(&mut self, files: usize) {
        let free = self.taken.saturating_sub(files.saturating_sub(1));
        if free > 0 {
            self.taken -= free;
            self.all.0.fetch_sub(free, Ordering::Relaxed);
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.settle(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_connection_has_is_free_for_others_once_it_needs_less_and_once_it_ends() {
        let all = Arc::new(MoreFiles::default());
        let most = 1 + limits::more_files(open_files());
        let mut first = Share::of(all.clone());
        let mut second = Share::of(all.clone());
        assert!(first.has_room_for(most));
        assert!(!second.has_room_for(2), "one file is everybody's, and all others are taken");
        first.settle(most - 1);
        assert!(second.has_room_for(2));
        assert!(!second.has_room_for(3));
        drop(first);
        assert!(second.has_room_for(most));
        drop(second);
        assert_eq!(all.0.load(Ordering::Relaxed), 0);
    }
}
