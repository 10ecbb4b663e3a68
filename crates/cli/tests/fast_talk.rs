//! The fast paths of `talk`: bytes that never pass through its memory arrive as those do that are copied, whatever
//! standard input and output are.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Output, Stdio};
use std::thread::JoinHandle;

use support::*;

/// A block whose length fits into no buffer's.
const BLOCK: usize = 1_000_003;
const BLOCKS: usize = 256;

fn block() -> Vec<u8> {
    (0..BLOCK).map(|n| (n * 31 + n / 251) as u8).collect()
}

/// Reads all blocks, and rests from reading after every eighth until `rested` returns; how many bytes came.
fn read_slowly(stream: &mut impl Read, mut rested: impl FnMut()) -> usize {
    let block = block();
    let mut got = vec![0; BLOCK];
    for number in 0..BLOCKS {
        if number % 8 == 0 {
            rested();
        }
        stream.read_exact(&mut got).unwrap();
        assert!(got == block, "block {number} differs");
    }
    BLOCKS * BLOCK + stream.read_to_end(&mut got).unwrap()
}

fn write_blocks(stream: &mut impl Write) {
    let block = block();
    for _ in 0..BLOCKS {
        stream.write_all(&block).unwrap();
    }
}

/// Row 23: 256 MB into a pipe that is read slowly, and all of it arrives, though the memory stays as it was.
#[test]
fn a_slow_sink_costs_no_memory_and_no_byte() {
    let (address, server) = serve_one(|mut stream| {
        stream.set_write_timeout(Some(LONG)).unwrap();
        write_blocks(&mut stream);
        stream.shutdown(Shutdown::Write).unwrap();
        to_end(&mut stream).len()
    });
    let mut talk = Talk::start(&[&address.to_string()]);
    drop(talk.stdin.take());
    let mut stdout = talk.child.stdout.take().unwrap();
    let pid = talk.child.id();
    let mut memory = Vec::new();
    let length = read_slowly(&mut stdout, || {
        // Everything between is full, and it sleeps.
        wait_until_idle(pid);
        memory.push(resident(pid));
    });
    assert_eq!((length, wait(&mut talk.child)), (BLOCKS * BLOCK, 0));
    assert_eq!(server.join().unwrap(), 0);
    assert!(memory.iter().all(|&now| now <= memory[0] + 1024), "{memory:?} KiB");
}

/// Row 23, the other way: a peer that reads slowly.
#[test]
fn a_slow_peer_costs_no_memory_and_no_byte() {
    let (tell, told) = std::sync::mpsc::channel::<u32>();
    let (address, server) = serve_one(move |mut stream| {
        let pid = told.recv().unwrap();
        let mut memory = Vec::new();
        let length = read_slowly(&mut stream, || {
            wait_until_idle(pid);
            memory.push(resident(pid));
        });
        (length, memory)
    });
    let mut talk = Talk::start(&[&address.to_string()]);
    tell.send(talk.child.id()).unwrap();
    let mut stdin = talk.stdin.take().unwrap();
    write_blocks(&mut stdin);
    drop(stdin);
    let (length, memory) = server.join().unwrap();
    assert_eq!((length, wait(&mut talk.child)), (BLOCKS * BLOCK, 0));
    assert!(memory.iter().all(|&now| now <= memory[0] + 1024), "{memory:?} KiB");
}

/// `talk` with these standard streams, beside one that is not of interest.
fn talk(address: SocketAddr, stdin: Stdio, stdout: Stdio) -> Output {
    let mut command = command(&[]);
    command.args(["talk", &address.to_string()]).stdin(stdin).stdout(stdout).stderr(Stdio::piped());
    command.output().unwrap()
}

/// A server that takes everything, and says thanks.
fn taker() -> (SocketAddr, JoinHandle<Vec<u8>>) {
    serve_one(|mut stream| {
        let got = to_end(&mut stream);
        stream.write_all(b"thanks").unwrap();
        got
    })
}

/// A server that says this and ends.
fn giver(bytes: Vec<u8>) -> (SocketAddr, JoinHandle<()>) {
    serve_one(move |mut stream| {
        // A program that cannot write what comes goes away, and takes not all of it.
        let _ = stream.write_all(&bytes);
        let _ = stream.shutdown(Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
    })
}

/// Row 20 and 25, over each way that bytes of standard input go.
#[test]
fn standard_input_of_any_kind_is_sent_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("input");
    let content = block().repeat(3);
    std::fs::write(&path, &content).unwrap();
    let open = || File::open(&path).unwrap();
    let check = |kind: &str, stdin: Stdio, expected: &[u8]| {
        let (address, server) = taker();
        let output = talk(address, stdin, Stdio::piped());
        assert_code(&output, 0);
        assert_eq!(text(&output.stdout), "thanks", "{kind}");
        assert!(server.join().unwrap() == expected, "{kind}");
    };
    check("a file", open().into(), &content);
    let from = |place| {
        let mut file = open();
        file.seek(place).unwrap();
        file
    };
    let offset = from(SeekFrom::Start(1_234_567));
    check("a file from an offset", offset.try_clone().unwrap().into(), &content[1_234_567..]);
    assert_eq!((&offset).stream_position().unwrap(), content.len() as u64, "it was read to its end");
    check("a file at its end", from(SeekFrom::End(0)).into(), b"");
    let both = OpenOptions::new().read(true).append(true).open(&path).unwrap();
    check("a file that is open for appending too", both.into(), &content);
    let version = std::fs::read("/proc/version").unwrap();
    check("a file that has no length", File::open("/proc/version").unwrap().into(), &version);
    check("nothing", Stdio::null(), b"");
    // Fed in pieces of a prime's size, so that no end of one is the end of another.
    let feed = |mut writer: File| content.chunks(10_007).for_each(|piece| writer.write_all(piece).unwrap());
    for nonblocking in [false, true] {
        std::thread::scope(|scope| {
            let (reader, writer) = std::io::pipe().unwrap();
            rustix::io::ioctl_fionbio(&reader, nonblocking).unwrap();
            scope.spawn(|| feed(OwnedFd::from(writer).into()));
            check("a pipe", reader.into(), &content);
        });
    }
    std::thread::scope(|scope| {
        let (reader, writer) = UnixStream::pair().unwrap();
        scope.spawn(|| feed(OwnedFd::from(writer).into()));
        check("a pair of sockets", OwnedFd::from(reader).into(), &content);
    });
}

/// Row 24 and 25: streams that are closed or cannot be used have the exit code that help lists.
#[test]
fn standard_streams_that_cannot_be_used_have_their_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    for (redirect, code, words) in [
        ("<&-", 0, ""),
        (&format!("<{}", folder.path().display())[..], 26, "cannot read standard input: Is a directory"),
        (&format!("0>{}", file.display())[..], 26, "cannot read standard input: Bad file descriptor"),
        (">/dev/full", 23, "No space left on device"),
        (">>/dev/full", 23, "No space left on device"),
        (">&-", 23, "standard output is closed"),
        (">&3", 23, "Broken pipe"),
        ("1</dev/null", 23, "Bad file descriptor"),
        (">/dev/null", 0, ""),
        (">>/dev/null", 0, ""),
    ] {
        let (address, server) = giver(block().repeat(3));
        // Descriptor 3 is a pipe whose reader is gone for certain: one that still lives has room for more than this.
        let script = format!("exec 3> >(exec true); wait $!; \"$1\" talk {address} </dev/null {redirect} 3>&-");
        let output = Command::new("bash").args(["-c", &script, "bash", BINARY]).stdout(Stdio::null()).output().unwrap();
        assert_eq!((redirect, support::code(&output)), (redirect, code), "{}", text(&output.stderr));
        assert!(text(&output.stderr).contains(words), "{redirect}: {}", text(&output.stderr));
        // Where it is plain that nothing can come, no read was made, and the server still waits.
        let _ = TcpStream::connect(address);
        server.join().unwrap();
    }
}

/// Row 22, over each way that bytes go to standard output.
#[test]
fn standard_output_of_any_kind_gets_every_byte() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("output");
    let content = block().repeat(3);
    let check = |kind: &str, stdout: Stdio| {
        let (address, server) = giver(content.clone());
        let output = talk(address, Stdio::null(), stdout);
        assert_code(&output, 0);
        server.join().unwrap();
        assert!(output.stdout.is_empty() || output.stdout == content, "{kind}");
        output.stdout
    };
    assert!(check("a pipe", Stdio::piped()) == content);
    check("a file", File::create(&path).unwrap().into());
    assert!(std::fs::read(&path).unwrap() == content);
    check("a file, from its beginning", OpenOptions::new().write(true).open(&path).unwrap().into());
    assert!(std::fs::read(&path).unwrap() == content);
    check("a file opened for appending", OpenOptions::new().append(true).open(&path).unwrap().into());
    assert!(std::fs::read(&path).unwrap() == content.repeat(2), "both are there");
    let mut file = OpenOptions::new().write(true).open(&path).unwrap();
    file.seek(SeekFrom::Start(5)).unwrap();
    check("a file from an offset", file.into());
    let expected = [&content[..5], &content[..], &content[content.len() - 5..]].concat();
    let expected = [&expected[..content.len() + 5], &content[5..]].concat();
    assert!(std::fs::read(&path).unwrap() == expected, "what stands before and behind stays");
    check("nothing", Stdio::null());
    std::thread::scope(|scope| {
        let (mut reader, writer) = UnixStream::pair().unwrap();
        let got = scope.spawn(move || to_end(&mut reader));
        check("a pair of sockets", OwnedFd::from(writer).into());
        assert!(got.join().unwrap() == content);
    });
    for (nonblocking, size) in [(false, 65_536), (true, 65_536), (true, 4096)] {
        std::thread::scope(|scope| {
            let (mut reader, writer) = std::io::pipe().unwrap();
            rustix::io::ioctl_fionbio(&writer, nonblocking).unwrap();
            let got = scope.spawn(move || {
                let (mut got, mut piece) = (Vec::new(), vec![0; size]);
                while let Ok(length @ 1..) = reader.read(&mut piece) {
                    got.extend_from_slice(&piece[..length]);
                }
                got
            });
            check("a pipe that is read in pieces", writer.into());
            assert!(got.join().unwrap() == content);
        });
    }
}

/// A full disk ends it with what was lost said, however the bytes got there.
#[test]
fn a_disk_that_is_full_is_exit_23() {
    let (address, server) = giver(block());
    let script = format!(
        "folder=$(mktemp -d); mount -t tmpfs -o size=64k none \"$folder\"; \"$1\" talk {address} </dev/null >\"$folder/file\""
    );
    need("unshare");
    let output = Command::new("unshare").args(["-rm", "sh", "-euc", &script, "sh", BINARY]).output().unwrap();
    assert_code(&output, 23);
    assert!(text(&output.stderr).contains("No space left on device"), "{}", text(&output.stderr));
    server.join().unwrap();
}

/// Small pieces from both ends at once: each arrives at once, and not only when there is more.
#[test]
fn small_pieces_are_not_held_back() {
    let server = Server::start(&["--echo"]);
    let mut talk = Talk::start(&[&server.address()]);
    let mut stdin = talk.stdin.take().unwrap();
    let stdout = talk.child.stdout.as_mut().unwrap();
    for number in 0..500 {
        let word = format!("{number}\n");
        stdin.write_all(word.as_bytes()).unwrap();
        assert_eq!(line(stdout), word);
    }
    drop(stdin);
    assert_eq!(talk.finish(), (0, Vec::new()));
}

/// The time for the whole conversation is over though what came is not read, whether it is copied or not.
#[test]
fn a_time_limit_holds_though_the_sink_takes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("record.talk").display().to_string();
    for more in [&[][..], &["--record", &record]] {
        let (address, server) = giver(block().repeat(30));
        let (reader, writer) = std::io::pipe().unwrap();
        let mut child = command(&[])
            .args(["talk", &address.to_string(), "--timeout", "300ms"])
            .args(more)
            .stdin(Stdio::null())
            .stdout(writer)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        assert_eq!((more, wait(&mut child)), (more, 28));
        drop(reader);
        // It may not have come so far as to be heard.
        drop(TcpStream::connect(address));
        server.join().unwrap();
    }
}
