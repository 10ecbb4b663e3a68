//! `sockeye import` of a capture of packets.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek};
use std::net::SocketAddr;

use sockeye::capture::{Conversation, End, Protocol, Stream, StreamId, Survey, conversation, survey};

use super::super::file;
use super::{Source, finished};
use crate::exit::Exit;
use crate::flags::{Import, StreamWanted};
use crate::output::Console;

/// Conversations that a list shows.
const MOST_SHOWN: usize = 100;

/// Something that can be read twice.
enum RereadableSource {
    File(File),
    Held(Vec<u8>),
}

impl RereadableSource {
    fn of(source: Source) -> io::Result<Self> {
        match source.file {
            Some(file) if file.metadata()?.is_file() => Ok(Self::File(file)),
            _ => source.read(sockeye::limits::IMPORTED + 1).map(Self::Held),
        }
    }

    fn reader(&self) -> io::Result<Box<dyn Read + '_>> {
        match self {
            Self::File(file) => {
                (&*file).rewind()?;
                Ok(Box::new(BufReader::with_capacity(64 * 1024, file)))
            }
            Self::Held(bytes) => Ok(Box::new(Cursor::new(bytes))),
        }
    }
}

/// Makes a transcript of a conversation of a capture; the exit code says whether all of it is there.
pub(super) fn transcript(source: Source, flags: &Import, console: &Console) -> Result<(String, Exit), Exit> {
    let name = flags.file.display().to_string();
    let wrong = |why: &str| console.fail(Exit::Usage, why);
    if flags.session.is_some() {
        return Err(wrong(&format!(
            "--session is about pages, and {name} is a capture: --stream N takes a conversation"
        )));
    }
    let unreadable =
        |error: io::Error| wrong(&format!("cannot read {name}: {error}", error = sockeye::net::words(&error)));
    let source = RereadableSource::of(source).map_err(unreadable)?;
    if matches!(&source, RereadableSource::Held(bytes) if bytes.len() as u64 > sockeye::limits::IMPORTED) {
        return Err(wrong("a capture from standard input has at most 256 MiB: write it to a file, and name that"));
    }
    let survey = survey(source.reader().map_err(unreadable)?).map_err(|why| wrong(&format!("{name}: {why}")))?;
    let stream = chosen(&name, &survey, flags.stream).map_err(|why| wrong(&why))?;
    let stream = with_client(stream, flags.client.as_deref()).map_err(|why| wrong(&why))?;
    let conversation = conversation(source.reader().map_err(unreadable)?, &survey, &stream)
        .map_err(|why| wrong(&format!("{name}: {why}")))?;
    let conversation = clear(&name, stream.id, conversation, &survey, flags).map_err(|why| wrong(&why))?;
    written(&name, &survey, &conversation, flags.exact, console)
}

/// What was said inside TLS, if it was.
fn clear(
    name: &str,
    id: StreamId,
    conversation: Conversation,
    survey: &Survey,
    flags: &Import,
) -> Result<Conversation, String> {
    let mut log = survey.key_log();
    if let Some(path) = &flags.keylog {
        let shown = path.display();
        let lines = file::text(path).map_err(|error| {
            format!("cannot read the key log {shown}: {error}", error = sockeye::net::words(&error))
        })?;
        if log.read(&lines) == 0 {
            return Err(format!(
                "the key log {shown} has no secrets: SSLKEYLOGFILE names the file to which curl, browsers and others write them"
            ));
        }
    }
    if !conversation.is_tls() {
        return Ok(conversation);
    }
    conversation.decrypted(&log).map_err(|why| format!("stream {id} of {name} cannot be read: {why}"))
}

fn written(
    name: &str,
    survey: &Survey,
    conversation: &Conversation,
    is_exact: bool,
    console: &Console,
) -> Result<(String, Exit), Exit> {
    let mut notes = conversation.notes.clone();
    match survey.end {
        End::Whole => {}
        End::Cut => notes.push("the capture ends in the middle of a packet: what came then is not in it".to_owned()),
        End::Broken(at) => notes.push(format!("the capture is broken at byte {at}: what comes behind is not read")),
    }
    if survey.uncounted > 0 {
        notes.push(format!("{} packets are of more conversations than 262,144, and are left out", survey.uncounted));
    }
    let text = finished(name, conversation, notes, is_exact, console)?;
    let is_cut = conversation.is_cut || survey.end != End::Whole || survey.uncounted > 0;
    Ok((text, if is_cut { Exit::CutShort } else { Exit::Done }))
}

/// The conversation that is meant.
fn chosen<'a>(name: &str, survey: &'a Survey, wanted: Option<StreamWanted>) -> Result<&'a Stream, String> {
    let spoken: Vec<&Stream> = survey.streams.iter().filter(|stream| stream.has_data()).collect();
    let Some(wanted) = wanted else {
        return match spoken[..] {
            [] => Err(format!("{name} has no conversation in which something is said: {}", what_else(survey))),
            [only] => Ok(only),
            _ => Err(list(&format!("{name} has {} conversations: say which one", spoken.len()), &spoken)),
        };
    };
    let has_tcp = survey.streams.iter().any(|stream| stream.id.protocol == Protocol::Tcp);
    let id = match wanted {
        StreamWanted::Named(id) => id,
        StreamWanted::Number(number) => {
            let protocol = if has_tcp { Protocol::Tcp } else { Protocol::Udp };
            StreamId { protocol, number }
        }
    };
    match survey.stream(id) {
        Some(stream) if stream.has_data() => Ok(stream),
        Some(stream) => Err(format!(
            "nothing is said in stream {id} of {name}: {} -> {}, {} packets",
            stream.client, stream.server, stream.packets
        )),
        None if spoken.is_empty() => Err(format!("{name} has no stream {id}: {}", what_else(survey))),
        None => Err(list(&format!("{name} has no stream {id}"), &spoken)),
    }
}

/// What to type for each conversation.
fn list(headline: &str, streams: &[&Stream]) -> String {
    let mut text = headline.to_owned();
    for stream in streams.iter().take(MOST_SHOWN) {
        let protocol = if stream.id.protocol == Protocol::Tcp { "TCP" } else { "UDP" };
        let _ = write!(
            text,
            "\n  --stream {:<8} {protocol} {} -> {}, {} packets, {} bytes from the client, {} from the server",
            stream.id.to_string(),
            stream.client,
            stream.server,
            stream.packets,
            stream.from_client,
            stream.from_server
        );
    }
    if let Some(more @ 1..) = streams.len().checked_sub(MOST_SHOWN) {
        let _ = write!(text, "\n  and {more} more; tshark -q -z conv,tcp -z conv,udp -r FILE lists all");
    }
    text
}

/// What a capture has that is no conversation.
fn what_else(survey: &Survey) -> String {
    if survey.packets == 0 {
        return "it has no packets".to_owned();
    }
    let links: Vec<String> = survey.unknown_links.iter().map(u16::to_string).collect();
    if !links.is_empty() {
        return format!(
            "links of type {} are not known; known are Ethernet, Linux cooked captures, loopback, PPP and raw IP",
            links.join(", ")
        );
    }
    let silent = match survey.streams.len() {
        1 => "1 connection".to_owned(),
        count => format!("{count} connections"),
    };
    format!("of {} packets {} are neither TCP nor UDP, and in {silent} nothing is said", survey.packets, survey.others)
}

/// The conversation with its client where the command line has it.
fn with_client(stream: &Stream, client: Option<&str>) -> Result<Stream, String> {
    let Some(client) = client else { return Ok(stream.clone()) };
    let is = |address: SocketAddr| {
        address.to_string() == client || address.ip().to_string() == client || address.port().to_string() == client
    };
    match (is(stream.client), is(stream.server)) {
        (true, false) => Ok(stream.clone()),
        (false, true) => Ok(Stream {
            client: stream.server,
            server: stream.client,
            from_client: stream.from_server,
            from_server: stream.from_client,
            ..stream.clone()
        }),
        (true, true) => {
            Err(format!("--client {client} is both of {} and {}: name the port too", stream.client, stream.server))
        }
        (false, false) => {
            Err(format!("--client {client} is neither of {} and {}, which talk there", stream.client, stream.server))
        }
    }
}
