//! `sockeye serve`.

use std::time::Duration;

use sockeye::address::Address;
use sockeye::net::listen::ListenError;
use sockeye::stop;
use sockeye::verb::serve::{Options, Role, ServeError, Server, Summary};

use super::{file, signals};
use crate::exit::Exit;
use crate::flags::Serve;
use crate::output::Console;
use crate::port_file;

/// Serves until a signal.
pub(crate) fn run(flags: &Serve, console: &Console) -> Exit {
    match serve(flags, console) {
        Ok(exit) | Err(exit) => exit,
    }
}

fn serve(flags: &Serve, console: &Console) -> Result<Exit, Exit> {
    let options = options(flags, console)?;
    let refuse = |error: ServeError| {
        let exit = match &error {
            ServeError::Refused(_) | ServeError::Address(_) => Exit::Usage,
            ServeError::Listen(ListenError::NoAddress { .. }) => Exit::NameNotFound,
            ServeError::Listen(_) | ServeError::Io(_) => Exit::CannotListen,
        };
        console.fail(exit, &error.to_string())
    };
    let server = Server::bind(&options).map_err(refuse)?;
    let (stopper, stop) = stop::channel().map_err(|error| refuse(ServeError::Io(error)))?;
    signals::stop_on_signals(&stopper).map_err(|error| refuse(ServeError::Io(error)))?;
    if let Some(path) = &flags.port_file {
        port_file::write(path, server.ports(), console)?;
    }
    let summary = server.run(stop, console.observer()).map_err(refuse)?;
    Ok(conclude(summary, flags.grace, console))
}

fn options(flags: &Serve, console: &Console) -> Result<Options, Exit> {
    let addresses =
        Address::parse_words(&flags.addresses).map_err(|error| console.fail(Exit::Usage, &error.to_string()))?;
    let role = match &flags.play {
        Some(path) => {
            let transcript = file::read(path, &flags.values, console)?;
            for warning in transcript.warnings() {
                console.note(&warning.one_line(transcript.source()));
            }
            Role::Transcript(Box::new(transcript))
        }
        None if flags.echo => Role::Echo,
        None if flags.discard => Role::Discard,
        None => Role::Greeting,
    };
    Ok(Options {
        addresses,
        role,
        family: flags.family.family(),
        values: flags.values.to_map(),
        grace: flags.grace,
        timeout: flags.timeout,
        longest_line: flags.max_line,
        budget: flags.udp_budget.unwrap_or_default(),
    })
}

/// Says at the end what came of it.
fn conclude(summary: Summary, grace: Duration, console: &Console) -> Exit {
    let Summary { opened, closed, failed, cut, at_once } = summary;
    let mut words = format!("{opened} conversations, {closed} ended by themselves");
    if failed > 0 {
        words.push_str(&format!(", {failed} not as written"));
    }
    if cut > 0 {
        let why = if at_once {
            "at once, by a second signal".to_owned()
        } else {
            format!("after a grace of {} (--grace)", transcript::seconds(grace))
        };
        words.push_str(&format!(", {cut} cut {why}"));
    }
    console.note(&words);
    console.flush();
    if at_once { Exit::Interrupted } else { Exit::Done }
}
