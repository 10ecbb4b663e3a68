//! The shape of help: `-h` shows what is used most, first; `--help` shows everything; what every verb has stands last. A flag
//! that is not named here is in `--help` alone.

use clap::{Arg, Command};

/// What every verb has.
const COMMON: [&str; 6] = ["quiet", "verbose", "json", "color", "v4", "v6"];

/// What `-h` of a verb shows, in this order.
const FIRST: &[(&str, &[&str])] = &[
    (
        "serve",
        &["play", "files", "echo", "discard", "once", "times", "strict", "set", "timeout", "port_file", "cert", "key"],
    ),
    (
        "talk",
        &[
            "play",
            "listen",
            "keep",
            "zero",
            "retry",
            "recv_only",
            "send_only",
            "timeout",
            "data",
            "report",
            "record",
            "update",
            "set",
            "eol",
        ],
    ),
    ("relay", &["balance", "once", "port_file", "idle_timeout", "delay", "rate", "drop", "seed"]),
    (
        "fetch",
        &[
            "output",
            "data",
            "data_json",
            "form",
            "header",
            "method",
            "user",
            "head",
            "resume",
            "retry",
            "timeout",
            "no_follow",
            "sha256",
            "ca",
        ],
    ),
    (
        "load",
        &[
            "play",
            "connections",
            "duration",
            "plays",
            "rate",
            "threads",
            "reconnect",
            "ramp",
            "data",
            "header",
            "method",
            "pipeline",
            "max_p99",
            "max_errors",
            "min_rate",
            "save",
            "report",
        ],
    ),
    ("check", &["format", "write", "all_branches", "set"]),
    ("import", &["output", "stream", "keylog", "exact", "har", "session", "starttls"]),
    ("report", &["against", "fail_if_slower", "save", "report"]),
];

/// Gives the definition its shape.
pub(super) fn shaped(command: Command) -> Command {
    let verbs: Vec<String> = command.get_subcommands().map(|verb| verb.get_name().to_owned()).collect();
    verbs.into_iter().fold(with_common_last(command, &COMMON), |command, name| {
        command.mut_subcommand(name.clone(), |verb| {
            let first = FIRST.iter().find(|(verb, _)| *verb == name).map_or(&[][..], |(_, first)| first);
            shaped_verb(verb, first)
        })
    })
}

fn shaped_verb(verb: Command, first: &[&str]) -> Command {
    let ids: Vec<String> = flags_of(&verb);
    let mut hidden = false;
    let mut verb = with_common_last(verb, &COMMON);
    for id in &ids {
        if COMMON.contains(&id.as_str()) {
            continue;
        }
        let place = first.iter().position(|name| name == id);
        hidden |= place.is_none() && !first.is_empty();
        verb = verb.mut_arg(id, |flag| match place {
            Some(place) => shortened(flag).help_heading(None::<&str>).display_order(place),
            None if first.is_empty() => shortened(flag),
            None if flag.get_help_heading().is_some() => flag.hide_short_help(true),
            None => flag.hide_short_help(true).help_heading("More options"),
        });
    }
    if hidden {
        let name = verb.get_name().to_owned();
        let more = format!("There is more: sockeye {name} --help");
        // What stands behind the flags belongs to the long help, too.
        let after = verb.get_after_help().map(ToString::to_string);
        if let Some(after) = after {
            verb = verb.after_long_help(after);
        }
        verb = verb.after_help(more);
    }
    verb
}

/// `-h` has what stands before the first semicolon, `--help` all of it.
fn shortened(flag: Arg) -> Arg {
    let text = flag.get_help().map(ToString::to_string).unwrap_or_default();
    match text.split_once("; ") {
        Some((short, _)) if flag.get_long_help().is_none() => {
            // A default that is told in words may have one, too.
            let short = short.split(" [default").next().unwrap_or_default().to_owned();
            flag.help(short).long_help(text)
        }
        _ => flag,
    }
}

fn with_common_last(command: Command, common: &[&str]) -> Command {
    let ids = flags_of(&command);
    ids.iter().filter(|id| common.contains(&id.as_str())).fold(command, |command, id| {
        command.mut_arg(id, |flag| shortened(flag).help_heading("Common options").display_order(900))
    })
}

/// The names of what begins with a dash.
fn flags_of(command: &Command) -> Vec<String> {
    command.get_arguments().filter(|flag| !flag.is_positional()).map(|flag| flag.get_id().to_string()).collect()
}
