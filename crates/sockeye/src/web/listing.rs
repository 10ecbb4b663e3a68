//! What is in a folder, as far as it would be served, and in which order it is shown.

mod page;

use std::cmp::Ordering;
use std::os::fd::OwnedFd;

use rustix::fs::{Dir, FileType};

use super::options::Hidden;
use super::path::RequestPath;
use super::root::{Kind, Meta, Root, look_in};
use crate::limits;
use crate::wire::http::status::Status;

/// What a listing is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// `?sort=name`, `?sort=-name`
    Name,
    /// `?sort=size`, `?sort=-size`
    Size,
    /// `?sort=time`, `?sort=-time`
    Time,
}

/// Which end comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The small, the old, `a`.
    Ascending,
    /// With a minus before the key: the large, the new, `z`.
    Descending,
}

/// How a listing is sorted; folders come first in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// By what.
    pub key: Key,
    /// Which way.
    pub direction: Direction,
}

impl Order {
    /// Reads a query; what it does not know, it passes over.
    #[must_use]
    pub fn of(query: &str) -> Self {
        let mut order = Self { key: Key::Name, direction: Direction::Ascending };
        for sort in query.split('&').filter_map(|part| part.strip_prefix("sort=")) {
            let (direction, key) = match sort.strip_prefix('-') {
                Some(key) => (Direction::Descending, key),
                None => (Direction::Ascending, sort),
            };
            let key = match key {
                "name" => Key::Name,
                "size" => Key::Size,
                "time" => Key::Time,
                _ => continue,
            };
            order = Self { key, direction };
        }
        order
    }

    /// As a query says it, unless it is the usual order.
    fn sort(self) -> &'static str {
        use Direction::{Ascending, Descending};
        match (self.key, self.direction) {
            (Key::Name, Ascending) => "",
            (Key::Name, Descending) => "sort=-name",
            (Key::Size, Ascending) => "sort=size",
            (Key::Size, Descending) => "sort=-size",
            (Key::Time, Ascending) => "sort=time",
            (Key::Time, Descending) => "sort=-time",
        }
    }

    fn compare(self, one: &Entry, other: &Entry) -> Ordering {
        let is_file = |entry: &Entry| entry.meta.kind == Kind::File;
        let by_name = || compare_names(&one.name, &other.name);
        let by_key = match self.key {
            Key::Name => by_name(),
            // What a folder's size is, depends on the file system and tells nothing.
            Key::Size if !is_file(one) => by_name(),
            Key::Size => one.meta.size.cmp(&other.meta.size),
            Key::Time => one.meta.modified.cmp(&other.meta.modified),
        };
        let by_key = match self.direction {
            Direction::Ascending => by_key,
            Direction::Descending => by_key.reverse(),
        };
        is_file(one).cmp(&is_file(other)).then(by_key).then_with(by_name)
    }
}

/// As people sort: the case matters only between names that are otherwise the same.
fn compare_names(one: &[u8], other: &[u8]) -> Ordering {
    let small = one.iter().map(u8::to_ascii_lowercase).cmp(other.iter().map(u8::to_ascii_lowercase));
    small.then_with(|| one.cmp(other))
}

/// A name in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name as it is on the disk: any bytes but a slash and NUL.
    pub name: Vec<u8>,
    /// What it is.
    pub meta: Meta,
}

/// What of a listing is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    order: Order,
    /// `?page=1` is the first.
    page: usize,
}

impl View {
    /// Reads a query; what it does not know, it passes over.
    #[must_use]
    pub fn of(query: &str) -> Self {
        let page = query.split('&').filter_map(|part| part.strip_prefix("page=")?.parse().ok()).next_back();
        Self { order: Order::of(query), page: page.unwrap_or(1).max(1) }
    }
}

/// What may be done with a folder besides reading it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Offers {
    /// It is sent whole.
    pub(crate) archives: bool,
    /// Files are stored in it, and folders made.
    pub(crate) upload: bool,
}

/// A folder as it is shown.
#[derive(Debug)]
pub struct Listing<'w> {
    path: &'w RequestPath<'w>,
    view: View,
    pub(super) offers: Offers,
    /// All of them, sorted.
    entries: Vec<Entry>,
}

impl<'w> Listing<'w> {
    /// Reads an open folder: what would be served if it were asked for.
    pub(crate) fn read(
        root: &Root,
        folder: OwnedFd,
        path: &'w RequestPath<'w>,
        hidden: Hidden,
        view: View,
    ) -> Result<Self, Status> {
        let mut listing = Self { path, view, offers: Offers::default(), entries: vec![] };
        let names = Dir::read_from(&folder).map_err(|_| Status::INTERNAL_ERROR)?;
        for entry in names {
            // A folder that is being removed ends here.
            let Ok(entry) = entry else { break };
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") || (hidden == Hidden::Kept && name.starts_with(b".")) {
                continue;
            }
            if let Some(meta) = meta_of(root, &folder, path, name) {
                listing.entries.push(Entry { name: name.to_vec(), meta });
            }
        }
        listing.entries.sort_by(|one, other| view.order.compare(one, other));
        listing.view.page = view.page.min(listing.pages());
        Ok(listing)
    }

    /// The same with what else may be done with it.
    pub(crate) fn offering(self, offers: Offers) -> Self {
        Self { offers, ..self }
    }

    /// How many pages there are; an empty folder has one.
    fn pages(&self) -> usize {
        self.entries.len().div_ceil(limits::LISTED).max(1)
    }

    /// The entries on the page that is asked for.
    fn shown(&self) -> &[Entry] {
        let from = (self.view.page - 1) * limits::LISTED;
        &self.entries[from..self.entries.len().min(from + limits::LISTED)]
    }
}

/// What a name is, if it would be served. Only links are followed, the way that a request would be.
fn meta_of(root: &Root, folder: &OwnedFd, path: &RequestPath<'_>, name: &[u8]) -> Option<Meta> {
    let stat = look_in(folder, name).ok()??;
    if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink {
        return root.look(&join(path.bytes(), name)).ok();
    }
    Meta::of(&stat)
}

/// The way of a name in a folder.
pub(crate) fn join(path: &[u8], name: &[u8]) -> Vec<u8> {
    let mut joined = Vec::with_capacity(path.len() + 1 + name.len());
    joined.extend_from_slice(path);
    if !path.is_empty() {
        joined.push(b'/');
    }
    joined.extend_from_slice(name);
    joined
}

#[cfg(test)]
mod tests;
