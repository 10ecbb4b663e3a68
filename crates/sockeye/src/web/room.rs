//! Room for files that are being stored. Each is open meanwhile, and so is its folder: who stores much at once must not use
//! up what everybody needs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::file::AtomicFile;
use crate::limits;
use crate::sys::files::open_files;
use crate::wire::http::status::Status;

/// How many files of a site are being stored.
#[derive(Debug, Clone, Default)]
pub(crate) struct Room(Arc<AtomicUsize>);

/// A file that is being stored, and its place.
#[derive(Debug)]
pub(crate) struct Placed {
    pub(crate) file: AtomicFile,
    _place: Permit,
}

/// A place, free again when it is dropped.
#[derive(Debug)]
pub(crate) struct Permit(Arc<AtomicUsize>);

impl Room {
    /// A place for one more file.
    ///
    /// # Errors
    /// 503: there is none now.
    pub(crate) fn place(&self) -> Result<Permit, Status> {
        let most = limits::stored_at_once(open_files());
        let place = Permit(Arc::clone(&self.0));
        // It counts itself, and frees what it counted if that was too much.
        if self.0.fetch_add(1, Ordering::Relaxed) < most { Ok(place) } else { Err(Status::UNAVAILABLE) }
    }
}

impl Permit {
    pub(crate) fn of(self, file: AtomicFile) -> Placed {
        Placed { file, _place: self }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_once_it_is_given_back() {
        let room = Room::default();
        let most = limits::stored_at_once(open_files());
        // A system that allows many files gets them all in no reasonable time.
        room.0.store(most - 2, Ordering::Relaxed);
        let (one, two) = (room.place().unwrap(), room.place().unwrap());
        assert_eq!(room.place().map(|_| ()), Err(Status::UNAVAILABLE));
        drop(one);
        let three = room.place().unwrap();
        assert!(room.place().is_err());
        drop((two, three));
        assert_eq!(room.0.load(Ordering::Relaxed), most - 2);
    }
}
