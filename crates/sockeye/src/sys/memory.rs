//! How much memory this process may still have: its own limits, those of its control group, and the machine's.

use std::fs;
use std::path::Path;

use super::files;

/// Bytes that this process may have beyond what it has now: the least that any limit leaves.
#[must_use]
pub(crate) fn available() -> u64 {
    let address_space = left_by(libc::RLIMIT_AS, "VmSize:");
    // The heap and what is mapped for it.
    let data = left_by(libc::RLIMIT_DATA, "VmData:");
    [address_space, data, control_group(), machine()].into_iter().flatten().min().unwrap_or(u64::MAX)
}

/// What a limit (getrlimit(2)) leaves beyond what stands under a name in /proc/self/status (proc(5)).
fn left_by(resource: libc::__rlimit_resource_t, used: &str) -> Option<u64> {
    // A sandbox that hides the limit says nothing of one.
    let limit = files::limit(resource).ok()?.current?;
    let status = fs::read_to_string("/proc/self/status").ok()?;
    Some(limit.saturating_sub(kibibytes(&status, used)?))
}

/// Has all threads allocate from one heap (mallopt(3), `M_ARENA_MAX`). Each heap of its own reserves 64 MiB of address space, used
/// or not, and keeps what was freed in it, so that a bound on memory would hold once for each thread. What goes on at every line
/// allocates nothing. Threads that have a heap keep it, so this is called before those of a server are there.
pub(crate) fn share_one_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes two numbers. The C library sets this one under the lock of its first heap, and a thread that does not see
    // it yet only makes one heap more.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

fn machine() -> Option<u64> {
    kibibytes(&fs::read_to_string("/proc/meminfo").ok()?, "MemAvailable:")
}

/// The tightest limit of the groups that this process stands in (cgroups(7)), of either version.
fn control_group() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    groups
        .lines()
        .filter_map(group_of_line)
        .flat_map(|(root, group, files)| {
            let folders: Vec<_> = Path::new(group)
                .ancestors()
                .map(|path| Path::new(root).join(path.strip_prefix("/").unwrap_or(path)))
                .collect();
            folders.into_iter().filter_map(move |folder| {
                let number = |name: &str| fs::read_to_string(folder.join(name)).ok()?.trim().parse::<u64>().ok();
                Some(number(files.0)?.saturating_sub(number(files.1).unwrap_or(0)))
            })
        })
        .min()
}

type Files = (&'static str, &'static str);

/// `0::/user.slice/x`, or `5:memory:/x`.
fn group_of_line(line: &str) -> Option<(&'static str, &str, Files)> {
    let (_, rest) = line.split_once(':')?;
    let (controllers, group) = rest.split_once(':')?;
    match controllers {
        "" => Some(("/sys/fs/cgroup", group, ("memory.max", "memory.current"))),
        names if names.split(',').any(|name| name == "memory") => {
            Some(("/sys/fs/cgroup/memory", group, ("memory.limit_in_bytes", "memory.usage_in_bytes")))
        }
        _ => None,
    }
}

/// A line such as `VmSize:     1234 kB`.
fn kibibytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_says_is_read() {
        assert_eq!(kibibytes("Name:\tx\nVmSize:\t    1234 kB\n", "VmSize:"), Some(1234 * 1024));
        assert_eq!(group_of_line("0::/a/b").unwrap().1, "/a/b");
        assert_eq!(group_of_line("5:cpu,memory:/x").unwrap().0, "/sys/fs/cgroup/memory");
        assert!(group_of_line("4:cpu:/x").is_none() && group_of_line("nonsense").is_none());
        assert!(machine().unwrap() > 0 && available() > 0);
    }
}
