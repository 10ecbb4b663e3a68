//! Downloads as another program has them: tried again, gone on with, over several connections, to a place of its own.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use sockeye::sink::Sink;
use sockeye::verb::fetch::download::{Download, Note, Outcome, Retry, Target, TransferErrorKind, Watcher};
use sockeye::verb::fetch::{ConnectionPool, FetchOptions, Head, Request, Url, Watch};

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
