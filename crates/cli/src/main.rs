//! The command `sockeye`: how you ask. Only this crate prints.

mod access;
mod clean;
mod color;
mod commands;
mod events;
mod exit;
mod failure;
mod figures;
mod flags;
mod hex_rows;
mod json;
mod output;
mod pages;
mod port_file;
mod pretty;
mod shown;
mod sys;
mod whole;

use std::process::ExitCode;

use clap::error::ErrorKind;

use exit::Exit;
use flags::Command;
use output::Console;

fn main() -> ExitCode {
    let streams = sys::closed_standard_streams();
    // Before anything else is set up: nc must be seen to do what nc does, and no more.
    if let Some(nc) = commands::nc::invocation() {
        return nc.run(streams);
    }
    sys::outlive_file_limits();
    sockeye::limits::raise_open_files();
    run(streams)
}

fn run(streams: sys::StandardStreams) -> ExitCode {
    let flags = match flags::parse() {
        Ok(flags) => flags,
        Err(error) => return usage(&error).into(),
    };
    let console = Console::new(&flags.common, streams);
    // Where it refuses for another reason than that it may not, no table could be made: the standard library would abort.
    if let Err(error) = sockeye::fresh::randomness()
        && error.kind() != std::io::ErrorKind::PermissionDenied
    {
        let why = format!("the kernel gives no random numbers (getrandom): {}", sockeye::net::words(&error));
        return console.fail(Exit::NoResources, &why).into();
    }
    let exit = match flags.command {
        Command::Nc(nc) => return commands::nc::Invocation::of_verb(&nc.words).run(streams),
        Command::Serve(serve) => commands::serve::run(&serve, &console),
        Command::Talk(talk) => commands::talk::run(&talk, &console),
        Command::Relay(relay) => commands::relay::run(&relay, &console),
        Command::Fetch(fetch) => commands::fetch::run(&fetch, &console),
        Command::Load(load) => commands::load::run(&load, &console),
        Command::Check(check) => commands::check::run(&check, &console),
        Command::Import(import) => commands::import::run(&import, &console),
        Command::Report(report) => commands::runs::run(&report, &console),
        Command::Ports(ports) => commands::ports::run(&ports, &console),
        Command::Addrs(addrs) => commands::addrs::run(&addrs, &console),
        Command::Completions(completions) => pages::completions(completions.shell, &console),
        Command::Man(man) => pages::man(man.folder.as_deref(), &console),
        Command::Later(words) => {
            let verb = words.first().map_or("this", String::as_str);
            // Its flags were not read.
            let console = Console::before_flags(console.json || flags::ask_for_json());
            console.fail(Exit::Usage, &flags::later(verb))
        }
    };
    exit.into()
}

/// Help and version go to standard output and are what was asked for; anything else is wrong usage.
fn usage(error: &clap::Error) -> Exit {
    let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    let console = Console::before_flags(flags::ask_for_json());
    if asked {
        return console.print(error.render().to_string().as_bytes());
    }
    let why = flags::explain(error);
    if console.json {
        return console.fail(Exit::Usage, why.trim_end());
    }
    console.complain(&why);
    Exit::Usage
}
