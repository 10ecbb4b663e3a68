//! Batches of lines, and clients that never pause: the answers are those of one line at a time, and no client starves.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use support::greeter::*;
use support::*;

/// Names and endings that stand for all: empty and long ones, those around the sizes of words and chunks, almost `exit`.
fn names(count: usize) -> Vec<(Vec<u8>, &'static [u8])> {
    let special: [&[u8]; 10] =
        [b"", b"exi", b"exit ", b" exit", b"EXIT", b"exitexit", b"M\xfcller", b"{name}", b"a\rb", b"\0"];
    let mut state = 1_u32;
    let mut next = move |below: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % below
    };
    (0..count)
        .map(|number| {
            let name = match next(8) {
                0 => special[next(special.len())].to_vec(),
                1 => vec![b'x'; next(70)],
                2 if number % 50 == 0 => vec![b'l'; 1000 + next(3000)],
                _ => format!("client {number}").into_bytes(),
            };
            (name, if next(2) == 0 { &b"\n"[..] } else { b"\r\n" })
        })
        .collect()
}

/// What goes in, with more behind `exit`, and what the answers are, one at a time.
fn batch(names: &[(Vec<u8>, &[u8])]) -> (Vec<u8>, Vec<u8>) {
    let (mut input, mut answers) = (Vec::new(), b"Welcome!\n".to_vec());
    for (name, ending) in names {
        input.extend_from_slice(&[name, *ending].concat());
        answers.extend_from_slice(&[b"Hello, ", &name[..], b"!", ending].concat());
    }
    input.extend_from_slice(b"exit\nnobody\r\nhears this");
    (input, answers)
}

/// Sends pieces, each as it is, and reads meanwhile to the end.
fn converse<'a>(server: &Server, pieces: impl Iterator<Item = &'a [u8]> + Send) -> Vec<u8> {
    let mut client = server.connect();
    client.set_nodelay(true).unwrap();
    let mut writer = client.try_clone().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || pieces.for_each(|piece| writer.write_all(piece).unwrap()));
        to_end(&mut client)
    })
}

/// Wherever the reads fall, the answers are those that one at a time would give, byte for byte.
#[test]
fn batches_get_the_answers_of_one_at_a_time_wherever_the_reads_fall() {
    let (server, _folder) = serve(PATIENT, &["-q"]);
    let (input, answers) = batch(&names(400));
    let after_cr = input.split_inclusive(|&byte| byte == b'\r');
    assert!(converse(&server, after_cr) == answers, "cut between CR and LF");
    for size in [1, 2, 3, 7, 64, 1000] {
        assert!(converse(&server, input.chunks(size)) == answers, "{size} at a time");
    }
    let (input, answers) = batch(&names(60_000));
    for size in [4093, 65_535, 65_536, 65_537, input.len()] {
        assert!(converse(&server, input.chunks(size)) == answers, "{size} at a time");
    }
    // Pieces of every size, and lines that all become longer than they were.
    let mut rest = &input[..];
    let mut sizes = (1..3000_usize).cycle();
    let pieces = std::iter::from_fn(|| {
        let (piece, behind) = rest.split_at_checked(sizes.next().unwrap()).unwrap_or((rest, &[]));
        rest = behind;
        (!piece.is_empty()).then_some(piece)
    });
    assert!(converse(&server, pieces) == answers, "random pieces");
    let (input, answers) = batch(&vec![(Vec::new(), &b"\n"[..]); 300_000]);
    assert!(converse(&server, input.chunks(1 << 16)) == answers, "empty names");
}

/// The same in lockstep: each piece is answered before the next one goes out, so that a read ends where the piece does.
#[test]
fn a_batch_that_ends_inside_a_line_is_answered_up_to_there() {
    let (server, _folder) = serve(PATIENT, &["-q"]);
    let (input, answers) = batch(&names(60));
    let until = input.windows(5).rposition(|five| five == b"exit\n").unwrap();
    // Every line but the last is whole when its LF has come: what is due then is known at each cut.
    let due = |cut: usize| {
        let lines = input[..cut].iter().filter(|&&byte| byte == b'\n').count();
        let ends = answers.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
        ends.into_iter().nth(lines).unwrap()
    };
    for step in [1, 5, 11, 97] {
        let mut client = server.connect();
        client.set_nodelay(true).unwrap();
        let (mut cut, mut got) = (0, 0);
        for piece in input[..until].chunks(step) {
            client.write_all(piece).unwrap();
            cut += piece.len();
            let now = due(cut);
            assert!(read(&mut client, now - got) == answers[got..now], "{step} at a time, up to {cut}");
            got = now;
        }
        client.write_all(&input[until..]).unwrap();
        assert_eq!(to_end(&mut client), b"");
    }
}

/// A client that is kept busy from a thread of its own until it is dropped.
struct Busy {
    socket: TcpStream,
    heard: Arc<AtomicU64>,
}

impl Busy {
    /// Reads as fast as it can, and says these bytes without end.
    fn start(mut socket: TcpStream, batch: Vec<u8>) -> Self {
        let heard = Arc::new(AtomicU64::new(0));
        let (count, mut reader) = (Arc::clone(&heard), socket.try_clone().unwrap());
        std::thread::spawn(move || {
            let mut buffer = vec![0; 1 << 18];
            while let Ok(length @ 1..) = reader.read(&mut buffer) {
                count.fetch_add(length as u64, Ordering::Relaxed);
            }
        });
        let kept = socket.try_clone().unwrap();
        std::thread::spawn(move || while !batch.is_empty() && socket.write_all(&batch).is_ok() {});
        Self { socket: kept, heard }
    }

    /// Waits until so much more was heard.
    fn wait_for_more(&self, bytes: u64) {
        let from = self.heard.load(Ordering::Relaxed);
        until("more for the busy one", || self.heard.load(Ordering::Relaxed) >= from + bytes);
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

/// Rounds 1 to 50 for one client while others are served without a pause. A client that starves waits for ever.
fn fifty_answers(server: &Server, busy: &[Busy]) {
    busy.iter().for_each(|busy| busy.wait_for_more(1 << 20));
    let mut client = server.welcomed();
    for round in 0..50 {
        greet(&mut client, &format!("round {round}"));
    }
    busy.iter().for_each(|busy| busy.wait_for_more(1 << 20));
}

#[test]
fn clients_that_pipeline_without_end_keep_nobody_waiting() {
    let (server, _folder) = serve(PATIENT, &["-q"]);
    let busy =
        [&b"\n"[..], b"Michael\r\n"].map(|name| Busy::start(server.welcomed(), name.repeat((1 << 20) / name.len())));
    fifty_answers(&server, &busy);
    // A stop is heard among them, too; between two rounds there is nothing to wait for.
    let mut server = server;
    server.signal("INT");
    assert_eq!(server.wait(), 0);
}

/// Also when an older time limit passes meanwhile, which was due again and again.
#[test]
fn a_server_that_speaks_without_end_serves_others_and_can_be_stopped() {
    let text = format!(
        "S: Welcome!\neither\n  C: go\n  repeat 4000000000\n    S: {}\n  end\nor\n  \
        repeat\n    C: {{name=Ann}}\n    S: Hello, {{name}}!\n  end\n  C: exit\nend\nS closes\n",
        "y".repeat(999)
    );
    for signals in [1, 2] {
        let grace = if signals == 1 { "200ms" } else { "60s" };
        // The time limit is also that of those who are to be in time.
        let (mut server, _folder) = serve(&text, &["--timeout", "2s", "--grace", grace]);
        let mut client = server.welcomed();
        client.write_all(b"go\n").unwrap();
        let busy = [Busy::start(client, Vec::new())];
        let mut silent = server.welcomed();
        fifty_answers(&server, &busy);
        // By the time that this one is sent away the other's wait, too, would be over.
        assert_eq!(to_end(&mut silent), b"");
        fifty_answers(&server, &busy);
        server.begin_to_stop("INT");
        if signals == 2 {
            server.signal("INT");
        }
        assert_eq!(server.wait(), if signals == 1 { 0 } else { 130 });
        server.log.wait_for("1 cut");
    }
}
