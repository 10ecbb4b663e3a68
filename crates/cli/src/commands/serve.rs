//! `sockeye serve`.

use std::io;

use sockeye::address::Address;
use sockeye::net::listen::ListenError;
use sockeye::net::tls::Identity;
use sockeye::stop;
use sockeye::sys::watch::watch;
use sockeye::verb::serve::{Options, Reloading, Role, ServeError, Server, Summary};

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
            ServeError::Refused(_) | ServeError::Address(_) | ServeError::Count { .. } => Exit::Usage,
            ServeError::Tls(_) => Exit::TlsHandshake,
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
    let reloading = reloading(flags, console).map_err(|error| refuse(ServeError::Io(error)))?;
    let summary = server.run(stop, reloading, console.observer()).map_err(refuse)?;
    Ok(conclude(summary, flags, console))
}

/// SIGHUP reads the transcripts again, and so does a change of them if they are watched.
fn reloading(flags: &Serve, console: &Console) -> io::Result<Option<Reloading>> {
    if flags.play.is_empty() {
        return Ok(None);
    }
    let (asker, asked) = stop::channel()?;
    signals::ask_on_hangup(&asker)?;
    if flags.watch
        && let Err(error) = watch(&flags.play, asker.try_clone()?)
    {
        console.note(&format!("the transcripts are not watched: {error}; SIGHUP reads them again"));
    }
    let paths = flags.play.clone();
    let names: Vec<String> = flags.values.names().into_iter().map(str::to_owned).collect();
    let read = Box::new(move || {
        let given: Vec<&str> = names.iter().map(String::as_str).collect();
        paths.iter().map(|path| file::sheet(path, &given).map_err(|why| why.to_string())).collect()
    });
    Ok(Some(Reloading { asked, read }))
}

fn options(flags: &Serve, console: &Console) -> Result<Options, Exit> {
    let addresses =
        Address::parse_words(&flags.addresses).map_err(|error| console.fail(Exit::Usage, &error.to_string()))?;
    let role = if flags.echo {
        Role::Echo
    } else if flags.discard {
        Role::Discard
    } else if flags.play.is_empty() {
        Role::Greeting
    } else {
        let mut sheets = Vec::new();
        for path in &flags.play {
            let sheet =
                file::sheet(path, &flags.values.names()).map_err(|why| console.fail(Exit::Usage, &why.to_string()))?;
            for warning in sheet.transcript.warnings() {
                console.note(&warning.one_line(sheet.transcript.source()));
            }
            sheets.push(sheet);
        }
        Role::Transcripts(sheets)
    };
    let identity = match (&flags.cert, &flags.key) {
        (Some(cert), Some(key)) => {
            Identity::from_files(cert, key).map_err(|error| console.fail(Exit::CannotRead, &error.to_string()))?
        }
        _ => Identity::throw_away(),
    };
    Ok(Options {
        addresses,
        role,
        family: flags.family.family(),
        values: flags.values.to_map(),
        secrets: flags.values.secrets(),
        grace: flags.grace,
        timeout: flags.timeout,
        longest_line: flags.max_line,
        budget: flags.udp_budget.unwrap_or_default(),
        plays: if flags.once { Some(1) } else { flags.times },
        strict: flags.strict,
        identity,
        ..Options::new()
    })
}

/// Says at the end what came of it.
fn conclude(summary: Summary, flags: &Serve, console: &Console) -> Exit {
    let Summary { opened, closed, failed, cut, at_once } = summary;
    let came = if opened == 1 { "1 conversation".to_owned() } else { format!("{opened} conversations") };
    let mut words = if flags.echo || flags.discard {
        format!("{came}, {closed} ended by themselves")
    } else {
        format!("{came}, {} as written", closed.saturating_sub(failed))
    };
    if failed > 0 {
        words.push_str(&format!(", {failed} not"));
    }
    if cut > 0 {
        let why = if at_once {
            "at once, by a second signal".to_owned()
        } else {
            format!("after a grace of {} (--grace)", transcript::seconds(flags.grace))
        };
        words.push_str(&format!(", {cut} cut {why}"));
    }
    let wanted = if flags.once { Some(1) } else { flags.times };
    let missing = wanted.map_or(0, |wanted| wanted.saturating_sub(opened));
    if missing > 0 {
        words.push_str(&format!(", {missing} never came"));
    }
    console.note(&words);
    console.flush();
    let judged = flags.strict || wanted.is_some();
    if judged && failed + cut > 0 {
        return Exit::Differs;
    }
    if at_once { Exit::Interrupted } else { Exit::Done }
}
