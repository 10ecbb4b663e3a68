//! Downloads as another program has them: tried again, gone on with, over several connections, to a place of its own.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use sockeye::sink::Sink;
use sockeye::verb::fetch::batch::{Batch, BatchJob};
use sockeye::verb::fetch::download::{
    Condition, Download, Note, Outcome, Retry, Target, TransferError, TransferErrorKind, Watcher,
};
use sockeye::verb::fetch::{Answer as FetchAnswer, ConnectionPool, FetchOptions, Head, Request, Url, Watch};

/// What a server gives for the lines of a request's head, on each connection in turn.
type Answer = Box<dyn Fn(&[String], &mut TcpStream) -> io::Result<()> + Send + Sync>;

/// Answers one request a connection, as long as there are answers; the last one stays.
fn serve(answers: Vec<Answer>) -> (SocketAddr, Arc<Mutex<Vec<Vec<String>>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (heard, answers) = (Arc::clone(&asked), Arc::new(answers));
    thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let (mut stream, heard, answers) = (stream.unwrap(), Arc::clone(&heard), Arc::clone(&answers));
            thread::spawn(move || {
                let lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let head: Vec<String> = lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
                heard.lock().unwrap().push(head.clone());
                // A client that has enough of it leaves.
                let _ = answers[number.min(answers.len() - 1)](&head, &mut stream);
            });
        }
    });
    (address, asked)
}

fn text(answer: &'static str) -> Answer {
    Box::new(move |_, stream| stream.write_all(answer.as_bytes()))
}

fn run(download: &Download) -> Result<Outcome, TransferError> {
    download.run(&FetchOptions::default(), &ConnectionPool::default(), &mut ())
}

fn request(address: SocketAddr) -> Request {
    Request::get(Url::parse(&format!("http://{address}/file")).unwrap())
}

fn field<'a>(head: &'a [String], name: &str) -> Option<&'a str> {
    let fields = head.iter().filter_map(|line| line.split_once(": "));
    fields.into_iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// Remembers what it is told, and takes a body into memory.
#[derive(Default)]
struct Heard {
    notes: Vec<String>,
    body: Vec<u8>,
}

impl Watch for Heard {}

impl Watcher for Heard {
    fn note(&mut self, _: Option<&Url>, note: &Note) {
        self.notes.push(note.to_string());
    }

    fn output(&mut self, _: &Head, take: &mut dyn FnMut(&mut Sink<'_>)) -> io::Result<()> {
        take(&mut Sink::Writer(&mut self.body));
        Ok(())
    }
}

#[test]
fn a_server_that_is_busy_is_asked_again_as_often_as_allowed() {
    let busy = "HTTP/1.1 503 Busy\r\nRetry-After: 0\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let whole = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
    let (address, asked) = serve(vec![text(busy), text(busy), text(whole)]);
    let mut heard = Heard::default();
    let download = Download { retry: Retry::times(2), ..Download::new(request(address), Target::Output) };
    let outcome = download.run(&FetchOptions::default(), &ConnectionPool::default(), &mut heard).unwrap();
    assert_eq!((outcome, heard.body.as_slice()), (Outcome::Saved, &b"hello"[..]));
    assert_eq!(asked.lock().unwrap().len(), 3);
    assert!(heard.notes[1].ends_with("again in 0.0 s, 2 of 2"), "{:?}", heard.notes);
    // Not allowed, it is an error, and nothing is saved.
    let (address, _) = serve(vec![text(busy)]);
    let folder = tempfile::tempdir().unwrap();
    let target = Target::File { path: folder.path().join("file"), replace: false };
    let error =
        Download::new(request(address), target).run(&FetchOptions::default(), &ConnectionPool::default(), &mut ());
    assert!(matches!(error.unwrap_err().kind, TransferErrorKind::Status));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn what_was_cut_is_gone_on_with_if_it_is_still_the_same() {
    const HEAD: &str = "HTTP/1.1 200 OK\r\nETag: \"1\"\r\nContent-Length: 10\r\nConnection: close\r\n\r\n";
    let rest: Answer = Box::new(|head, stream| {
        assert_eq!((field(head, "range"), field(head, "if-range")), (Some("bytes=4-"), Some("\"1\"")));
        let head = "HTTP/1.1 206 Part\r\nETag: \"1\"\r\nContent-Range: bytes 4-9/10\r\nContent-Length: 6\r\n\r\n";
        stream.write_all(format!("{head}456789").as_bytes())
    });
    let cut: Answer = Box::new(|_, stream| stream.write_all(format!("{HEAD}0123").as_bytes()));
    let (address, _) = serve(vec![cut, rest]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let target = Target::Resumable { path: path.clone(), replace: false };
    let download = Download::new(request(address), target);
    let run = || download.run(&FetchOptions::default(), &ConnectionPool::default(), &mut ());
    let error = run().unwrap_err().to_string();
    assert!(error.contains("4 bytes of the body came of 10") && error.ends_with("file.part"), "{error}");
    assert_eq!(run().unwrap(), Outcome::Saved);
    assert_eq!(std::fs::read(&path).unwrap(), b"0123456789");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_large_file_comes_over_several_connections_and_has_its_digest() {
    let content: Vec<u8> = (0..4 << 20).map(|at: u32| (at % 251) as u8).collect();
    let body = content.clone();
    let ranges: Answer = Box::new(move |head, stream| {
        let range = field(head, "range").and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
        let last = body.len() - 1;
        let (first, last) = range.map_or((0, last), |(first, last)| (first.parse().unwrap(), last.parse().unwrap()));
        let status = if range.is_some() { "206 Part" } else { "200 OK" };
        let part = &body[first..=last];
        write!(
            stream,
            "HTTP/1.1 {status}\r\nETag: \"1\"\r\nAccept-Ranges: bytes\r\nContent-Length: {}\r\n\
             Content-Range: bytes {first}-{last}/{}\r\n\r\n",
            part.len(),
            body.len()
        )?;
        stream.write_all(part)
    });
    let (address, asked) = serve(vec![ranges]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let target = Target::File { path: path.clone(), replace: false };
    let progress = vec![Arc::default(), Arc::default(), Arc::default()];
    let download = Download { progress, ..Download::new(request(address), target.clone()) };
    download.run(&FetchOptions::default(), &ConnectionPool::default(), &mut ()).unwrap();
    assert!(std::fs::read(&path).unwrap() == content);
    assert_eq!(asked.lock().unwrap().len(), 3);
    // Another digest than this file has.
    std::fs::remove_file(&path).unwrap();
    let download = Download { sha256: Some("00".repeat(32)), ..Download::new(request(address), target) };
    let error = download.run(&FetchOptions::default(), &ConnectionPool::default(), &mut ()).unwrap_err();
    assert!(matches!(error.kind, TransferErrorKind::Differs), "{error}");
    assert!(!path.exists());
}

/// The server has version 2, of a time; whoever has it already is told so.
fn versioned() -> Answer {
    Box::new(|head, stream| {
        const FIELDS: &str = "ETag: \"2\"\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\nConnection: close\r\n";
        let is_same = match field(head, "if-none-match") {
            Some(tag) => tag == "\"2\"",
            None => field(head, "if-modified-since") == Some("Sun, 06 Nov 1994 08:49:37 GMT"),
        };
        match is_same {
            true => write!(stream, "HTTP/1.1 304 Not Modified\r\n{FIELDS}\r\n"),
            false => write!(stream, "HTTP/1.1 200 OK\r\n{FIELDS}Content-Length: 3\r\n\r\ntwo"),
        }
    })
}

#[test]
fn what_has_not_changed_is_not_sent_again() {
    let (address, asked) = serve(vec![versioned()]);
    let folder = tempfile::tempdir().unwrap();
    let (path, tag_file) = (folder.path().join("file"), folder.path().join("tag"));
    let with = |condition: Condition| Download {
        condition,
        ..Download::new(request(address), Target::File { path: path.clone(), replace: true })
    };
    let last = || asked.lock().unwrap().last().unwrap().clone();
    let conditions = |head: &[String]| {
        let named = |name| field(head, name).map(str::to_owned);
        (named("if-modified-since"), named("if-none-match"))
    };
    let by_time = with(Condition { if_newer: true, ..Condition::default() });
    let by_tag = with(Condition { tag_file: Some(tag_file.clone()), ..Condition::default() });
    // No file, no condition; the file gets the time that the server says.
    assert_eq!(run(&by_time).unwrap(), Outcome::Saved);
    assert_eq!(conditions(&last()), (None, None));
    assert_eq!(run(&by_time).unwrap(), Outcome::NotChanged);
    assert_eq!(conditions(&last()), (Some("Sun, 06 Nov 1994 08:49:37 GMT".to_owned()), None));
    // No tag was kept yet, then the one that came is.
    assert_eq!(run(&by_tag).unwrap(), Outcome::Saved);
    assert_eq!(std::fs::read_to_string(&tag_file).unwrap(), "\"2\"\n");
    assert_eq!(run(&by_tag).unwrap(), Outcome::NotChanged);
    assert_eq!(conditions(&last()), (None, Some("\"2\"".to_owned())));
    std::fs::write(&tag_file, "\"1\"").unwrap();
    std::fs::write(&path, "one").unwrap();
    assert_eq!(run(&by_tag).unwrap(), Outcome::Saved);
    assert_eq!(std::fs::read(&path).unwrap(), b"two");
    // Without a condition nothing is said of the file, and no tag is read or kept.
    std::fs::write(&tag_file, "\"1\"").unwrap();
    assert_eq!(run(&with(Condition::default())).unwrap(), Outcome::Saved);
    assert_eq!(conditions(&last()), (None, None));
    assert_eq!(std::fs::read_to_string(&tag_file).unwrap(), "\"1\"");
    // What would be asked is known without asking. Another file may be the one that counts.
    let before = asked.lock().unwrap().len();
    let other = Condition { file: Some(folder.path().join("none")), ..by_tag.condition.clone() };
    let preview = |download: &Download| download.preview(&FetchOptions::default(), &mut ()).unwrap().unwrap();
    assert!(preview(&by_tag).contains("if-none-match: \"1\""), "{}", preview(&by_tag));
    assert!(!preview(&with(other)).contains("if-none-match"));
    assert_eq!(asked.lock().unwrap().len(), before);
}

#[test]
fn a_tag_that_cannot_be_read_or_kept_is_a_failure_of_its_kind() {
    let (address, asked) = serve(vec![versioned()]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, "one").unwrap();
    let with = |tag_file: &str| Download {
        condition: Condition { tag_file: Some(folder.path().join(tag_file)), ..Condition::default() },
        // However often it is tried, it stays what it is.
        retry: Retry { times: 3, all: true },
        ..Download::new(request(address), Target::File { path: path.clone(), replace: true })
    };
    let error = run(&with(".")).unwrap_err();
    assert!(matches!(error.kind, TransferErrorKind::Input), "{error}");
    assert!(asked.lock().unwrap().is_empty());
    let error = run(&with("none/tag")).unwrap_err();
    assert!(matches!(error.kind, TransferErrorKind::Output), "{error}");
    assert!(error.to_string().starts_with("the tag is not kept: "), "{error}");
    assert_eq!((asked.lock().unwrap().len(), std::fs::read(&path).unwrap()), (1, b"two".to_vec()));
}

/// Names the place only when it has the answer.
struct Naming(Target, Heard);

impl Watch for Naming {}

impl Watcher for Naming {
    fn named(&mut self, _: &FetchAnswer) -> Result<Option<Target>, TransferError> {
        Ok(Some(self.0.clone()))
    }

    fn note(&mut self, at: Option<&Url>, note: &Note) {
        self.1.note(at, note);
    }
}

#[test]
fn a_file_that_is_there_is_left_alone_and_a_folder_is_made() {
    let (address, asked) = serve(vec![versioned()]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/file");
    let target = Target::at(path.clone(), false);
    let download = Download { skip_existing: true, ..Download::new(request(address), target.clone()) };
    assert!(matches!(run(&download).unwrap_err().kind, TransferErrorKind::Output));
    let download = Download { makes_folder: true, ..download };
    assert_eq!(run(&download).unwrap(), Outcome::Saved);
    std::fs::write(&path, "mine").unwrap();
    let before = asked.lock().unwrap().len();
    let mut heard = Heard::default();
    let options = FetchOptions::default();
    assert_eq!(download.run(&options, &ConnectionPool::default(), &mut heard).unwrap(), Outcome::Occupied);
    assert_eq!(download.preview(&options, &mut heard).unwrap(), None);
    assert_eq!(asked.lock().unwrap().len(), before);
    // The same where only the answer tells the name.
    let mut naming = Naming(target, heard);
    let named = Download { target: Target::Named, ..download };
    assert_eq!(named.run(&options, &ConnectionPool::default(), &mut naming).unwrap(), Outcome::Occupied);
    assert_eq!(asked.lock().unwrap().len(), before + 1);
    let note = format!("{} is there already", path.display());
    assert_eq!((naming.1.notes, std::fs::read(&path).unwrap()), (vec![note; 3], b"mine".to_vec()));
}

#[test]
fn what_stands_at_a_path_decides_whether_a_body_becomes_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    assert_eq!(Target::at(path.clone(), true), Target::File { path: path.clone(), replace: true });
    std::fs::write(&path, "").unwrap();
    assert_eq!(Target::at(path.clone(), false).file(), Some(path.as_path()));
    let pipe = folder.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    for device in [pipe, "/dev/null".into()] {
        assert_eq!(Target::at(device.clone(), false), Target::Device(device));
    }
}

/// One of a list: what is asked for, if anything can be, and what came of it.
struct Job<'a>(Result<Download, &'static str>, &'a Mutex<Vec<String>>);

impl BatchJob for Job<'_> {
    fn watcher(&self) -> Box<dyn Watcher + '_> {
        self.1.lock().unwrap().push("begins".to_owned());
        Box::new(())
    }

    fn download(&self) -> Result<Download, TransferError> {
        self.0.clone().map_err(|why| TransferError::new(TransferErrorKind::Input, why))
    }

    fn ended(&self, result: &Result<Outcome, TransferError>) {
        self.1.lock().unwrap().push(result.as_ref().map_or_else(ToString::to_string, |outcome| format!("{outcome:?}")));
    }
}

#[test]
fn of_several_downloads_one_that_fails_holds_no_other_up() {
    let whole: Answer = Box::new(|head, stream| {
        let path = head[0].split(' ').nth(1).unwrap();
        let status = if path == "/gone" { "404 Gone" } else { "200 OK" };
        write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{path}", path.len())
    });
    let (address, asked) = serve(vec![whole]);
    for concurrency in [0, 1, 3, 100] {
        let folder = tempfile::tempdir().unwrap();
        let to = |path: &str| {
            let url = Url::parse(&format!("http://{address}/{path}")).unwrap();
            Ok(Download::new(Request::get(url), Target::at(folder.path().join(path), false)))
        };
        let told = Mutex::new(Vec::new());
        let list = [to("a"), Err("no such upload"), to("gone"), to("b")];
        let jobs: Vec<Job<'_>> = list.into_iter().map(|download| Job(download, &told)).collect();
        let before = asked.lock().unwrap().len();
        let done = Batch { concurrency }.run(&jobs, &FetchOptions::default());
        done.stored.as_ref().unwrap();
        let shown: Vec<String> = done.results.iter().map(|result| format!("{:?}", result.as_ref().ok())).collect();
        assert_eq!(shown, ["Some(Saved)", "None", "None", "Some(Saved)"], "{concurrency}");
        let (index, error) = done.first_failure().unwrap();
        assert_eq!((index, error.to_string().as_str()), (1, "no such upload"));
        assert!(matches!(done.results[2].as_ref().unwrap_err().kind, TransferErrorKind::Status));
        for path in ["a", "b"] {
            assert_eq!(std::fs::read_to_string(folder.path().join(path)).unwrap(), format!("/{path}"));
        }
        assert_eq!((asked.lock().unwrap().len(), std::fs::read_dir(folder.path()).unwrap().count()), (before + 3, 2));
        let told = told.into_inner().unwrap();
        assert_eq!(told.len(), 8);
        if concurrency < 2 {
            assert!(told.iter().step_by(2).all(|told| told == "begins"), "{told:?}");
        }
    }
    let none: [Download; 0] = [];
    let done = Batch::default().run(&none, &FetchOptions::default());
    assert!(done.results.is_empty() && done.first_failure().is_none() && done.stored.is_ok());
}
