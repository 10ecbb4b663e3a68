//! Which process has which socket open, as far as /proc lets us see (proc(5)).

use std::collections::HashMap;
use std::path::Path;

use procfs::process::Process as Proc;
use rustix::fs::{CWD, Dir, Mode, OFlags, openat, readlinkat};

/// A process that has a socket open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    /// Its name, which it may have chosen itself: not yet harmless.
    pub name: String,
    /// The container that its control group names (cgroups(7)): the first characters of its identifier, or its name.
    pub container: Option<String>,
    /// The service of systemd that it belongs to, where its control group names one.
    pub unit: Option<String>,
}

/// Sockets by their inodes, with the processes that have them open.
#[derive(Debug, Default)]
pub(crate) struct Owners {
    of: HashMap<u64, Vec<Process>>,
    /// Processes that we may not look into.
    pub(crate) hidden: usize,
}

impl Owners {
    /// Looks into every process. One that ends meanwhile, or that we may not look into, shows nothing.
    pub(crate) fn look() -> Self {
        let mut owners = Self::default();
        let Ok(processes) = std::fs::read_dir("/proc") else { return owners };
        for entry in processes.flatten() {
            if let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) {
                owners.add(pid);
            }
        }
        owners
    }

    /// The processes that have this socket open, the one with the lowest number first.
    pub(crate) fn of(&self, inode: u64) -> &[Process] {
        self.of.get(&inode).map_or(&[], Vec::as_slice)
    }

    fn add(&mut self, pid: i32) {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = match openat(CWD, format!("/proc/{pid}/fd"), flags, Mode::empty()) {
            Ok(folder) => folder,
            Err(error) => {
                self.hidden += usize::from(error == rustix::io::Errno::ACCESS);
                return;
            }
        };
        let Ok(names) = Dir::read_from(&folder) else {
            self.hidden += 1;
            return;
        };
        let mut process = None;
        let mut link = Vec::with_capacity(64);
        for name in names.flatten() {
            let Ok(target) = readlinkat(&folder, name.file_name(), std::mem::take(&mut link)) else { continue };
            if let Some(inode) = socket(target.to_bytes()) {
                let process = process.get_or_insert_with(|| describe(pid));
                let of = self.of.entry(inode).or_default();
                if of.last().is_none_or(|last| last.pid != pid) {
                    let at = of.partition_point(|other| other.pid < pid);
                    of.insert(at, process.clone());
                }
            }
            link = target.into_bytes();
        }
    }
}

/// The inode in `socket:[123]`.
fn socket(target: &[u8]) -> Option<u64> {
    let number = target.strip_prefix(b"socket:[")?.strip_suffix(b"]")?;
    std::str::from_utf8(number).ok()?.parse().ok()
}

fn describe(pid: i32) -> Process {
    let process = Proc::new(pid).ok();
    let name = process.as_ref().map_or_else(|| "a process".to_owned(), name);
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    Process { pid, name, container: container(&groups), unit: unit(&groups) }
}

/// The name of the program. The system keeps 15 bytes of it.
fn name(process: &Proc) -> String {
    let short = process.stat().map_or_else(|_| "a process".to_owned(), |stat| stat.comm);
    let program = if short.len() == 15 { process.exe().ok() } else { None };
    match program.as_deref().and_then(Path::file_name).map(std::ffi::OsStr::to_string_lossy) {
        Some(whole) if whole.starts_with(&short) => whole.into_owned(),
        _ => short,
    }
}

/// The paths of the groups, one for each hierarchy.
fn paths(groups: &str) -> impl Iterator<Item = &str> {
    groups.lines().filter_map(|line| line.splitn(3, ':').nth(2))
}

/// A container's identifier is 64 hexadecimal digits in the path of the group, no matter what runs it: `docker-ID.scope`, `/docker/ID`,
/// `crio-ID`, `cri-containerd-ID.scope`, `libpod-ID.scope`. Twelve of them are what those tools show. LXC and systemd-nspawn have
/// names. Of containers in containers it is the inner one.
fn container(groups: &str) -> Option<String> {
    let is_id = |word: &&str| word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut ids = paths(groups).flat_map(|path| path.rsplit(['/', '-', '.', ':'])).filter(is_id);
    ids.next().map(|id| id[..12].to_owned()).or_else(|| paths(groups).find_map(named))
}

/// The name of a container of LXC (`/lxc/NAME`, `/lxc.payload.NAME`) or of systemd (`machine-NAME.scope`,
/// `systemd-nspawn@NAME.service`).
fn named(path: &str) -> Option<String> {
    let mut folders = path.split('/').filter(|folder| !folder.is_empty());
    let first = folders.next()?;
    let name = match first {
        "lxc" | "lxc.payload" => folders.next(),
        "machine.slice" => folders.next().and_then(|machine| {
            let scope = || machine.strip_prefix("machine-")?.strip_suffix(".scope");
            scope().or_else(|| machine.strip_prefix("systemd-nspawn@")?.strip_suffix(".service"))
        }),
        first => first.strip_prefix("lxc.payload."),
    };
    name.filter(|name| !name.is_empty()).map(unescaped)
}

/// As systemd writes a name: what its grammar needs is `\x2d` in it (systemd-escape(1)).
fn unescaped(name: &str) -> String {
    let mut pieces = name.split("\\x");
    let mut plain = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        match piece.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(u8::is_ascii) {
            Some(byte) => {
                plain.push(char::from(byte));
                plain.push_str(&piece[2..]);
            }
            None => {
                plain.push_str("\\x");
                plain.push_str(piece);
            }
        }
    }
    plain
}

/// The innermost service of systemd in the path of the group, but for those that only hold a user's others.
fn unit(groups: &str) -> Option<String> {
    let is_service = |folder: &&str| folder.ends_with(".service") && !folder.starts_with("user@");
    paths(groups).find_map(|path| path.rsplit('/').find(is_service)).map(unescaped)
}

/// A user's name (passwd(5)); other sources of names would mean loading code into this process.
pub(crate) fn user(uid: u32) -> Option<String> {
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    let mut lines = users.lines().map(|line| line.split(':'));
    lines.find_map(|mut fields| {
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_told_by_its_group_whoever_runs_it() {
        let id = "0123456789abcdef".repeat(4);
        for group in [
            format!("0::/system.slice/docker-{id}.scope\n"),
            format!("12:cpu:/docker/{id}\n0::/\n"),
            format!("0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-{id}.scope\n"),
            format!("0::/machine.slice/libpod-{id}.scope/container\n"),
        ] {
            assert_eq!(container(&group).as_deref(), Some("0123456789ab"), "{group}");
        }
        let inner = "fedcba9876543210".repeat(4);
        for (group, name) in [
            (format!("0::/kubepods/burstable/pod9d0b/{id}\n"), "0123456789ab"),
            (format!("0::/kubepods.slice/kubepods-besteffort.slice/crio-{id}.scope\n"), "0123456789ab"),
            (
                format!("0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{id}.scope\n"),
                "0123456789ab",
            ),
            (format!("0::/system.slice/docker-{id}.scope/docker/{inner}\n"), "fedcba987654"),
            ("0::/lxc.payload.web/init.scope\n".to_owned(), "web"),
            ("4:memory:/lxc/db/system.slice\n".to_owned(), "db"),
            ("0::/machine.slice/machine-build\\x2d1.scope/payload\n".to_owned(), "build-1"),
            ("0::/machine.slice/systemd-nspawn@old.service/payload\n".to_owned(), "old"),
        ] {
            assert_eq!(container(&group).as_deref(), Some(name), "{group}");
        }
        for group in [
            "",
            "0::/\n",
            "0::/user.slice/user-0.slice/session-1.scope\n",
            "0::/system.slice/nginx.service\n",
            "0::/machine.slice/libvirt.service\n",
            "0::/lxc.monitor.web\n",
            "nonsense",
        ] {
            assert_eq!(container(group), None, "{group}");
        }
    }

    #[test]
    fn a_service_is_told_by_its_group() {
        for (group, name) in [
            ("0::/system.slice/nginx.service\n", Some("nginx.service")),
            ("1:name=systemd:/system.slice/ssh.service\n0::/\n", Some("ssh.service")),
            ("0::/system.slice/system-getty.slice/getty@tty1.service\n", Some("getty@tty1.service")),
            (
                "0::/user.slice/user-1000.slice/user@1000.service/app.slice/syncthing.service\n",
                Some("syncthing.service"),
            ),
            ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-foot.scope\n", None),
            ("0::/system.slice/my\\x2dapp.service/worker\n", Some("my-app.service")),
            ("0::/user.slice/user-0.slice/session-1.scope\n", None),
            ("", None),
        ] {
            assert_eq!(unit(group).as_deref(), name, "{group}");
        }
    }

    #[test]
    fn our_own_sockets_are_ours() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let inode = rustix::fs::fstat(&socket).unwrap().st_ino;
        let owners = Owners::look();
        let pids: Vec<i32> = owners.of(inode).iter().map(|process| process.pid).collect();
        assert_eq!(pids, [i32::try_from(std::process::id()).unwrap()]);
        assert!(owners.of(0).is_empty());
    }
}
