use std::fs;
use std::time::{Duration, SystemTime};

use super::super::access::Lines;
use super::super::turn::Turn;
use super::*;
use crate::engine::served::AccessLog;
use crate::web::clock::Now;
use crate::web::field_list::FieldList;
use crate::web::options::{Archives, SiteOptions};
use crate::web::root::Root;
use crate::web::site::Site;

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;

/// A frame of one of these kinds (RFC 9113, section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, content: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(content.len()).unwrap().to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(content);
    frame
}

/// A method that stands in HPACK's table, a path, and whether that is all there is.
fn request(method: &[u8], path: &str, stream: u32, is_whole: bool) -> Vec<u8> {
    let mut fields = method.to_vec();
    fields.extend([0x86, 0x04, u8::try_from(path.len()).unwrap()]);
    fields.extend(path.as_bytes());
    fields.extend(b"\x41\x09localhost");
    frame(HEADERS, if is_whole { 5 } else { 4 }, stream, &fields)
}

const GET: &[u8] = &[0x82];
const PUT: &[u8] = b"\x42\x03PUT";

/// A connection, and a clock that the test moves.
struct Line {
    http2: Http2,
    date: Now,
    folder: tempfile::TempDir,
    /// What came of the last step.
    went: Option<ConnectionProgress>,
}

impl Line {
    /// The client takes so many bytes of an answer before it says more.
    fn open(window: u32) -> Self {
        Self::open_to(window, SiteOptions::default().with_upload())
    }

    fn open_to(window: u32, options: SiteOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("large"), vec![b'x'; 100_000]).unwrap();
        let site = Site::new(Root::open(folder.path()).unwrap(), options);
        let website = HttpService {
            site: Arc::new(site),
            is_secure: false,
            log: AccessLog::None,
            https: None,
            more_files: Arc::default(),
        };
        let http2 = Http2::new(Arc::new(website));
        let mut line = Self { http2, date: Now::new(SystemTime::now()), folder, went: None };
        let settings = [&[0, 4][..], &window.to_be_bytes()].concat();
        line.say(0, &[PREFACE, &frame(SETTINGS, 0, 0, &settings)].concat());
        line
    }

    /// What is answered to these bytes so many seconds after the beginning, as frames: kind, stream, content.
    fn say(&mut self, second: u64, bytes: &[u8]) -> Vec<(u8, u32, Vec<u8>)> {
        let mut lines = Lines::default();
        let mut out = Vec::new();
        let mut answering = AnswerContext {
            client: None,
            date: &self.date,
            now: at(second),
            wait: None,
            lines: &mut lines,
            turn: &mut Turn::begin(),
            stopping: false,
            storing: None,
            fields: &mut FieldList::default(),
        };
        self.went = Some(self.http2.step(bytes, &mut out, &mut answering));
        let (mut frames, mut rest) = (Vec::new(), out.as_slice());
        while let [a, b, c, kind, _, s @ ..] = rest {
            let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
            frames.push((*kind, u32::from_be_bytes(s[..4].try_into().unwrap()), s[4..4 + length].to_vec()));
            rest = &s[4 + length..];
        }
        frames
    }

    fn deadline(&self, second: u64) -> Moment {
        self.http2.deadline(None, at(second)).unwrap()
    }
}

fn at(second: u64) -> Moment {
    Moment::default().after(Duration::from_secs(second))
}

fn ping() -> Vec<u8> {
    frame(PING, 0, 0, b"12345678")
}

fn resets(frames: &[(u8, u32, Vec<u8>)]) -> Vec<u32> {
    frames.iter().filter(|(kind, ..)| *kind == RST_STREAM).map(|(_, stream, _)| *stream).collect()
}

/// Row 8 of the faults: 128 open files a connection are many.
#[test]
fn an_answer_that_nobody_takes_is_given_up_whatever_else_the_client_says() {
    let mut line = Line::open(10);
    line.say(0, &[request(GET, "/large", 1, true), request(GET, "/large", 3, true)].concat());
    assert_eq!(line.deadline(0), at(60));
    assert_eq!(resets(&line.say(30, &ping())), [0; 0]);
    assert_eq!(line.deadline(30), at(60), "a PING gains nothing");
    // One of them is taken on with.
    line.say(50, &frame(WINDOW_UPDATE, 0, 3, &10_u32.to_be_bytes()));
    assert_eq!(resets(&line.say(60, b"")), [1]);
    assert_eq!(line.deadline(60), at(110));
    assert_eq!(resets(&line.say(110, &ping())), [3]);
    assert!(line.http2.is_idle());
}

fn answers(frames: &[(u8, u32, Vec<u8>)]) -> Vec<u32> {
    frames.iter().filter(|(kind, ..)| *kind == HEADERS).map(|(_, stream, _)| *stream).collect()
}

/// Row 6 of the faults: 128 open files, or as many pages of a large folder, are more than one client may hold.
#[test]
fn answers_that_nobody_takes_keep_others_of_their_connection_waiting() {
    let mut line = Line::open(10);
    let first: Vec<u32> = (0..limits::STREAM_FILES as u32).map(|at| 2 * at + 1).collect();
    let next = 2 * limits::STREAM_FILES as u32 + 1;
    let asked: Vec<u8> = first.iter().flat_map(|&stream| request(GET, "/large", stream, true)).collect();
    assert_eq!(answers(&line.say(0, &asked)), first);
    let asked: Vec<u8> =
        [next, next + 2, next + 4, next + 6].into_iter().flat_map(|at| request(GET, "/large", at, true)).collect();
    assert_eq!(answers(&line.say(1, &asked)), [0; 0]);
    // One gives up, another is taken back before its turn.
    let said = [frame(RST_STREAM, 0, next, &[0, 0, 0, 8]), frame(RST_STREAM, 0, 1, &[0, 0, 0, 8])].concat();
    assert_eq!(answers(&line.say(2, &said)), [next + 2]);
    // Another is taken to its end.
    assert_eq!(line.deadline(3), at(60));
    let window = [
        frame(WINDOW_UPDATE, 0, 3, &200_000_u32.to_be_bytes()),
        frame(WINDOW_UPDATE, 0, 0, &200_000_u32.to_be_bytes()),
    ]
    .concat();
    assert_eq!(answers(&line.say(4, &window)), [next + 4]);
    // The others are given up in time.
    let said = line.say(60, b"");
    assert_eq!((answers(&said), resets(&said).len()), (vec![next + 6], limits::STREAM_FILES - 2));
    assert_eq!(line.deadline(60), at(62));
}

#[test]
fn a_large_page_is_made_only_when_the_one_before_it_was_taken() {
    let mut line = Line::open(10);
    for name in 0..4000 {
        fs::write(line.folder.path().join(format!("{name:0200}")), "").unwrap();
    }
    let asked: Vec<u8> = (0..10).flat_map(|at| request(GET, "/", 2 * at + 1, true)).collect();
    assert_eq!(answers(&line.say(0, &asked)), [1], "it is larger than all that may be made");
    assert_eq!(answers(&line.say(1, &frame(RST_STREAM, 0, 1, &[0, 0, 0, 8]))), [3]);
    assert_eq!(answers(&line.say(60, b"")), [0; 0]);
    assert_eq!(answers(&line.say(61, b"")), [5]);
}

/// A window that opens and shuts in one breath is none.
#[test]
fn opening_and_shutting_a_window_gains_nothing() {
    let mut line = Line::open(0);
    line.say(0, &request(GET, "/large", 1, true));
    let window = |bytes: u32| frame(SETTINGS, 0, 0, &[&[0, 4][..], &bytes.to_be_bytes()].concat());
    let said = line.say(30, &[window(10), window(0)].concat());
    assert!(said.iter().all(|(kind, ..)| *kind != 0), "{said:?}");
    assert_eq!(line.deadline(30), at(60));
}

/// Row 6 of the faults, the slow body.
#[test]
fn content_that_drips_is_answered_with_408() {
    let mut line = Line::open(65_535);
    line.say(0, &request(PUT, "/new", 1, false));
    assert_eq!(line.deadline(0), at(10));
    assert!(line.say(5, &frame(0, 0, 1, &[b'x'; 16_384])).iter().all(|(kind, ..)| *kind != HEADERS));
    assert_eq!(line.deadline(5), at(15), "a good piece of it begins the time anew");
    line.say(9, &frame(0, 0, 1, b"x"));
    assert_eq!(line.deadline(9), at(15), "a byte does not");
    let said = line.say(15, &frame(0, 0, 1, b"x"));
    let page = said.iter().find(|(kind, ..)| *kind == 0).map(|(.., page)| String::from_utf8_lossy(page).into_owned());
    assert!(page.is_some_and(|page| page.contains("408 Request Timeout")), "{said:?}");
    // It may take some time until the client sees that.
    assert_eq!((resets(&said), line.deadline(15)), (vec![], at(20)));
    assert_eq!(resets(&line.say(16, &frame(0, 0, 1, b"x"))), [0; 0]);
    assert_eq!(resets(&line.say(20, b"")), [1], "the rest need not come");
    assert!(line.http2.is_idle());
}

/// What is refused is passed over within bounds: of bytes, behind which no more is let in, and of time.
#[test]
fn refused_content_is_let_in_up_to_a_bound() {
    let mut line = Line::open(65_535);
    let mut all = line.say(0, &request(PUT, "/.kept", 1, false));
    // Of what the server allows, no word was heard.
    let mut window = 65_535;
    let mut sent = 0;
    while window >= 16_384 {
        let said = line.say(1, &frame(0, 0, 1, &[b'x'; 16_384]));
        (sent, window) = (sent + 16_384, window - 16_384);
        for (kind, stream, content) in &said {
            if (*kind, *stream) == (WINDOW_UPDATE, 1) {
                window += u64::from(u32::from_be_bytes(content[..4].try_into().unwrap()));
            }
        }
        all.extend(said);
    }
    assert!((limits::DRAIN..limits::DRAIN + 2 * u64::from(limits::STREAM_WINDOW)).contains(&sent), "{sent}");
    assert_eq!((answers(&all), resets(&all), line.deadline(1)), (vec![1], vec![], at(5)));
    assert_eq!(resets(&line.say(4, &ping())), [0; 0]);
    assert_eq!(resets(&line.say(5, &ping())), [1]);
    // Another one goes on beside it meanwhile, and what it had taken of the common window is given back.
    let whole = [request(PUT, "/new", 3, false), frame(0, 1, 3, b"content")].concat();
    assert_eq!(answers(&line.say(6, &whole)), [3]);
}

/// One step passes over so many names as there are in a turn; what comes of them may be nothing for long.
#[test]
fn a_folder_of_very_many_hidden_names_is_packed_in_turns() {
    let mut line = Line::open_to(1 << 20, SiteOptions { archives: Archives::Sent, ..SiteOptions::default() });
    fs::write(line.folder.path().join("large"), "not so large").unwrap();
    for name in 0..60_000 {
        fs::File::create(line.folder.path().join(format!(".{name}"))).unwrap();
    }
    for (query, stream) in [("/?zip", 1), ("/?tar", 3)] {
        let mut all = line.say(0, &request(GET, query, stream, true));
        let mut turns = 0;
        while line.went == Some(ConnectionProgress::More) {
            turns += 1;
            all.extend(line.say(0, b""));
        }
        assert!(turns >= 2, "{query}: {turns}");
        let packed: Vec<u8> =
            all.into_iter().filter(|(kind, ..)| *kind == 0).flat_map(|(.., content)| content).collect();
        assert!(memchr::memmem::find(&packed, b"/large").is_some());
        assert!(line.http2.is_idle());
    }
}

/// Two that make nothing of a piece go on beside each other as each does alone: neither waits for a word of the client.
#[test]
fn two_folders_of_very_many_hidden_names_are_packed_beside_each_other() {
    let mut line = Line::open_to(1 << 20, SiteOptions { archives: Archives::Sent, ..SiteOptions::default() });
    fs::write(line.folder.path().join("large"), "not so large").unwrap();
    for name in 0..20_000 {
        fs::File::create(line.folder.path().join(format!(".{name}"))).unwrap();
    }
    line.say(0, &[request(GET, "/?tar", 1, true), request(GET, "/?tar", 3, true)].concat());
    while line.went == Some(ConnectionProgress::More) {
        line.say(0, b"");
    }
    assert!(line.http2.is_idle(), "they wait for something that nobody says");
}

/// An archive holds its folder open however little of it is in memory.
#[test]
fn archives_that_nobody_takes_count_as_open_files() {
    let mut line = Line::open_to(10, SiteOptions { archives: Archives::Sent, ..SiteOptions::default() });
    let most = limits::STREAM_FILES as u32;
    let asked: Vec<u8> = (0..most + 3).flat_map(|at| request(GET, "/?tar", 2 * at + 1, true)).collect();
    let first: Vec<u32> = (0..most).map(|at| 2 * at + 1).collect();
    assert_eq!(answers(&line.say(0, &asked)), first);
    // A request that is taken back makes room for one more.
    assert_eq!(answers(&line.say(1, &frame(RST_STREAM, 0, 1, &[0, 0, 0, 8]))), [2 * most + 1]);
}

/// Row 6 of the faults, the slow head.
#[test]
fn a_connection_without_a_request_ends_whatever_else_the_client_says() {
    let mut line = Line::open(65_535);
    assert_eq!(line.deadline(0), at(10));
    line.say(5, &ping());
    line.say(6, &frame(HEADERS, 0, 1, &[0x82]));
    line.say(7, &frame(9, 0, 1, &[0x86]));
    assert_eq!(line.deadline(7), at(10), "a head that does not end is none");
    let mut line = Line::open(65_535);
    line.say(5, &request(GET, "/nothing", 1, true));
    assert_eq!(line.deadline(5), at(65));
    line.say(30, &ping());
    assert_eq!(line.deadline(30), at(65));
}
