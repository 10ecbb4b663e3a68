//! Tasks of this workspace: `cargo xtask test` passes all tests on a fresh Debian machine, `cargo xtask check` is what
//! CI does, `cargo xtask faults` makes system calls fail. It has no dependencies, so that it is there at once.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a tool for a terminal, not a server")]

mod circles;
mod conformance;
mod faults;
mod packages;

use std::env;
use std::path::Path;
use std::process::{Command, ExitCode};

/// Programs that tests run, and the Debian packages that bring them.
const PROGRAMS: &[(&str, &str)] = &[
    // `nc` alone may be one of the other three, whose flags differ.
    ("nc.openbsd", "netcat-openbsd"),
    ("socat", "socat"),
    ("ncat", "ncat"),
    ("tshark", "tshark"),
    ("strace", "strace"),
    ("python3", "python3"),
    ("ip", "iproute2"),
    ("tc", "iproute2"),
    ("ss", "iproute2"),
    ("nft", "nftables"),
    ("unshare", "util-linux"),
    ("prlimit", "util-linux"),
    ("setpriv", "util-linux"),
    ("bash", "bash"),
    ("sha256sum", "coreutils"),
    ("curl", "curl"),
    ("wget", "wget"),
    ("slowhttptest", "slowhttptest"),
    ("openssl", "openssl"),
    // The light one: nothing but the server.
    ("nginx", "nginx-light"),
    // For connections that are not HTTP.
    ("/usr/lib/nginx/modules/ngx_stream_module.so", "libnginx-mod-stream"),
    ("haproxy", "haproxy"),
    ("nghttpd", "nghttp2-server"),
    ("tinyproxy", "tinyproxy-bin"),
    ("microsocks", "microsocks"),
    ("redis-server", "redis-server"),
    ("redis-cli", "redis-tools"),
    ("memcached", "memcached"),
    ("mosquitto", "mosquitto"),
    ("mosquitto_pub", "mosquitto-clients"),
    ("dnsmasq", "dnsmasq-base"),
    ("dovecot", "dovecot-imapd"),
    ("/usr/lib/dovecot/pop3", "dovecot-pop3d"),
    ("vsftpd", "vsftpd"),
    ("ngircd", "ngircd"),
    ("ii", "ii"),
    ("/usr/lib/postgresql/*/bin/postgres", "postgresql"),
    ("psql", "postgresql-client"),
    // Server and client without the packages that would start one: 8 MB.
    ("mariadbd", "mariadb-server-core"),
    ("mariadb", "mariadb-client-core"),
    ("/usr/lib/python3/dist-packages/pymysql", "python3-pymysql"),
    ("/usr/lib/python3/dist-packages/pika", "python3-pika"),
    ("/usr/lib/python3/dist-packages/kafka", "python3-kafka"),
    ("sipp", "sip-tester"),
    ("upnpc", "miniupnpc"),
    // GNOME's library for SSDP, about 2 MB with what it needs.
    ("/usr/lib/python3/dist-packages/gi", "python3-gi"),
    ("/usr/lib/*/girepository-1.0/GSSDP-1.6.typelib", "gir1.2-gssdp-1.6"),
    ("gdb", "gdb-minimal"),
    ("gdbserver", "gdbserver"),
    ("/usr/lib/python3/dist-packages/pymodbus", "python3-pymodbus"),
    ("/usr/lib/python3/dist-packages/serial", "python3-serial"),
    ("/usr/lib/python3/dist-packages/serial_asyncio", "python3-serial-asyncio"),
    // These bring modules for Debian's own Python.
    ("aiosmtpd", "python3-aiosmtpd"),
    ("/usr/lib/python3/dist-packages/websockets", "python3-websockets"),
    ("/usr/lib/python3/dist-packages/dns", "python3-dnspython"),
    ("/usr/lib/python3/dist-packages/redis", "python3-redis"),
    ("/usr/lib/python3/dist-packages/pymemcache", "python3-pymemcache"),
    ("/usr/lib/python3/dist-packages/ntplib.py", "python3-ntplib"),
    ("pytest-3", "python3-pytest"),
    ("go", "golang-go"),
    ("unzip", "unzip"),
    ("tar", "tar"),
    ("bsdtar", "libarchive-tools"),
    ("whois", "whois"),
    ("logger", "bsdutils"),
    ("script", "bsdutils"),
    ("bc", "bc"),
    ("systemd-socket-activate", "systemd"),
    // Shards of a load, on one machine.
    ("munged", "munge"),
    ("slurmctld", "slurm-wlm"),
    ("slurmd", "slurm-wlm"),
    ("srun", "slurm-wlm"),
    ("parallel", "parallel"),
    ("chromium", "chromium"),
    ("chromedriver", "chromium-driver"),
];

fn main() -> ExitCode {
    let task = env::args().nth(1).unwrap_or_default();
    let done = match task.as_str() {
        "test" => test(&env::args().skip(2).collect::<Vec<_>>()),
        "check" => check(),
        "packages" => packages::check(),
        "circles" => circles::check(),
        "faults" => faults::run(env::args().skip(2)),
        "conformance" => conformance::run(),
        _ => Err("cargo xtask test    installs what is missing (it says what, and why) and passes all tests\n\
                  cargo xtask test --quick   only those that need no other program and no root\ncargo xtask check   format, lints, tests, docs, packages, a sample of faults\n\
                  cargo xtask circles   modules that import each other, and errors of the libraries that are only text
                  cargo xtask packages   licences, vulnerabilities, each crate alone, and what would be published\n\
                  cargo xtask faults  makes each system call of each verb fail in turn\n\
                  cargo xtask conformance  what RFCs ask of serve --files and fetch, case by case, beside nginx and curl"
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
    circles::check()?;
    test(&[])?;
    doc()?;
    packages::check()?;
    // The same ones each time: what fails here failed because of the change.
    with_signals("cargo", &["xtask", "faults", "--sample", "1000"])
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

/// With `--quick`: what needs no other program, no service, no browser and no root, for between edits.
fn test(words: &[String]) -> Result<(), String> {
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => {
            install()?;
            // What `serve` does it does with any number of threads.
            with_threads("4", &["test", "--workspace", "--no-fail-fast"])?;
            let mut arguments = vec!["test", "--no-fail-fast", "-p", "sockeye-cli"];
            SERVE.iter().for_each(|test| arguments.extend(["--test", test]));
            with_threads("1", &arguments)
        }
        ["--quick"] => {
            let mut arguments =
                vec!["test", "--no-fail-fast", "-p", "sockeye-transcript", "-p", "sockeye", "-p", "sockeye-cli"];
            arguments.extend(["--lib", "--bins"]);
            for test in QUICK {
                arguments.extend(["--test", test]);
            }
            with_signals("cargo", &arguments)
        }
        _ => Err("cargo xtask test [--quick]".to_owned()),
    }
}

/// The tests of `serve`, which pass with one thread and with four.
const SERVE: &[&str] = &[
    "bind",
    "exec",
    "fast",
    "fast_batches",
    "fast_datagrams",
    "faults",
    "gate",
    "greeting",
    "play",
    "plays",
    "serve",
    "serve_buffers",
    "serve_judging",
    "serve_networks",
    "shortages",
    "tls",
    "waits",
];

/// Test files that need nothing but Rust, and little time.
const QUICK: &[&str] = &[
    "broken",
    "fast_batches",
    "files_http2",
    "help",
    "language",
    "mock",
    "play",
    "records",
    "rehearsals",
    "report",
    "serve",
];

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
    println!("The tests talk to real programs. These are not there:");
    for (program, package) in PROGRAMS.iter().filter(|(program, _)| !is_there(program)) {
        let wanted = wanted_by(program);
        println!("  {package}: {program} is used by {}", if wanted.is_empty() { "the tests" } else { &wanted });
    }
    println!("`cargo xtask test --quick` needs none of them.\n+ {line}");
    let install = || {
        let words: Vec<&str> = line.split(' ').collect();
        run_quietly(words[0], &words[1..])
    };
    // Package lists may be old, or not there yet.
    install().or_else(|_| run_quietly("apt-get", &["update"]).and_then(|()| install()))
}

/// The test files in which a program is named.
fn wanted_by(program: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/cli/tests");
    let name = Path::new(program).file_stem().map(|name| name.to_string_lossy()).unwrap_or_default();
    let mut files: Vec<String> = ["", "/support"]
        .iter()
        .filter_map(|below| std::fs::read_dir(format!("{folder}{below}")).ok())
        .flat_map(|entries| entries.filter_map(|entry| entry.ok().map(|entry| entry.path())))
        .filter(|path| std::fs::read_to_string(path).is_ok_and(|text| has_word(&text, &name)))
        .filter_map(|path| path.file_name().map(|name| name.to_string_lossy().into_owned()))
        .collect();
    files.sort();
    files.join(", ")
}

fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        !text[..at].ends_with(is_part) && !text[at + word.len()..].starts_with(is_part)
    })
}

/// Whether a program, or a file at a path in which `*` stands for one folder of whatever name, is on this machine.
fn is_there(program: &str) -> bool {
    if let Some((above, below)) = program.split_once("/*/") {
        let folders = std::fs::read_dir(above).into_iter().flatten().filter_map(Result::ok);
        return folders.into_iter().any(|folder| folder.path().join(below).exists());
    }
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

/// The same with no signal ignored. A shell has what it starts in the background ignore SIGINT, and so would every program
/// that a test starts (env(1), `--default-signal`).
fn with_signals(program: &str, arguments: &[&str]) -> Result<(), String> {
    run("env", &[&["--default-signal=INT,TERM,HUP", program], arguments].concat())
}

/// As [`with_signals`], with so many threads in each `serve` of a test that does not say how many.
fn with_threads(threads: &str, arguments: &[&str]) -> Result<(), String> {
    println!("+ serve with --threads {threads}");
    let variable = format!("SOCKEYE_TEST_THREADS={threads}");
    // Tests wait for peers most of the time: two of them share a processor well.
    let processors = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let at_once = env::var("RUST_TEST_THREADS").unwrap_or_else(|_| (2 * processors).to_string());
    let at_once = format!("RUST_TEST_THREADS={at_once}");
    run("env", &[&["--default-signal=INT,TERM,HUP", &variable, &at_once, "cargo"], arguments].concat())
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
    fn a_quick_test_needs_no_other_program() {
        for name in QUICK {
            let paths = ["cli", "sockeye", "transcript"]
                .map(|krate| format!("{}/../crates/{krate}/tests/{name}.rs", env!("CARGO_MANIFEST_DIR")));
            let text: String = paths.iter().filter_map(|path| std::fs::read_to_string(path).ok()).collect();
            assert!(!text.is_empty(), "{name}");
            for word in ["need(", "in_namespace", "WakeUps", "\"python3\"", "\"bash\"", "\"unshare\"", "\"strace\""] {
                assert!(!text.contains(word), "{name}: {word}");
            }
        }
        for (program, _) in PROGRAMS.iter().filter(|(program, _)| !["ip", "prlimit"].contains(program)) {
            assert!(!wanted_by(program).is_empty(), "no test names {program}");
        }
    }

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
