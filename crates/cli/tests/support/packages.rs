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

/// A Python that has a package of PyPI, by the name under which it is imported. Its other programs name the folder that
/// they were made in, from which a checkout may have moved.
pub fn python(package: &str, module: &str) -> Option<PathBuf> {
    need("python3");
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join(package);
    let python = home.join("bin/python");
    let is_there = || quietly(&python, &["-c", &format!("import {module}")]);
    let install = || {
        let words = ["-m", "pip", "install", "-q", "--retries", "1", "--timeout", "20", package];
        quietly(Path::new("python3"), &["-m", "venv", &home.display().to_string()]) && quietly(&python, &words)
    };
    if is_there() || install() && is_there() {
        return Some(python);
    }
    eprintln!("{package} cannot be had here: it is not tried");
    None
}

/// Whether a program did what it was to do.
pub fn quietly(program: &Path, words: &[&str]) -> bool {
    let made = Command::new(program).args(words).stdin(Stdio::null()).output();
    made.is_ok_and(|output| output.status.success())
}
