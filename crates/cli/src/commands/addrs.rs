//! `sockeye addrs`.

use std::net::IpAddr;
use std::time::Duration;

use serde_json::{Value, json};
use sockeye::net::Family;
use sockeye::net::lookup::{LookupError, look_up};
use sockeye::verb::addrs::{Interface, Route, interfaces, routes};

use super::table::Table;
use crate::exit::Exit;
use crate::flags::Addrs;
use crate::output::Console;
use crate::{clean, json as lines};

/// How long a name may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Shows interfaces, or how a destination would be reached.
pub(crate) fn run(flags: &Addrs, console: &Console) -> Exit {
    let all = match interfaces() {
        Ok(all) => all,
        Err(error) => {
            let why = format!(
                "the kernel does not tell of its interfaces (rtnetlink(7)): {error}",
                error = sockeye::net::words(&error)
            );
            return console.fail(Exit::CannotRead, &why);
        }
    };
    let family = flags.family.family();
    match &flags.destination {
        None => show(&of_family(all, family), console),
        Some(destination) => show_routes(destination, &all, family, console),
    }
}

fn is_of(ip: IpAddr, family: Option<Family>) -> bool {
    match family {
        None => true,
        Some(Family::V4) => ip.is_ipv4(),
        Some(Family::V6) => ip.is_ipv6(),
    }
}

/// Interfaces with their addresses of one family; those that have none of it are left out.
fn of_family(mut all: Vec<Interface>, family: Option<Family>) -> Vec<Interface> {
    if family.is_some() {
        for interface in &mut all {
            interface.addresses.retain(|address| is_of(address.ip, family));
        }
        all.retain(|interface| !interface.addresses.is_empty());
    }
    all
}

fn show(all: &[Interface], console: &Console) -> Exit {
    let mut text = String::new();
    if console.json {
        for interface in all {
            lines::push_line(&mut text, &object(interface));
        }
        return console.print(text.as_bytes());
    }
    let mut table = Table::new(["INTERFACE", "STATE", "MTU", "ADDRESS", "SCOPE", "HARDWARE", "FLAGS"]);
    for interface in all {
        let hardware = interface.hardware.as_deref().map_or_else(|| "-".to_owned(), hardware);
        let head = [interface.name.clone(), state(interface).to_owned(), interface.mtu.to_string()];
        let mut rows: Vec<[String; 2]> = interface
            .addresses
            .iter()
            .map(|address| [format!("{}/{}", address.ip, address.prefix), address.scope.name().to_owned()])
            .collect();
        if rows.is_empty() {
            rows.push(["-".to_owned(), "-".to_owned()]);
        }
        for [address, scope] in rows {
            let [name, state, mtu] = head.clone();
            table.push([name, state, mtu, address, scope, hardware.clone(), flags(interface).join(",")]);
        }
    }
    console.print(table.to_string().as_bytes())
}

fn state(interface: &Interface) -> &'static str {
    match (interface.is_up, interface.is_running) {
        (true, true) => "up",
        (true, false) => "no-carrier",
        (false, _) => "down",
    }
}

fn hardware(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}

fn flags(interface: &Interface) -> Vec<&'static str> {
    let all = [
        (interface.is_up, "up"),
        (interface.is_running, "running"),
        (interface.is_loopback, "loopback"),
        (interface.is_multicast, "multicast"),
    ];
    all.into_iter().filter_map(|(is, name)| is.then_some(name)).collect()
}

fn object(interface: &Interface) -> Value {
    let addresses: Vec<Value> = interface
        .addresses
        .iter()
        .map(|address| json!({ "ip": address.ip.to_string(), "prefix": address.prefix, "scope": address.scope.name() }))
        .collect();
    json!({ "interface": interface.name, "index": interface.index, "state": state(interface), "mtu": interface.mtu,
        "hardware": interface.hardware.as_deref().map(hardware), "flags": flags(interface), "addresses": addresses })
}

fn show_routes(destination: &str, all: &[Interface], family: Option<Family>, console: &Console) -> Exit {
    let mut found = match look_up(destination, PATIENCE) {
        Ok(found) => found,
        Err(error @ LookupError::NoHost { .. }) => return console.fail(Exit::Usage, &error.to_string()),
        Err(error @ LookupError::NotFound { .. }) => return console.fail(Exit::NameNotFound, &error.to_string()),
        Err(error) => return console.fail(Exit::TimedOut, &error.to_string()),
    };
    found.addresses.retain(|ip| is_of(*ip, family));
    if let (true, Some(family)) = (found.addresses.is_empty(), family) {
        let name = if family == Family::V4 { "IPv4" } else { "IPv6" };
        return console.fail(Exit::NameNotFound, &format!("{}: it has no {name} address", clean::line(destination)));
    }
    let routes = routes(&found.addresses, found.scope, all);
    let mut text = String::new();
    for route in &routes {
        if console.json {
            lines::push_line(&mut text, &route_object(destination, route, found.source.as_deref()));
        } else {
            text += &route_line(route);
        }
    }
    if !console.json
        && let Some(source) = &found.source
    {
        text += &format!("{} {source}\n", clean::line(destination));
    }
    let printed = console.print(text.as_bytes());
    let reachable = routes.iter().any(|route| route.from.is_ok());
    if printed == Exit::Done && !reachable { Exit::Refused } else { printed }
}

fn route_line(route: &Route) -> String {
    let to = route.destination;
    match &route.from {
        Ok((from, Some(interface))) => format!("{to} from {from} on {interface}\n"),
        Ok((from, None)) => format!("{to} from {from}\n"),
        Err(why) => format!("{to} cannot be reached: {why}\n"),
    }
}

fn route_object(destination: &str, route: &Route, source: Option<&str>) -> Value {
    let mut object = json!({ "destination": destination, "ip": route.destination.to_string(), "source": source });
    match &route.from {
        Ok((from, interface)) => {
            object["from"] = json!(from.to_string());
            object["interface"] = json!(interface);
        }
        Err(why) => object["error"] = json!(why.to_string()),
    }
    object
}
