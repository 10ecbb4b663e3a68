//! The folder that is served, and the one way to anything in it: the kernel resolves every path beneath it (openat2(2)),
//! so that no link and no rename, however timed, leads outside. A link that leaves and comes back is followed once, to see
//! where it ends, and then that place is opened beneath the root without any link.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat2, stat, statat};
use rustix::io::Errno;

use crate::wire::http::status::Status;

/// How often a lookup is tried that met a rename on its way (openat2(2), EAGAIN).
const TRIES: usize = 128;

/// A folder that is held open, and exchanged for another when its path has come to lead there: a site is built again by
/// removing its folder, or by laying a link to another.
#[derive(Debug)]
pub struct Root {
    path: PathBuf,
    folder: RwLock<OwnedFd>,
    /// The second in which it was last seen to where the path leads.
    seen: AtomicU64,
    links: Links,
}

/// What something is, as far as it is served at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
}

/// When something was last changed, since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Modified {
    /// Whole seconds, negative before.
    pub seconds: i64,
    /// Nanoseconds on top of them.
    pub nanos: u32,
}

/// What the system tells of a file or folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    /// What it is.
    pub kind: Kind,
    /// Its length in bytes.
    pub size: u64,
    /// When it was last changed.
    pub modified: Modified,
    /// When it last became what it is under its name: unlike `modified`, this cannot be set (inode(7), ctime).
    pub changed: Modified,
    /// Which file it is: its device and its number there.
    pub identity: (u64, u64),
    /// Its permission bits.
    pub mode: u32,
}

/// An open file or folder.
#[derive(Debug)]
pub struct Found {
    /// Open for reading; reading from it never waits for another process.
    pub fd: OwnedFd,
    /// What it is.
    pub meta: Meta,
}

impl Meta {
    /// Nothing for devices, pipes, sockets and links.
    pub(crate) fn of(stat: &Stat) -> Option<Self> {
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Kind::File,
            FileType::Directory => Kind::Folder,
            _ => return None,
        };
        // The types of these differ between architectures.
        #[allow(clippy::useless_conversion, clippy::unnecessary_cast)]
        let (modified, changed, identity) = (
            Modified { seconds: stat.st_mtime as i64, nanos: stat.st_mtime_nsec as u32 },
            Modified { seconds: stat.st_ctime as i64, nanos: stat.st_ctime_nsec as u32 },
            (stat.st_dev as u64, stat.st_ino as u64),
        );
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        Some(Self { kind, size, modified, changed, identity, mode: stat.st_mode & 0o777 })
    }
}

impl Root {
    /// Opens the folder.
    ///
    /// # Errors
    /// There is none, it may not be opened, or the kernel is older than 5.6 and cannot promise that nothing leads out.
    pub fn open(path: &Path) -> io::Result<Self> {
        let folder = RwLock::new(open_folder(path)?);
        let root = Self { path: path.to_owned(), folder, seen: AtomicU64::new(0), links: Links::Inside };
        root.resolve(b"", OFlags::RDONLY | OFlags::DIRECTORY).map_err(|error| match error {
            // A container's filter that does not know the call says the second.
            Errno::NOSYS | Errno::PERM => io::Error::new(
                io::ErrorKind::Unsupported,
                "this kernel, or a filter in front of it, has no openat2, without which links could lead out of the \
                 folder: Linux 5.6 has it",
            ),
            error => error.into(),
        })?;
        Ok(root)
    }

    /// The same, with links followed so far.
    #[must_use]
    pub(crate) fn with_links(self, links: Links) -> Self {
        Self { links, ..self }
    }

    /// Sees once a second whether the path leads to another folder by now. While it leads nowhere, nothing changes.
    pub(crate) fn follow(&self, second: u64) {
        if self.seen.swap(second, Ordering::Relaxed) == second {
            return;
        }
        let Ok(there) = stat(&self.path) else { return };
        let held = fstat(&*self.held());
        if held.is_ok_and(|held| (held.st_dev, held.st_ino) == (there.st_dev, there.st_ino)) {
            return;
        }
        if let Ok(folder) = open_folder(&self.path) {
            *self.folder.write().unwrap_or_else(PoisonError::into_inner) = folder;
        }
    }

    fn held(&self) -> RwLockReadGuard<'_, OwnedFd> {
        self.folder.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens what stands at a way, a relative path; empty for the root itself.
    ///
    /// # Errors
    /// 404: nothing that is served stands there, or the way leads outside. 403: it may not be read. 503: too many files
    /// are open.
    pub fn find(&self, path: &[u8]) -> Result<Found, Status> {
        // A pipe without a writer would keep us waiting (open(2), O_NONBLOCK). Pipes and devices are opened and closed
        // again before they are refused; looking first would cost every file two more calls.
        let fd = self.resolve_to_read(path, OFlags::RDONLY | OFlags::NONBLOCK).map_err(status)?;
        let stat = fstat(&fd).map_err(status)?;
        let meta = Meta::of(&stat).ok_or(Status::NOT_FOUND)?;
        Ok(Found { fd, meta })
    }

    /// Looks at what stands at a way without opening it.
    pub(crate) fn look(&self, path: &[u8]) -> Result<Meta, Status> {
        let fd = self.resolve_to_read(path, OFlags::PATH).map_err(status)?;
        let stat = fstat(&fd).map_err(status)?;
        Meta::of(&stat).ok_or(Status::NOT_FOUND)
    }

    /// Opens a folder to write into.
    pub(crate) fn folder(&self, path: &[u8]) -> Result<OwnedFd, Errno> {
        self.resolve(path, OFlags::RDONLY | OFlags::DIRECTORY)
    }

    fn resolve(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        let folder = self.held();
        match open_beneath(&folder, path, flags, ResolveFlags::BENEATH) {
            // A link on the way is absolute, or leads up too far.
            Err(Errno::XDEV) => come_back(&folder, path, flags),
            other => other,
        }
    }

    /// The same for reading alone, which links may lead outside for if their owner says so.
    fn resolve_to_read(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        match self.resolve(path, flags) {
            Err(Errno::XDEV) if self.links == Links::Anywhere => {
                open_beneath(&self.held(), path, flags, ResolveFlags::empty())
            }
            other => other,
        }
    }
}

/// How far links are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// As long as they end in the folder.
    Inside,
    /// Wherever they lead, to read what is there: a user who can lay a link in the folder has everything shown that this
    /// process may read.
    Anywhere,
}

fn open_beneath(folder: &OwnedFd, path: &[u8], flags: OFlags, resolve: ResolveFlags) -> Result<OwnedFd, Errno> {
    let path = if path.is_empty() { b".".as_slice() } else { path };
    // Flags that mean nothing beside O_PATH are refused beside it.
    let always = OFlags::CLOEXEC;
    let flags = if flags.contains(OFlags::PATH) { flags | always } else { flags | always | OFlags::NOCTTY };
    let resolve = resolve | ResolveFlags::NO_MAGICLINKS;
    let mut tried = 0;
    loop {
        match openat2(folder, path, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) if tried < TRIES => tried += 1,
            other => return other,
        }
    }
}

/// Goes where links lead, without opening anything there, asks the kernel where that is, and opens that place beneath the
/// folder and through no link at all: whatever changes meanwhile, what is opened is inside.
fn come_back(folder: &OwnedFd, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    let there = open_beneath(folder, path, OFlags::PATH, ResolveFlags::empty())?;
    let (top, there) = (place(folder)?, place(&there)?);
    let rest = there.strip_prefix(top.as_slice()).ok_or(Errno::XDEV)?;
    let path = match rest {
        [] => rest,
        [b'/', path @ ..] => path,
        // The folder is the root of everything.
        _ if top == b"/" => rest,
        _ => return Err(Errno::XDEV),
    };
    open_beneath(folder, path, flags, ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS)
}

/// The path that something open has now. Without /proc there is none, and such links lead nowhere.
fn place(fd: &OwnedFd) -> Result<Vec<u8>, Errno> {
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    Ok(rustix::fs::readlink(path, Vec::new()).map_err(|_| Errno::XDEV)?.into_bytes())
}

fn open_folder(path: &Path) -> Result<OwnedFd, Errno> {
    rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// Looks at a name in a folder; a link is looked at itself. Nothing where there is nothing.
pub(crate) fn look_in(folder: impl AsFd, name: &[u8]) -> Result<Option<Stat>, Errno> {
    match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What a lookup that failed means to a client. That a way leads outside is not told apart from there being nothing.
fn status(error: Errno) -> Status {
    match error {
        Errno::ACCESS | Errno::PERM => Status::FORBIDDEN,
        Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::AGAIN => Status::UNAVAILABLE,
        Errno::IO => Status::INTERNAL_ERROR,
        _ => Status::NOT_FOUND,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read;
    use std::os::unix::fs::symlink;
    use std::sync::atomic::AtomicBool;
    use std::time::{Duration, Instant};

    use super::super::path::RequestPath;
    use super::*;

    /// A root with a file `in` beside a folder with a file `canary`, which is outside.
    fn place() -> (tempfile::TempDir, Root) {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir_all(place.path().join("root/folder")).unwrap();
        fs::create_dir(place.path().join("outside")).unwrap();
        fs::write(place.path().join("root/in"), "inside").unwrap();
        fs::write(place.path().join("outside/canary"), "canary").unwrap();
        fs::write(place.path().join("canary"), "canary").unwrap();
        let root = Root::open(&place.path().join("root")).unwrap();
        (place, root)
    }

    fn content(found: Found) -> String {
        let mut text = String::new();
        fs::File::from(found.fd).read_to_string(&mut text).unwrap();
        text
    }

    fn code(root: &Root, path: &str) -> Option<u16> {
        root.find(path.as_bytes()).err().map(Status::code)
    }

    #[test]
    fn files_and_folders_are_found_with_what_is_known_of_them() {
        let (_place, root) = place();
        let found = root.find(b"in").unwrap();
        assert_eq!((found.meta.kind, found.meta.size), (Kind::File, 6));
        assert_eq!(content(found), "inside");
        assert_eq!(root.find(b"folder").unwrap().meta.kind, Kind::Folder);
        assert_eq!(root.find(b"").unwrap().meta.kind, Kind::Folder);
        assert_eq!(root.look(b"in").unwrap().size, 6);
    }

    #[test]
    fn a_folder_that_is_made_anew_is_served_within_a_second() {
        let (place, root) = place();
        let at = |name: &str| place.path().join(name);
        fs::rename(at("root"), at("old")).unwrap();
        root.follow(1);
        assert_eq!(content(root.find(b"in").unwrap()), "inside", "nothing else is there yet");
        fs::create_dir(at("root")).unwrap();
        fs::write(at("root/in"), "anew").unwrap();
        root.follow(1);
        assert_eq!(content(root.find(b"in").unwrap()), "inside", "the second has not passed");
        root.follow(2);
        assert_eq!(content(root.find(b"in").unwrap()), "anew");
        fs::remove_dir_all(at("root")).unwrap();
        symlink("old", at("root")).unwrap();
        root.follow(3);
        assert_eq!(content(root.find(b"in").unwrap()), "inside");
        assert_eq!(code(&root, "../canary"), Some(404));
        fs::remove_file(at("root")).unwrap();
        fs::write(at("root"), "no folder").unwrap();
        root.follow(4);
        assert_eq!(content(root.find(b"in").unwrap()), "inside");
    }

    /// Row 57 of the faults.
    #[test]
    fn what_is_no_file_is_not_there_and_keeps_nobody_waiting() {
        let (place, root) = place();
        let inside = |name: &str| place.path().join("root").join(name);
        rustix::fs::mknodat(rustix::fs::CWD, inside("pipe"), FileType::Fifo, Mode::from_raw_mode(0o666), 0).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(inside("socket")).unwrap();
        symlink("/dev/tty", inside("tty")).unwrap();
        // Who waits for the other end of a pipe waits for ever.
        let long = "x".repeat(256);
        let deep = "x/".repeat(4000);
        for path in ["pipe", "socket", "tty", "missing", "in/x", "missing/x", &long, &deep] {
            assert_eq!(code(&root, path), Some(404), "{path}");
        }
    }

    #[test]
    fn links_are_followed_inside_and_lead_nowhere_outside() {
        let (place, root) = place();
        let inside = |name: &str| place.path().join("root").join(name);
        for (link, to) in [("a", "in"), ("folder/b", "../in"), ("c", "folder"), ("d", "a")] {
            symlink(to, inside(link)).unwrap();
        }
        for path in ["a", "folder/b", "c/b", "d"] {
            assert_eq!(content(root.find(path.as_bytes()).unwrap()), "inside", "{path}");
        }
        let absolute = place.path().join("outside");
        for (link, to) in [
            ("e", "../canary"),
            ("f", "../outside"),
            ("g", "folder/../../canary"),
            ("h", absolute.to_str().unwrap()),
            ("i", "/etc/passwd"),
            ("j", "/proc/self/root"),
            ("k", "k"),
            ("l", "missing"),
        ] {
            symlink(to, inside(link)).unwrap();
        }
        for path in ["e", "f/canary", "g", "h/canary", "i", "j/etc/passwd", "k", "l", "..", "../canary", "/etc/passwd"]
        {
            assert_eq!(code(&root, path), Some(404), "{path}");
        }
    }

    #[test]
    fn links_that_leave_and_come_back_are_followed_to_where_they_end() {
        let (place, root) = place();
        let at = |name: &str| place.path().join(name);
        fs::write(at("root/folder/deep"), "inside").unwrap();
        let absolute = |name: &str| at(name).to_str().unwrap().to_owned();
        for (link, to) in [
            ("root/a", absolute("root/in")),
            ("root/b", absolute("root/folder")),
            ("root/c", "../root/in".to_owned()),
            ("root/folder/d", "../../outside/back".to_owned()),
            ("outside/back", "../root/folder/deep".to_owned()),
            ("root/e", "../outside".to_owned()),
            ("root/f", absolute("root")),
            ("root/g", absolute("root/c")),
            // These begin inside by name, and end outside.
            ("root/x", absolute("root/../canary")),
            ("root/y", format!("{}/../canary", absolute("root/folder/.."))),
            ("root/z", absolute("root") + "side"),
        ] {
            symlink(to, at(link)).unwrap();
        }
        fs::write(at("rootside"), "canary").unwrap();
        for path in ["a", "b/deep", "c", "folder/d", "e/back", "f/in", "f/f/a", "g"] {
            assert_eq!(content(root.find(path.as_bytes()).unwrap()), "inside", "{path}");
            assert_eq!(root.look(path.as_bytes()).unwrap().size, 6, "{path}");
        }
        for path in ["x", "y", "z", "e", "e/canary", "f/x"] {
            assert_eq!(code(&root, path), Some(404), "{path}");
        }
        let anywhere = Root::open(&at("root")).unwrap().with_links(Links::Anywhere);
        for path in ["x", "y", "z", "e/canary", "f/x"] {
            assert_eq!(content(anywhere.find(path.as_bytes()).unwrap()), "canary", "{path}");
        }
        assert!(anywhere.folder(b"e").is_err(), "nothing is stored outside");
        symlink("/proc/self/root", at("root/magic")).unwrap();
        assert_eq!(code(&anywhere, "magic/etc/passwd"), Some(404));
    }

    /// Every text of up to three of these parts.
    fn forms(parts: &[&str]) -> Vec<String> {
        let mut all = vec![String::new()];
        let mut last = all.clone();
        for _ in 0..3 {
            last = last.iter().flat_map(|begin| parts.iter().map(move |part| format!("{begin}{part}"))).collect();
            all.extend_from_slice(&last);
        }
        all
    }

    /// Row 55 of the faults.
    #[test]
    fn no_form_of_a_path_reaches_the_canary() {
        let (place, root) = place();
        let parts = [
            "/",
            "..",
            "/..",
            "../",
            "%2e%2e",
            "/%2e%2e/",
            ".%2e/",
            "%2f",
            "%2f..",
            "..%2f",
            "%5c",
            "..\\",
            "%252e%252e%252f",
            "%c0%ae%c0%ae/",
            "..%c0%af",
            "%u002e",
            "..;/",
            "folder/",
            "in",
            "%00",
            "?",
            "...",
        ];
        let absolute = place.path().join("canary");
        let targets = ["canary", "/canary", "outside/canary", "/outside/canary%00.html", absolute.to_str().unwrap()];
        let mut tried = 0;
        for form in forms(&parts) {
            for target in targets {
                let asked = format!("/{form}{target}");
                tried += 1;
                let Ok(path) = RequestPath::decode(&asked) else { continue };
                if let Ok(found) = root.find(path.bytes()) {
                    assert!(found.meta.kind == Kind::Folder || content(found) == "inside", "{asked}");
                }
                // Nor where the check of the path is left out: the kernel's holds alone.
                let raw = asked.trim_start_matches('/').replace("%2e", ".").replace("%2f", "/");
                if let Ok(found) = root.find(raw.as_bytes()) {
                    assert!(found.meta.kind == Kind::Folder || content(found) == "inside", "{asked}");
                }
            }
        }
        assert!(tried > 50_000, "{tried}");
    }

    /// Row 56 of the faults.
    #[test]
    fn a_link_swapped_in_a_loop_never_leads_out() {
        let (place, root) = place();
        let inside = |name: &str| place.path().join("root").join(name);
        fs::write(inside("folder/canary"), "inside").unwrap();
        // One that has to be followed to see where it ends, and one that ends outside.
        let good = inside("folder").to_str().unwrap().to_owned();
        symlink(&good, inside("good")).unwrap();
        symlink("../outside", inside("bad")).unwrap();
        symlink("folder", inside("swap")).unwrap();
        let stop = AtomicBool::new(false);
        let (mut served, mut refused, mut wrong) = (0, 0, None);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    for (name, to) in [("bad", "../outside"), ("good", good.as_str())] {
                        fs::rename(inside(name), inside("swap")).unwrap();
                        symlink(to, inside(name)).unwrap();
                    }
                }
            });
            let began = Instant::now();
            // Both ways have to be met, which on a busy machine may take more turns.
            for turn in 0.. {
                if turn >= 20_000 && (served > 0 && refused > 0 || began.elapsed() > Duration::from_secs(60)) {
                    break;
                }
                match root.find(b"swap/canary") {
                    // Failing here would wait for the other thread for ever.
                    Ok(found) => match content(found) {
                        inside if inside == "inside" => served += 1,
                        outside => wrong = Some(outside),
                    },
                    Err(_) => refused += 1,
                }
            }
            stop.store(true, Ordering::Relaxed);
        });
        assert_eq!(wrong, None);
        assert!(served > 0 && refused > 0, "{served} {refused}");
    }
}
