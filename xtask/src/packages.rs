//! What comes with this program, and how it goes out: the licences of every dependency, known vulnerabilities, a build of
//! each crate alone with each feature, and the packages that `cargo publish` would send.

use std::collections::BTreeSet;
use std::env;
use std::path::PathBuf;
use std::process::Command;

use crate::{is_there, run};

/// Licences whose terms a program under MIT or Apache-2.0 can keep by naming them.
const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "OpenSSL",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// A crate that is published, and the choices of features with which it is built.
struct Published {
    name: &'static str,
    features: &'static [&'static [&'static str]],
}

const DEFAULT: &[&str] = &[];
const NONE: &[&str] = &["--no-default-features"];

/// In the order in which they need each other.
const CRATES: &[Published] = &[
    Published { name: "sockeye-transcript", features: &[DEFAULT] },
    Published {
        name: "sockeye",
        features: &[
            DEFAULT,
            NONE,
            &["--no-default-features", "--features", "tls"],
            &["--no-default-features", "--features", "http"],
            &["--no-default-features", "--features", "figures"],
        ],
    },
    Published { name: "sockeye-cli", features: &[DEFAULT] },
];

pub(crate) fn check() -> Result<(), String> {
    licences()?;
    advisories()?;
    alone()?;
    package()
}

/// Every dependency, with those that are only built for tests, may be used as we use it.
fn licences() -> Result<(), String> {
    let arguments = [
        "tree",
        "--workspace",
        "--edges",
        "normal,build,dev",
        "--target",
        "all",
        "--prefix",
        "none",
        "--format",
        "{p}|{l}",
    ];
    println!("+ cargo {}", arguments.join(" "));
    let output = Command::new("cargo").args(arguments).output().map_err(|error| format!("cargo: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    // `foo v1.0.0 (proc-macro)|MIT OR Apache-2.0`; a crate that was listed before has a star behind it.
    let crates: BTreeSet<(&str, &str)> = text
        .lines()
        .filter_map(|line| line.split_once('|'))
        .map(|(name, licence)| (name, licence.trim_end_matches("(*)").trim()))
        .collect();
    let refused: Vec<String> = crates
        .iter()
        .filter(|(_, licence)| !is_allowed(licence))
        .map(|(name, licence)| format!("{name}: {}", if licence.is_empty() { "no licence" } else { licence }))
        .collect();
    if refused.is_empty() && !crates.is_empty() {
        println!("{} packages, all of them under licences that are allowed", crates.len());
        return Ok(());
    }
    Err(format!("licences that are not on the list (xtask/src/packages.rs):\n{}", refused.join("\n")))
}

/// Whether an SPDX expression can be fulfilled: `(MIT OR Apache-2.0) AND Unicode-3.0`. An old form has `/` for OR.
fn is_allowed(expression: &str) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = &words[..];
    either(&mut rest) == Some(true) && rest.is_empty()
}

fn either(rest: &mut &[&str]) -> Option<bool> {
    let mut allowed = every(rest)?;
    while rest.first() == Some(&"OR") {
        *rest = &rest[1..];
        allowed |= every(rest)?;
    }
    Some(allowed)
}

fn every(rest: &mut &[&str]) -> Option<bool> {
    let mut allowed = one(rest)?;
    while rest.first() == Some(&"AND") {
        *rest = &rest[1..];
        allowed &= one(rest)?;
    }
    Some(allowed)
}

/// None if the expression is none.
fn one(rest: &mut &[&str]) -> Option<bool> {
    let (first, behind) = rest.split_first()?;
    *rest = behind;
    if *first == "(" {
        let allowed = either(rest)?;
        *rest = rest.strip_prefix(&[")"])?;
        return Some(allowed);
    }
    // An exception only adds to what is allowed.
    if rest.first() == Some(&"WITH") {
        *rest = rest.get(2..)?;
    }
    Some(ALLOWED.contains(first))
}

/// Known vulnerabilities. The list of them is a repository of its own, which cargo-deny brings up to date: without that
/// program there is nothing to ask.
fn advisories() -> Result<(), String> {
    if !is_there("cargo-deny") {
        println!("no cargo-deny here: vulnerabilities are not looked up (cargo install cargo-deny --locked)");
        return Ok(());
    }
    run("cargo", &["deny", "--workspace", "check", "advisories"])
}

/// Each crate by itself: what it needs is what its own manifest says, and not what another crate of the workspace turned on.
/// Code that only one choice of features has is linted like all other code.
fn alone() -> Result<(), String> {
    for Published { name, features } in CRATES {
        for features in *features {
            let lint = ["clippy", "--quiet", "-p", name, "--all-targets"];
            run("cargo", &[&lint[..], *features, &["--", "-D", "warnings"]].concat())?;
            let choice = if features.is_empty() { "as it is".to_owned() } else { features.join(" ") };
            println!("{name}, {choice}: {} crates of others", others(name, features)?);
        }
    }
    // What the other choices leave in is tested with all features.
    run("cargo", &[&["test", "--quiet", "-p", "sockeye", "--test", "mock"], NONE].concat())
}

/// How many crates that are not ours a crate pulls in.
fn others(name: &str, features: &[&str]) -> Result<usize, String> {
    let arguments = ["tree", "-p", name, "--edges", "normal", "--prefix", "none", "--format", "{p}"];
    let output = Command::new("cargo").args(arguments).args(features).output();
    let output = output.map_err(|error| format!("cargo: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let packages: BTreeSet<&str> = text.lines().map(|line| line.trim_end_matches(" (*)")).collect();
    let is_ours = |package: &&&str| CRATES.iter().any(|one| package.split(' ').next() == Some(one.name));
    Ok(packages.len() - packages.iter().filter(is_ours).count())
}

/// Packages are made and built from what is in them, as from the registry. They do not have this workspace's profiles: without
/// the variable all that they depend on would be built once more, with debug information that takes gigabytes.
fn package() -> Result<(), String> {
    forget_unpacked();
    let mut arguments = vec!["CARGO_PROFILE_DEV_DEBUG=false", "cargo", "package", "--quiet", "--allow-dirty"];
    for Published { name, .. } in CRATES {
        arguments.extend(["-p", name]);
    }
    run("env", &arguments)
}

/// Cargo unpacks each package of ours once and takes it for the same as long as the version is: what a run before this
/// one unpacked would be built again. The folders of its own registries have no host in their names.
fn forget_unpacked() {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo")));
    let Some(entries) = home.and_then(|home| std::fs::read_dir(home.join("registry/src")).ok()) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_name().as_encoded_bytes().starts_with(b"-")) {
        for Published { name, .. } in CRATES {
            let _ = std::fs::remove_dir_all(entry.path().join(format!("{name}-{}", env!("CARGO_PKG_VERSION"))));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_allowed_if_one_choice_is() {
        for allowed in [
            "MIT",
            "MIT OR Apache-2.0",
            "MIT/Apache-2.0",
            "GPL-3.0 OR MIT",
            "(MIT OR GPL-3.0) AND Unicode-3.0",
            "Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT",
            "ISC AND (Apache-2.0 OR ISC) AND OpenSSL",
        ] {
            assert!(is_allowed(allowed), "{allowed}");
        }
        for refused in
            ["", "GPL-3.0", "MIT AND GPL-3.0", "(MIT", "MIT Apache-2.0", "GPL-2.0 WITH x", "MIT AND", "MIT OR (GPL-3.0"]
        {
            assert!(!is_allowed(refused), "{refused}");
        }
    }
}
