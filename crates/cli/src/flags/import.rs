//! The flags of `import`.
#![allow(rustdoc::broken_intra_doc_links, reason = "these comments are the help text, where [C] is a label")]

use std::path::PathBuf;

use clap::Args;
use sockeye::capture::{Protocol, StreamId};

#[derive(Debug, Args)]
#[command(
    after_help = "FILE is a page of text, or a capture as tcpdump and Wireshark write it (.pcap, .pcapng): how it begins tells.\n\n\
    Pages: it knows margins, padding, page breaks, C: and S:, [C] and [S], C->S: with unmarked lines under it, RFC 821's S: and R:, \
    two labels that take turns, folded lines, and directions such as <open connection>. What it guesses is a comment in the \
    transcript and a warning.\n\n\
    Captures: one conversation over TCP or UDP becomes a transcript that says the same bytes. --stream says which, by the numbers of \
    Wireshark; without it a capture of several is listed. What is missing is a comment in its place, a warning, and exit code 18.\n\
    Dates, ids and digests become holes with what they were as defaults; --exact keeps them as they are."
)]
pub(crate) struct Import {
    /// A page of text or a capture; `-` is standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Write the transcript there
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Which conversation of a capture; N is Wireshark's tcp.stream, udp:N its udp.stream; in a capture without TCP, N is udp.stream
    #[arg(long, value_name = "N", value_parser = stream)]
    pub(crate) stream: Option<StreamWanted>,
    /// Secrets of TLS sessions in a capture, as SSLKEYLOGFILE has programs write them; those in the capture itself are used too
    #[arg(long, value_name = "FILE")]
    pub(crate) keylog: Option<PathBuf>,
    /// Make no holes of dates, ids and digests, which are likely to be others the next time
    #[arg(long)]
    pub(crate) exact: bool,
    /// FILE is an HTTP archive, as browsers write it (.har); --stream takes one of several servers in it
    #[arg(long, conflicts_with_all = ["keylog", "client", "session", "starttls"])]
    pub(crate) har: bool,
    /// Which session of a page, if it has several [default: 1]
    #[arg(long, value_name = "N", conflicts_with = "stream")]
    pub(crate) session: Option<usize>,
    /// Who is the client; of a page, what stands before its lines, as the `A` of `A:`. Of a capture, its address, host or port
    #[arg(long, value_name = "NAME")]
    pub(crate) client: Option<String>,
    /// Make `starttls` of a direction to negotiate TLS in a page, which is a comment otherwise
    #[arg(long)]
    pub(crate) starttls: bool,
}

/// What `--stream` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StreamWanted {
    /// A bare number: of TCP, or of UDP where there is no TCP.
    Number(u32),
    Named(StreamId),
}

fn stream(text: &str) -> Result<StreamWanted, String> {
    let wrong = || "write its number: 0, or udp:0".to_owned();
    let number = |digits: &str| digits.parse::<u32>().map_err(|_| wrong());
    match text.split_once([':', ' ']) {
        None => number(text).map(StreamWanted::Number),
        Some((name, digits)) => {
            let protocol = match name.to_ascii_lowercase().as_str() {
                "tcp" => Protocol::Tcp,
                "udp" => Protocol::Udp,
                _ => return Err(wrong()),
            };
            Ok(StreamWanted::Named(StreamId { protocol, number: number(digits.trim_start())? }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_named_as_wireshark_does() {
        let of = |protocol, number| Ok(StreamWanted::Named(StreamId { protocol, number }));
        assert_eq!(stream("7"), Ok(StreamWanted::Number(7)));
        assert_eq!(stream("tcp:7"), of(Protocol::Tcp, 7));
        assert_eq!(stream("udp:0"), of(Protocol::Udp, 0));
        assert_eq!(stream("UDP 12"), of(Protocol::Udp, 12));
        for wrong in ["", "-1", "sctp:1", "udp:", "4294967296", "1:2"] {
            assert!(stream(wrong).is_err(), "{wrong}");
        }
    }
}
