//! `sockeye ports`.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sockeye::event::{Name, Protocol};
use sockeye::verb::ports::{End, Of, Query, Socket, State, UnixKind, ports, wait};

use super::table::Table;
use crate::exit::Exit;
use crate::flags::{Ports, Wanted};
use crate::output::Console;
use crate::{clean, json as lines};

/// How often `--watch` looks.
const LOOK: Duration = Duration::from_secs(1);

/// Shows the sockets that are wanted.
pub(crate) fn run(flags: &Ports, console: &Console) -> Exit {
    let query = Query {
        ports: flags.ports.iter().filter_map(Wanted::port).collect(),
        listening: flags.listening,
        of: flags.of.clone(),
        protocols: flags.protocol.iter().copied().map(Protocol::from).collect(),
        family: flags.family.family(),
    };
    let times: Vec<Duration> = flags.ports.iter().filter_map(Wanted::time).collect();
    match (flags.wait, &times[..]) {
        (Some(time), []) if !query.ports.is_empty() => return wait_for(&query, time, console),
        (Some(None), [time]) if !query.ports.is_empty() => return wait_for(&query, Some(*time), console),
        (Some(_), [] | [_]) => return console.fail(Exit::Usage, "--wait needs a PORT to wait for"),
        (None, []) => {}
        (_, [time, ..]) => {
            let time = transcript::seconds(*time);
            return console.fail(Exit::Usage, &format!("{time} is no port: a time stands behind --wait, once"));
        }
    }
    let found = match ports(&query) {
        Ok(found) => found,
        Err(error) => return cannot_look(&error, console),
    };
    let shown = show(&found, console);
    if flags.watch && shown == Exit::Done {
        return watch(&query, found, console);
    }
    match shown {
        Exit::Done if found.is_empty() => nothing(&query, console),
        shown => shown,
    }
}

fn cannot_look(error: &io::Error, console: &Console) -> Exit {
    console.fail(
        Exit::CannotRead,
        &format!(
            "the kernel does not tell of its sockets (sock_diag(7)): {error}",
            error = sockeye::net::words(&error)
        ),
    )
}

fn nothing(query: &Query, console: &Console) -> Exit {
    let on = match &query.ports[..] {
        [] => String::new(),
        ports => format!(" on port {}", ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ")),
    };
    let what = if query.listening { "no listener" } else { "no socket" };
    let why = match &query.of {
        Some(Of::Pid(pid)) if !Path::new(&format!("/proc/{pid}")).exists() => format!("there is no process {pid}"),
        Some(Of::Pid(pid)) => format!("{what}{on} of process {pid}"),
        Some(Of::Name(name)) => format!("{what}{on} of a process `{}`", clean::line(name)),
        None => format!("{what}{on}"),
    };
    if console.quiet { Exit::Differs } else { console.fail(Exit::Differs, &why) }
}

fn wait_for(query: &Query, time: Option<Duration>, console: &Console) -> Exit {
    match wait(query, time.map(|time| Instant::now() + time)) {
        Ok(Some(found)) => show(&found, console),
        Ok(None) => {
            let waited = transcript::seconds(time.unwrap_or_default());
            let ports: Vec<String> = query.ports.iter().map(ToString::to_string).collect();
            console.fail(Exit::TimedOut, &format!("no listener on port {} within {waited}", ports.join(" and ")))
        }
        Err(error) => cannot_look(&error, console),
    }
}

/// Says what comes and goes until it is ended, or it has no reader any more.
fn watch(query: &Query, mut before: Vec<Socket>, console: &Console) -> Exit {
    loop {
        std::thread::sleep(LOOK);
        let now = match ports(query) {
            Ok(now) => now,
            Err(error) => return cannot_look(&error, console),
        };
        let [came, went] = [(&now, &before), (&before, &now)].map(|(these, those)| {
            let known: HashSet<_> = those.iter().map(identity).collect();
            these.iter().filter(|socket| !known.contains(&identity(socket))).cloned().collect::<Vec<_>>()
        });
        let mut text = String::new();
        for (sign, event, sockets) in [("-", "closed", &went), ("+", "opened", &came)] {
            for socket in sockets {
                if console.json {
                    let mut object = object(socket);
                    object["event"] = json!(event);
                    lines::push_line(&mut text, &object);
                } else {
                    text += &format!("{sign} {}\n", row(socket).join("  ").trim_end());
                }
            }
        }
        match console.print(text.as_bytes()) {
            Exit::Done => before = now,
            ended => return ended,
        }
    }
}

/// What makes a socket this one: what it is doing counts, how full its queues are does not.
fn identity(socket: &Socket) -> (Protocol, Name, Option<Name>, State, u64) {
    (socket.protocol, socket.local.clone(), socket.peer.clone(), socket.state, socket.inode)
}

fn show(found: &[Socket], console: &Console) -> Exit {
    if console.json {
        let mut text = String::new();
        for socket in found {
            lines::push_line(&mut text, &object(socket));
        }
        return console.print(text.as_bytes());
    }
    if found.is_empty() {
        return Exit::Done;
    }
    let mut table = Table::new(["PROTO", "STATE", "LOCAL", "PEER", "QUEUE", "USER", "PROCESS", ""]);
    for socket in found {
        table.push(row(socket));
    }
    let printed = console.print(table.to_string().as_bytes());
    tell_hidden(found, console);
    printed
}

/// The columns of a socket. Names of processes and paths are their owners' to choose, so they are made harmless.
fn row(socket: &Socket) -> [String; 8] {
    [
        protocol(socket).to_owned(),
        socket.state.to_string(),
        socket.local.to_string(),
        socket.peer.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string),
        format!("{}/{}", socket.receive_queue, socket.send_queue),
        user(socket),
        processes(socket),
        more(socket),
    ]
    .map(|cell| clean::line(&cell))
}

fn protocol(socket: &Socket) -> &'static str {
    match socket.unix {
        Some(UnixKind::Datagram) => "unix-dgram",
        Some(UnixKind::Seqpacket) => "unix-seqpacket",
        _ => socket.protocol.scheme(),
    }
}

fn user(socket: &Socket) -> String {
    match (&socket.user, socket.uid) {
        // No process has it any more, and the kernel says 0.
        _ if socket.inode == 0 => "-".to_owned(),
        (Some(user), _) => user.clone(),
        (None, Some(uid)) => uid.to_string(),
        (None, None) => "-".to_owned(),
    }
}

fn processes(socket: &Socket) -> String {
    if socket.is_hidden() {
        return "hidden".to_owned();
    }
    if socket.processes.is_empty() {
        return "-".to_owned();
    }
    let names = socket.processes.iter().map(|process| format!("{} ({})", process.name, process.pid));
    names.collect::<Vec<_>>().join(", ")
}

/// What only some sockets have to tell.
fn more(socket: &Socket) -> String {
    let mut parts = Vec::new();
    match (socket.state.closed_first(), socket.time_wait) {
        (Some(End::Local), Some(left)) => {
            parts.push(format!("this end closed first, gone in {} s", left.as_secs_f64().ceil()));
        }
        (Some(End::Local), None) => parts.push("this end closed first".to_owned()),
        (Some(End::Peer), _) => parts.push("the peer closed first".to_owned()),
        (None, _) => {}
    }
    if let Some(info) = socket.info {
        if !info.round_trip.is_zero() {
            parts.push(format!("round trip {:.1} ms", info.round_trip.as_secs_f64() * 1e3));
        }
        match info.retransmits {
            0 => {}
            1 => parts.push("1 retransmit".to_owned()),
            count => parts.push(format!("{count} retransmits")),
        }
    }
    let mut containers: Vec<_> = socket.processes.iter().filter_map(|process| process.container.as_deref()).collect();
    containers.dedup();
    parts.extend(containers.iter().map(|id| format!("container {id}")));
    // A container has services of its own, and a name that says more.
    let alone = socket.processes.iter().filter(|process| process.container.is_none());
    let mut units: Vec<_> = alone.filter_map(|process| process.unit.as_deref()).collect();
    units.dedup();
    parts.extend(units.iter().map(|unit| (*unit).to_owned()));
    parts.join(", ")
}

fn object(socket: &Socket) -> Value {
    let processes = socket.processes.iter();
    let processes: Vec<Value> = processes
        .map(|process| {
            let (pid, name, container, unit) = (process.pid, &process.name, &process.container, &process.unit);
            json!({ "pid": pid, "name": name, "container": container, "unit": unit })
        })
        .collect();
    let closed_first = socket.state.closed_first().map(|end| match end {
        End::Local => "local",
        End::Peer => "peer",
    });
    let listens = socket.state == State::Listen;
    let name = |name: &Name| match name {
        Name::Unnamed => Value::Null,
        name => json!(name.to_string()),
    };
    let mut object = json!({
        "proto": protocol(socket), "state": socket.state.name(), "listening": socket.is_listening(),
        "local": name(&socket.local), "peer": socket.peer.as_ref().map_or(Value::Null, name),
        "uid": socket.uid, "user": socket.user, "inode": socket.inode, "processes": processes,
        "hidden": socket.is_hidden(),
    });
    let [receive, send] = if listens { ["waiting", "backlog"] } else { ["receive_queue", "send_queue"] };
    object[receive] = json!(socket.receive_queue);
    object[send] = json!(socket.send_queue);
    if let Some(info) = socket.info {
        object["round_trip"] = json!(info.round_trip.as_secs_f64());
        object["retransmits"] = json!(info.retransmits);
    }
    if let Some(end) = closed_first {
        object["closed_first"] = json!(end);
    }
    if let Some(left) = socket.time_wait {
        object["time_wait"] = json!(left.as_secs_f64());
    }
    object
}

/// Says how many processes the system hides from us, and whose they are.
fn tell_hidden(found: &[Socket], console: &Console) {
    let mut hidden: BTreeMap<String, usize> = BTreeMap::new();
    for socket in found.iter().filter(|socket| socket.is_hidden()) {
        let owner = match (&socket.user, socket.uid) {
            (Some(user), Some(uid)) => format!("uid {uid} ({user})"),
            (None, Some(uid)) => format!("uid {uid}"),
            _ => "somebody".to_owned(),
        };
        *hidden.entry(owner).or_default() += 1;
    }
    if console.quiet {
        return;
    }
    let advice = if rustix::process::geteuid().is_root() {
        "in another container, or the kernel itself"
    } else {
        "run as root to see who"
    };
    for (owner, count) in hidden {
        let holders = if count == 1 { "1 holder".to_owned() } else { format!("{count} holders") };
        console.complain(&format!("{holders} hidden: owned by {owner}; {advice}"));
    }
}
