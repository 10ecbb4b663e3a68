//! `fetch` and the file system: in which order a file is stored, and what the target may be.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, symlink};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

use support::web::{Served, Web, answer, bytes, chunked, fetch, fetch_command, names, ok};
use support::{BINARY, assert_code, need, run_command, text};

/// A fetch under strace, which says what each descriptor is.
fn traced(folder: &Path, options: &[&str], arguments: &[&str]) -> (Output, Vec<String>) {
    need("strace");
    let log = tempfile::NamedTempFile::new().unwrap();
    let mut command = Command::new("strace");
    command.args(["-f", "-y", "-qq", "-s", "40", "-o"]).arg(log.path()).args(options);
    command.args([BINARY, "fetch"]).args(arguments).current_dir(folder);
    let output = run_command(&mut command, b"");
    let log = fs::read_to_string(log.path()).unwrap();
    // Each line begins with the number of its thread.
    (output, log.lines().filter_map(|line| line.split_once(' ')).map(|(_, call)| call.trim().to_owned()).collect())
}

/// Row 39: written, synced, named, and the folder synced, in this order, and only then told.
#[test]
fn what_is_told_as_saved_outlives_a_loss_of_power() {
    let body = bytes(300_000);
    let served = Served { body: body.clone(), fields: "ETag: \"v\"\r\n".to_owned() };
    let plain = Web::start(move |request, stream| stream.write_all(&served.answer(request)).unwrap());
    let chunks = Web::saying(answer("200 OK", "Transfer-Encoding: chunked\r\n", &chunked(&body, 9000)));
    let all = "--trace=write,pwrite64,splice,fsync,fdatasync,link,linkat,rename,renameat,renameat2";
    for (web, more) in
        [(&plain, &["-o", "x"][..]), (&plain, &[]), (&chunks, &["-o", "x"]), (&plain, &["--resume", "--force"])]
    {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap();
        if !more.is_empty() {
            fs::write(folder.path().join("x"), "old").unwrap();
        }
        let (output, calls) = traced(folder.path(), &[all], &[&[web.url("/x").as_str()], more].concat());
        assert_code(&output, 0);
        assert!(fs::read(folder.path().join("x")).unwrap() == body);
        let synced = |call: &str| call.starts_with("fsync(") && call.ends_with("= 0");
        let at = |what: &str, is_it: &dyn Fn(&str) -> bool| {
            let found: Vec<usize> = (0..calls.len()).filter(|&index| is_it(&calls[index])).collect();
            assert!(!found.is_empty(), "{what}: {more:?} {calls:#?}");
            (found[0], found[found.len() - 1])
        };
        // What is in the folder and not the folder, but for the little record beside a part.
        let inside = format!("<{}/", path.display());
        let is_body =
            |call: &str| call.contains(&inside) && !call.contains("x.part.json") && !call.contains(".sockeye.");
        let (_, written) =
            at("written", &|call| (call.starts_with("write(") || call.starts_with("splice(")) && is_body(call));
        let (_, stored) = at("stored", &|call| synced(call) && is_body(call));
        let (named, _) = at("named", &|call| {
            call.ends_with("= 0") && (call.starts_with("rename") || call.starts_with("link")) && call.contains("\"x\"")
        });
        let (_, folder_stored) =
            at("folder stored", &|call| synced(call) && call.contains(&format!("<{}>", path.display())));
        let (told, _) = at("told", &|call| call.starts_with("write(2") && call.contains("saved x"));
        let order = [written, stored, named, folder_stored, told];
        assert!(order.is_sorted(), "{more:?} {order:?} {calls:#?}");
    }
}

/// Row 39: that it could not be stored is told. Before it has its name the old file stays; behind it that cannot be told.
#[test]
fn what_could_not_be_stored_is_told() {
    let web = Web::saying(ok(&bytes(300_000)));
    for (when, says, left) in [
        (1, "cannot store x: Input/output error", &b"old"[..]),
        (2, "x is written, but a power failure may lose it", &bytes(300_000)),
    ] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("x"), "old").unwrap();
        let inject = format!("inject=fsync:error=EIO:when={when}");
        let (output, _) = traced(folder.path(), &["-e", "trace=fsync", "-e", &inject], &[&web.url("/x"), "-o", "x"]);
        assert_code(&output, 23);
        let said = text(&output.stderr);
        assert!(said.contains(says) && !said.contains("saved x"), "{said}");
        assert!(fs::read(folder.path().join("x")).unwrap() == left);
        assert_eq!(names(folder.path()), ["x"]);
    }
}

/// Row 49: many fetches of different contents to one name at once make one whole file.
#[test]
fn of_many_fetches_to_one_name_one_file_is_there_and_it_is_whole() {
    const MANY: usize = 100;
    let content = |number: usize| format!("{number:03}").repeat(20_000).into_bytes();
    for may_replace in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let together = Barrier::new(MANY);
        let next = AtomicUsize::new(0);
        // All of them have begun when the first is answered.
        let web = Web::start(move |_, stream| {
            let number = next.fetch_add(1, Ordering::SeqCst);
            together.wait();
            let _ = stream.write_all(&ok(&content(number)));
        });
        let more: &[&str] = if may_replace { &["-o", "x"] } else { &[] };
        let start = || {
            let mut command = fetch_command(folder.path());
            command.arg("-q").arg(web.url("/x")).args(more).stdout(Stdio::null()).stderr(Stdio::null());
            command.spawn().unwrap()
        };
        let mut children: Vec<_> = (0..MANY).map(|_| start()).collect();
        let codes: Vec<i32> = children.iter_mut().map(support::wait).collect();
        let expected = if may_replace { MANY } else { 1 };
        assert_eq!(codes.iter().filter(|&&code| code == 0).count(), expected, "{codes:?}");
        assert!(codes.iter().all(|code| [0, 23].contains(code)), "{codes:?}");
        let found = fs::read(folder.path().join("x")).unwrap();
        let number: usize = text(&found[..3]).parse().unwrap();
        assert!(found == content(number), "a mix");
        assert_eq!(names(folder.path()), ["x"]);
    }
}

/// Row 50: a link stays one and its file is replaced; a pipe and a device take the bytes; nothing else is a target.
#[test]
fn a_target_that_is_no_file_is_dealt_with_by_its_kind() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let web = Web::saying(ok(b"hello"));
    let ask = |arguments: &[&str]| fetch(folder.path(), &[&[web.url("/x").as_str()], arguments].concat());
    fs::create_dir_all(at("folder/inner")).unwrap();
    fs::write(at("folder/inner/file"), "old").unwrap();
    symlink("folder/inner/file", at("link")).unwrap();
    assert_code(&ask(&["-o", "link"]), 0);
    assert!(at("link").is_symlink());
    assert_eq!(fs::read(at("folder/inner/file")).unwrap(), b"hello");
    assert_eq!(names(&at("folder/inner")), ["file"]);
    // A link that leads nowhere, or in circles.
    symlink("folder/none", at("lost")).unwrap();
    symlink("round", at("round")).unwrap();
    for name in ["lost", "round"] {
        assert_code(&ask(&["-o", name]), 23);
    }
    // A name that we choose is never another's, whatever stands there.
    symlink("folder/none", at("x")).unwrap();
    let output = ask(&[]);
    assert_code(&output, 23);
    assert!(text(&output.stderr).contains("it is there already"), "{}", text(&output.stderr));
    assert_eq!(names(&at("folder")), ["inner"]);
    let output = ask(&["-o", "folder"]);
    assert_code(&output, 23);
    assert!(text(&output.stderr).contains("it is a folder"), "{}", text(&output.stderr));
    let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    let output = ask(&["-o", "socket"]);
    assert_code(&output, 23);
    assert!(fs::symlink_metadata(at("socket")).unwrap().file_type().is_socket());
    rustix::fs::mknodat(
        rustix::fs::CWD,
        at("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .unwrap();
    let pipe = at("pipe");
    let reader = std::thread::spawn(move || {
        let mut all = Vec::new();
        fs::File::open(pipe).unwrap().read_to_end(&mut all).unwrap();
        all
    });
    assert_code(&ask(&["-o", "pipe"]), 0);
    assert_eq!(reader.join().unwrap(), b"hello");
    assert!(fs::symlink_metadata(at("pipe")).unwrap().file_type().is_fifo());
    assert_code(&ask(&["-o", "/dev/null"]), 0);
    assert_code(&ask(&["-o", "/dev/full"]), 23);
    for name in ["pipe", "/dev/null"] {
        assert_code(&ask(&["-o", name, "--resume"]), 2);
    }
    assert_eq!(names(folder.path()), ["folder", "link", "lost", "pipe", "round", "socket", "x"]);
}

/// Row 50: what is written before it has its name is no other program's file: new, and behind no link.
#[test]
fn no_link_leads_what_is_written_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let web = Web::saying(ok(&bytes(300_000)));
    // As on a file system that keeps no files without a name.
    let options = ["-e", "trace=open,openat", "-e", "inject=open:error=EOPNOTSUPP"];
    let (output, calls) = traced(folder.path(), &options, &[&web.url("/x"), "-o", "x"]);
    assert_code(&output, 0);
    let made: Vec<&String> = calls.iter().filter(|call| call.contains("O_CREAT")).collect();
    assert!(!made.is_empty() && made.iter().all(|call| call.contains("O_EXCL")), "{calls:#?}");
    assert!(calls.iter().any(|call| call.contains("O_TMPFILE") && call.contains("(INJECTED)")), "{calls:#?}");
    assert!(fs::read(at("x")).unwrap() == bytes(300_000));
    // Names that anybody can tell.
    fs::write(at("victim"), "precious").unwrap();
    for name in ["y.part", "y.part.json"] {
        symlink("victim", at(name)).unwrap();
        let output = fetch(folder.path(), &[&web.url("/y"), "--resume"]);
        assert_eq!(fs::read(at("victim")).unwrap(), b"precious", "{name}: {}", text(&output.stderr));
        let _ = fs::remove_file(at(name));
        let _ = fs::remove_file(at("y"));
    }
}
