//! Clients and servers of other people, from the registries of their languages, in a folder of their own for all runs.
#![allow(unreachable_pub, reason = "a module that several test programs share")]
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::print_stderr, reason = "a test that cannot be made here says so")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::need;

/// The folder of a package, of which this file is there once it is installed; none where it cannot be had.
pub fn packaged(name: &str, file: &str, install: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if !home.join(file).exists() && !install(&home) {
        eprintln!("{name} cannot be had here: it is not tried");
        return None;
    }
    Some(home)
}

/// A Python that has a package.
pub fn python(package: &str) -> Option<PathBuf> {
    need("python3");
    let home = packaged(package, "bin/done", |home| {
        let folder = home.display().to_string();
        let words = ["install", "-q", "--retries", "1", "--timeout", "20", package];
        quietly(Path::new("python3"), &["-m", "venv", &folder])
            && quietly(&home.join("bin/pip"), &words)
            && std::fs::write(home.join("bin/done"), "").is_ok()
    });
    home.map(|home| home.join("bin/python"))
}

/// Whether a program did what it was to do.
pub fn quietly(program: &Path, words: &[&str]) -> bool {
    let made = Command::new(program).args(words).stdin(Stdio::null()).output();
    made.is_ok_and(|output| output.status.success())
}
