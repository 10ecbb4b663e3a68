//! What a server gives up once all that it needs is open.

use std::path::{Path, PathBuf};

use sockeye::address::{Address, Scheme, Target};
use sockeye::net::connect::is_looked_up;
use sockeye::sandbox::{Further, Reach, Sandbox, SandboxLevel};
use sockeye::verb::relay;
use sockeye::verb::serve::{Role, ServeOptions};
use transcript::Side;

use crate::exit::Exit;
use crate::flags::{Relay, Serve, Talk};
use crate::output::Console;
use crate::sys::is_stdout;

/// What is to hold.
#[derive(Debug)]
pub(super) enum Wanted {
    /// All but this is given up.
    Only(Sandbox),
    /// Nothing is, and why.
    Nothing(&'static str),
}

/// Gives up what a verb that listens does not need.
pub(super) fn enter(wanted: Wanted, console: &Console) -> Result<(), Exit> {
    let say = |words: &str| {
        if console.verbose > 0 {
            console.note(words);
        }
    };
    let sandbox = match wanted {
        Wanted::Only(sandbox) => sandbox,
        Wanted::Nothing(why) => {
            say(&format!("no sandbox{why}"));
            return Ok(());
        }
    };
    let held = sandbox
        .enter()
        .map_err(|error| console.fail(Exit::CannotListen, &format!("{error}; --no-sandbox goes without one")))?;
    match held {
        SandboxLevel::Landlock(version) => {
            let list = |folders: &[PathBuf]| {
                let folders: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
                if folders.is_empty() { "nothing".to_owned() } else { folders.join(", ") }
            };
            let Further { listen, connect } = sandbox.further;
            let net = match (&sandbox.connects[..], version >= 4) {
                (_, false) => String::new(),
                _ if listen && connect => String::new(),
                _ if listen => "other TCP sockets only listen; ".to_owned(),
                _ if connect => "other TCP sockets only connect; ".to_owned(),
                ([], true) => "no other TCP socket; ".to_owned(),
                (ports, true) => {
                    let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
                    format!("connects over TCP to {} alone and binds no other socket; ", ports.join(", "))
                }
            };
            say(&format!(
                "sandbox: reads {}, writes {}; {net}no new privileges (Landlock {version}, tried and held)",
                list(&[&sandbox.reads[..], &sandbox.writes[..]].concat()),
                list(&sandbox.writes)
            ));
        }
        SandboxLevel::NoNewPrivileges => {
            say("sandbox: no new privileges; this kernel has no Landlock, so that files are not kept")
        }
    }
    Ok(())
}

/// What holds for `serve`. A program that it runs may need anything: then nothing does.
pub(super) fn of_server(flags: &Serve, options: &ServeOptions) -> Wanted {
    match options.role {
        _ if flags.no_sandbox => Wanted::Nothing(SWITCHED_OFF),
        Role::Exec(_) => Wanted::Nothing(FOR_PROGRAMS),
        _ if options.addresses.iter().any(is_program) => Wanted::Nothing(FOR_PROGRAMS),
        _ => Wanted::Only(needed(flags, options)),
    }
}

/// What holds for `relay`, which connects to its servers and may write records.
pub(super) fn of_relay(flags: &Relay, relay: &relay::RelayOptions) -> Wanted {
    if flags.no_sandbox {
        return Wanted::Nothing(SWITCHED_OFF);
    }
    if std::iter::once(&relay.from).chain(&relay.to).any(is_program) {
        return Wanted::Nothing(FOR_PROGRAMS);
    }
    let mut sandbox = Sandbox::default();
    for to in &relay.to {
        match &to.target {
            Target::Inet { port, .. } => sandbox.connects.push(*port),
            Target::Unix(path) if path.to_string_lossy().starts_with('@') => sandbox.reaches = Reach::Abstract,
            _ => {}
        }
    }
    if relay.to.iter().any(is_looked_up) {
        let folders = NAMES.iter().map(PathBuf::from).filter(|folder| folder.is_dir());
        sandbox.reads.extend(folders);
        sandbox.connects.push(DNS);
    }
    sandbox.connects.sort_unstable();
    sandbox.connects.dedup();
    sandbox.writes.extend(flags.record.as_deref().map(folder_of).filter(|folder| folder.is_dir()));
    add_sockets(&mut sandbox, std::slice::from_ref(&relay.from));
    Wanted::Only(sandbox)
}

/// What holds for `talk --listen`, once its record and its ports are written.
pub(super) fn of_talk(flags: &Talk, address: &Address) -> Wanted {
    if flags.no_sandbox {
        return Wanted::Nothing(SWITCHED_OFF);
    }
    let mut sandbox = Sandbox::default();
    let record = flags.record.as_deref().filter(|path| !is_stdout(path));
    sandbox.writes.extend(record.map(folder_of).filter(|folder| folder.is_dir()));
    add_sockets(&mut sandbox, std::slice::from_ref(address));
    Wanted::Only(sandbox)
}

fn is_program(address: &Address) -> bool {
    matches!(address.target, Target::Command(..))
}

/// What the system's resolver reads: its files (hosts, resolv.conf, nsswitch.conf, gai.conf), what those are links to, and the
/// libraries that it loads. And where it asks over TCP, if an answer is large.
const NAMES: [&str; 6] = ["/etc", "/run/systemd/resolve", "/run/resolvconf", "/lib", "/usr/lib", "/usr/lib64"];
const DNS: u16 = 53;

const SWITCHED_OFF: &str = " (--no-sandbox)";
/// Steered from outside, a relay binds and connects while it runs.
pub(super) const FOR_PROXIES: &str = ": proxies are made while it runs";
const FOR_PROGRAMS: &str = ": a program may need anything";

/// The files of Unix sockets are removed at the end. Clients for datagrams mostly have names that the system chose, which are
/// abstract, and are answered at those.
fn add_sockets(sandbox: &mut Sandbox, addresses: &[Address]) {
    for address in addresses {
        if address.scheme == Some(Scheme::UnixDgram) {
            sandbox.reaches = Reach::Abstract;
        }
        if let Target::Unix(path) = &address.target {
            sandbox.removes.push(folder_of(path));
        }
    }
    sandbox.removes.retain(|folder| folder.is_dir());
}

/// What is opened later.
fn needed(flags: &Serve, options: &ServeOptions) -> Sandbox {
    let mut sandbox = Sandbox::default();
    if let Role::Files(files) = &options.role {
        let folder = files.folder.clone();
        if flags.web.follow_links {
            sandbox.reads.push("/".into());
        }
        if flags.web.upload { &mut sandbox.writes } else { &mut sandbox.reads }.push(folder);
    }
    // A site is built again beside the old one and takes its name, an editor puts another file there, and `file:` lines name
    // others: the rules of the kernel are about folders that are there now, so that it is the one around.
    for path in flags.play.iter().chain(&flags.web.files).filter(|path| path.file_name().is_some()) {
        sandbox.reads.push(folder_of(path));
        if let Ok(target) = path.canonicalize() {
            sandbox.reads.push(folder_of(&target));
        }
    }
    // Ports that a transcript tells of are opened when they are told.
    if let Role::Transcripts(transcripts) = &options.role {
        let opens = |side| transcripts.iter().any(|loaded| loaded.transcript.opens_ports(side));
        sandbox.further = Further { listen: opens(Side::Server), connect: opens(Side::Client) };
    }
    add_sockets(&mut sandbox, &options.addresses);
    sandbox.reads.sort();
    sandbox.reads.dedup();
    // A pipe has no folder, and is not read again.
    sandbox.reads.retain(|folder| folder.is_dir());
    sandbox
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => ".".into(),
        Some(folder) => folder.to_owned(),
        None => "/".into(),
    }
}
