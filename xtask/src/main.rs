//! Tasks of this workspace: `cargo xtask test` passes all tests on a fresh Debian machine, `cargo xtask check` is what
//! CI does, `cargo xtask faults` makes system calls fail. It has no dependencies, so that it is there at once.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a tool for a terminal, not a server")]

mod faults;

use std::env;
use std::path::Path;
use std::process::{Command, ExitCode};

/// Programs that tests run, and the Debian packages that bring them.
const PROGRAMS: &[(&str, &str)] = &[
    // `nc` alone may be one of the other three, whose flags differ.
    ("nc.openbsd", "netcat-openbsd"),
    ("socat", "socat"),
    ("strace", "strace"),
    ("python3", "python3"),
    ("ip", "iproute2"),
    ("tc", "iproute2"),
    ("nft", "nftables"),
    ("unshare", "util-linux"),
    ("prlimit", "util-linux"),
    ("bash", "bash"),
    ("sha256sum", "coreutils"),
    ("curl", "curl"),
    ("wget", "wget"),
    ("slowhttptest", "slowhttptest"),
    ("openssl", "openssl"),
    // The light one: nothing but the server.
    ("nginx", "nginx-light"),
    ("nghttpd", "nghttp2-server"),
    ("tinyproxy", "tinyproxy-bin"),
    ("microsocks", "microsocks"),
    ("redis-server", "redis-server"),
    ("memcached", "memcached"),
    ("mosquitto", "mosquitto"),
    ("mosquitto_pub", "mosquitto-clients"),
    ("dnsmasq", "dnsmasq-base"),
    ("dovecot", "dovecot-imapd dovecot-pop3d"),
    ("vsftpd", "vsftpd"),
    // These bring modules for Debian's own Python.
    ("aiosmtpd", "python3-aiosmtpd"),
    ("/usr/lib/python3/dist-packages/websockets", "python3-websockets"),
    ("/usr/lib/python3/dist-packages/dns", "python3-dnspython"),
    ("/usr/lib/python3/dist-packages/redis", "python3-redis"),
    ("/usr/lib/python3/dist-packages/pymemcache", "python3-pymemcache"),
    ("/usr/lib/python3/dist-packages/ntplib.py", "python3-ntplib"),
    ("pytest-3", "python3-pytest"),
    ("go", "golang-go"),
    ("whois", "whois"),
    ("logger", "bsdutils"),
    ("chromium", "chromium"),
    ("chromedriver", "chromium-driver"),
];

fn main() -> ExitCode {
    let task = env::args().nth(1).unwrap_or_default();
    let done = match task.as_str() {
        "test" => test(),
        "check" => check(),
        "faults" => faults::run(env::args().skip(2)),
        _ => Err("cargo xtask test    passes all tests\ncargo xtask check   format, lints, tests, docs, a sample of faults\n\
                  cargo xtask faults  makes each system call of each verb fail in turn"
            .to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

/// Everything that CI does, in its order.
fn check() -> Result<(), String> {
    lint()?;
    test()?;
    doc()?;
    // The same ones each time: what fails here failed because of the change.
    run("cargo", &["xtask", "faults", "--sample", "1000"])
}

fn lint() -> Result<(), String> {
    run("cargo", &["fmt", "--all", "--check"])?;
    run("cargo", &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])
}

fn doc() -> Result<(), String> {
    println!("+ cargo doc --workspace --no-deps");
    let status = Command::new("cargo")
        .args(["doc", "--workspace", "--no-deps", "--quiet"])
        .env("RUSTDOCFLAGS", "-D warnings")
        .status();
    if status.is_ok_and(|status| status.success()) { Ok(()) } else { Err("the documentation has mistakes".to_owned()) }
}

fn test() -> Result<(), String> {
    install()?;
    run("cargo", &["test", "--workspace", "--no-fail-fast"])
}

/// Gets what the tests need, or says in one line how to.
fn install() -> Result<(), String> {
    let mut packages: Vec<&str> =
        PROGRAMS.iter().filter(|(program, _)| !is_there(program)).map(|(_, package)| *package).collect();
    packages.dedup();
    if packages.is_empty() {
        return Ok(());
    }
    let line = format!("apt-get install -y --no-install-recommends {}", packages.join(" "));
    if !is_root() || !is_there("apt-get") {
        return Err(format!("the tests need programs that are missing; as root: {line}"));
    }
    println!("+ {line}");
    let install = || {
        let words: Vec<&str> = line.split(' ').collect();
        run_quietly(words[0], &words[1..])
    };
    // Package lists may be old, or not there yet.
    install().or_else(|_| run_quietly("apt-get", &["update"]).and_then(|()| install()))
}

fn is_there(program: &str) -> bool {
    env::var_os("PATH").is_some_and(|path| env::split_paths(&path).any(|folder| folder.join(program).exists()))
        || ["/usr/sbin", "/sbin"].iter().any(|folder| Path::new(folder).join(program).exists())
}

fn is_root() -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| {
        status.lines().any(|line| line.starts_with("Uid:") && line.split_whitespace().nth(2) == Some("0"))
    })
}

fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    println!("+ {program} {}", arguments.join(" "));
    let status = Command::new(program).args(arguments).status().map_err(|error| format!("{program}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{program} {} failed", arguments.join(" "))) }
}

fn run_quietly(program: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program)
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_that_a_test_needs_is_in_the_table() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/cli/tests");
        let mut found = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let paths: Vec<_> = if path.is_dir() {
                std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect()
            } else {
                vec![path]
            };
            let text: String = paths.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
            let path = &paths[0];
            for name in text.split("need(\"").skip(1).filter_map(|rest| rest.split('"').next()) {
                let name = if name == "nc" { "nc.openbsd" } else { name };
                assert!(PROGRAMS.iter().any(|(program, _)| *program == name), "{}: {name}", path.display());
                found += 1;
            }
        }
        assert!(found > 0, "no test needs anything: is this still the right folder?");
    }
}
