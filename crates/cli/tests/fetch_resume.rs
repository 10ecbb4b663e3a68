//! `fetch` of parts: ranges, what is gone on with, digests, and one file over several connections.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::channel;

use support::web::{Served, Web, answer, bytes, fetch, fetch_command, gzip, names, ok};
use support::{BINARY, assert_code, code, need, run_command, text};

/// A server that has this file, and knows ranges.
fn serving(body: &[u8], fields: &str) -> Web {
    let served = Served { body: body.to_vec(), fields: fields.to_owned() };
    Web::start(move |request, stream| stream.write_all(&served.answer(request)).unwrap())
}

/// SHA-256 by another program.
fn sha256(bytes: &[u8]) -> String {
    support::need("sha256sum");
    let output = run_command(&mut std::process::Command::new("sha256sum"), bytes);
    text(&output.stdout).split(' ').next().unwrap().to_owned()
}

#[test]
fn a_range_is_what_was_asked_for_or_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let body = bytes(100_000);
    let web = serving(&body, "");
    for (range, expected) in [
        ("0-99", &body[..100]),
        ("99000-", &body[99_000..]),
        ("-5", &body[99_995..]),
        ("99999-200000", &body[99_999..]),
        ("0-", &body[..]),
    ] {
        let output = fetch(folder.path(), &[&web.url("/x"), "-o", "x", "--range", range]);
        assert_code(&output, 0);
        assert!(text(&output.stdout).starts_with("HTTP/1.1 206 Partial Content\r\n"), "{range}");
        assert!(fs::read(folder.path().join("x")).unwrap() == expected, "{range}");
        let request = web.requests().pop().unwrap();
        assert!(request.contains(&format!("\r\nRange: bytes={range}\r\n")), "{request}");
        assert!(request.contains("\r\nAccept-Encoding: identity\r\n"), "{request}");
    }
    fs::write(folder.path().join("x"), "old").unwrap();
    let ignores = Web::saying(ok(&body));
    let other =
        Web::saying(answer("206 Partial Content", "Content-Range: bytes 1-3/9\r\nContent-Length: 3\r\n", b"abc"));
    let short = Web::saying(answer("206 Partial Content", "Content-Range: bytes 0-9/99\r\n", b"abc"));
    for (web, range, expected, says) in [
        (&ignores, "0-9", 33, "the server sends the whole, and not the range that was asked for"),
        (&other, "0-9", 56, "another range than the one asked for: bytes 1-3/9"),
        (&short, "0-9", 18, "before the end of its range: 3 bytes of the body came of 10"),
        (&web, "100000-", 22, "416 Range Not Satisfiable"),
        (&web, "9-0", 2, "write A-B, A- or -N"),
        (&web, "-", 2, "write A-B, A- or -N"),
        (&web, "-0", 2, "write A-B, A- or -N"),
    ] {
        let output = fetch(folder.path(), &[&web.url("/x"), "-o", "x", "--range", range]);
        assert_code(&output, expected);
        assert!(text(&output.stderr).contains(says), "{range}: {}", text(&output.stderr));
        assert_eq!(fs::read(folder.path().join("x")).unwrap(), b"old", "{range}");
    }
    assert_code(&fetch(folder.path(), &[&ignores.url("/x"), "-o", "x", "--range", "0-"]), 0);
    assert_eq!(names(folder.path()), ["x"]);
}

/// A server that sends half of a file and then nothing until it is let go; then it knows ranges.
struct Halting {
    web: Web,
    release: std::sync::mpsc::Sender<()>,
}

impl Halting {
    fn start(body: &[u8], fields: &str) -> Self {
        let served = Served { body: body.to_vec(), fields: fields.to_owned() };
        let (release, released) = channel::<()>();
        let first = Mutex::new(Some(released));
        let web = Web::start(move |request, stream| {
            let message = served.answer(request);
            let Some(released) = first.lock().unwrap().take() else { return drop(stream.write_all(&message)) };
            stream.write_all(&message[..message.len() / 2]).unwrap();
            let _ = released.recv();
        });
        Self { web, release }
    }

    /// A fetch that has written all that came.
    fn halfway(&self, folder: &Path) -> std::process::Child {
        let mut command = fetch_command(folder);
        command.args([&self.web.url("/x"), "--resume"]).stdout(Stdio::null()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        let half = |length: u64| length > 1_000_000;
        support::until("the half", || fs::metadata(folder.join("x.part")).is_ok_and(|found| half(found.len())));
        support::wait_until_idle(child.id());
        child
    }
}

#[test]
fn a_killed_fetch_goes_on_where_it_was() {
    let body = bytes(3_000_000);
    let date = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nLast-Modified: Sun, 06 Nov 1994 08:49:36 GMT\r\n";
    for (fields, validator) in [("ETag: \"v1\"\r\n", "\"v1\""), (date, "Sun, 06 Nov 1994 08:49:36 GMT")] {
        let folder = tempfile::tempdir().unwrap();
        let server = Halting::start(&body, fields);
        let mut child = server.halfway(folder.path());
        // While one is at it no other is.
        let output = fetch(folder.path(), &[&server.web.url("/x"), "--resume"]);
        assert_code(&output, 23);
        assert!(text(&output.stderr).contains("x.part: another process is fetching it"), "{}", text(&output.stderr));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(names(folder.path()), ["x.part", "x.part.json"]);
        let there = fs::metadata(folder.path().join("x.part")).unwrap().len();
        let output = fetch(folder.path(), &[&server.web.url("/x"), "--resume", "--sha256", &sha256(&body)]);
        assert_code(&output, 0);
        let request = server.web.requests().pop().unwrap();
        assert!(request.contains(&format!("\r\nRange: bytes={there}-\r\n")), "{request}");
        assert!(request.contains(&format!("\r\nIf-Range: {validator}\r\n")), "{request}");
        let said = format!("saved x, 3000000 bytes, {there} of them before\n");
        assert_eq!(text(&output.stderr), said);
        assert!(fs::read(folder.path().join("x")).unwrap() == body);
        assert_eq!(names(folder.path()), ["x"]);
        drop(server.release);
    }
}

/// SIGKILL at the system calls that change something: whatever is left, the next run makes the whole of it.
#[test]
fn a_fetch_that_is_killed_anywhere_is_made_whole_by_the_next() {
    need("strace");
    let body = bytes(200_000);
    let web = serving(&body, "ETag: \"v\"\r\n");
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("x");
    let (part, record) = (folder.path().join("x.part"), folder.path().join("x.part.json"));
    let calls = "flock,ftruncate,lseek,splice,write,fsync,linkat,link,rename,unlink,close";
    let trace = |option: &str| {
        let mut command = Command::new("strace");
        command.args([
            "-f",
            "-qq",
            "-o",
            "/dev/stderr",
            "-e",
            &format!("trace={calls}"),
            "-e",
            option,
            BINARY,
            "fetch",
        ]);
        run_command(command.args(["-q", &web.url("/x"), "-o", "x", "--resume"]).current_dir(&folder), b"")
    };
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    // Nothing there yet, and the part of an older version.
    let lay = |is_older: bool| {
        let _ = fs::remove_file(&target);
        if is_older {
            fs::write(&part, "o".repeat(50_000)).unwrap();
            let of = format!("\"url\":\"{}\",\"validator\":\"\\\"old\\\"\",\"length\":60000", web.url("/x"));
            fs::write(&record, format!("{{{of},\"boot\":\"{}\",\"stored\":50000}}", boot.trim())).unwrap();
        }
    };
    let mut kept = 0;
    for is_older in [false, true] {
        lay(is_older);
        let whole = trace("signal=all");
        assert_code(&whole, 0);
        assert_eq!(web.requests().pop().unwrap().contains("\r\nRange: bytes=50000-\r\n"), is_older);
        let log = text(&whole.stderr);
        for name in calls.split(',') {
            let count = log.lines().filter(|line| line.contains(&format!(" {name}("))).count();
            for at in 1..=count.min(8) {
                lay(is_older);
                trace(&format!("inject={name}:signal=KILL:when={at}"));
                if let Ok(found) = fs::read(&target) {
                    assert!(found == body, "{name} {at}");
                }
                kept += usize::from(fs::metadata(&part).is_ok_and(|found| found.len() > 0));
                assert_code(&fetch(folder.path(), &[&web.url("/x"), "-o", "x", "--resume"]), 0);
                assert!(fs::read(&target).unwrap() == body, "{is_older} {name} {at}");
                let left: Vec<_> =
                    names(folder.path()).into_iter().filter(|name| !name.starts_with(".sockeye.")).collect();
                assert_eq!(left, ["x"], "{name} {at}");
            }
        }
    }
    assert!(kept > 4, "no kill left a part");
    let resumed = web.requests().iter().any(|request| request.contains("\r\nIf-Range: \"v\"\r\n"));
    assert!(resumed, "nothing was gone on with");
}

/// After a power failure what was not stored may be anything, also after runs that did not get as far as to look.
#[test]
fn what_another_boot_left_counts_only_as_far_as_it_was_stored() {
    let folder = tempfile::tempdir().unwrap();
    let body = bytes(100_000);
    let served = Served { body: body.clone(), fields: "ETag: \"v\"\r\n".to_owned() };
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let web = Web::start(move |request, stream| {
        let message = served.answer(request);
        let message = match asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
            0 => answer("503 Busy", "Content-Length: 0\r\n", b""),
            // Some come, then it is cut; then the rest.
            1 => message[..20_000].to_vec(),
            _ => message,
        };
        stream.write_all(&message).unwrap();
    });
    let garbage = [&body[..1000], &vec![0; 50_000]].concat();
    fs::write(folder.path().join("x.part"), garbage).unwrap();
    let of = format!("\"url\":\"{}\",\"validator\":\"\\\"v\\\"\",\"length\":100000", web.url("/x"));
    let record = format!("{{{of},\"boot\":\"another\",\"stored\":1000}}");
    fs::write(folder.path().join("x.part.json"), record).unwrap();
    for expected in [22, 18, 0] {
        assert_code(&fetch(folder.path(), &[&web.url("/x"), "--resume"]), expected);
    }
    let froms: Vec<u64> = web
        .requests()
        .iter()
        .map(|request| request.split("\r\nRange: bytes=").nth(1).unwrap().split('-').next().unwrap().parse().unwrap())
        .collect();
    assert!(froms[0] == 1000 && froms[1] == 1000 && froms[2] > 20_000, "{froms:?}");
    assert!(fs::read(folder.path().join("x")).unwrap() == body);
}

/// Row 41: a file that has changed since is not spliced to what came of the old one.
#[test]
fn a_part_of_something_else_is_begun_anew() {
    let body = bytes(3_000_000);
    let folder = tempfile::tempdir().unwrap();
    let part = folder.path().join("x.part");
    // Ends by itself: what came is told and stays.
    let served = Served { body: body.clone(), fields: "ETag: \"v1\"\r\n".to_owned() };
    let cut = Web::start(move |request, stream| stream.write_all(&served.answer(request)[..2_000_000]).unwrap());
    let url = cut.url("/x");
    let output = fetch(folder.path(), &[&url, "--resume"]);
    assert_code(&output, 18);
    assert!(text(&output.stderr).contains("; --resume goes on with x.part\n"), "{}", text(&output.stderr));
    let record = fs::read_to_string(folder.path().join("x.part.json")).unwrap();
    assert!(record.contains("\"validator\":\"\\\"v1\\\"\"") && record.contains("\"length\":3000000"), "{record}");
    let left = fs::read(&part).unwrap();
    assert!(left == body[..left.len()] && left.len() > 1_900_000);
    let lay = |record: &str| {
        fs::write(&part, &left).unwrap();
        fs::write(folder.path().join("x.part.json"), record).unwrap();
    };
    let new = vec![b'n'; 2_500_000];
    let (same, changed) = (serving(&body, "ETag: \"v1\"\r\n"), serving(&new, "ETag: \"v2\"\r\n"));
    let at = |web: &Web| record.replace(&cut.address.to_string(), &web.address.to_string());
    let other_boot = |record: &str| {
        let boot = record.split("\"boot\":\"").nth(1).unwrap().split('"').next().unwrap();
        record.replace(boot, "another")
    };
    let stored = format!("\"stored\":{}", left.len());
    assert!(record.contains(&stored), "{record}");
    let less = other_boot(&at(&same)).replace(&stored, "\"stored\":1000");
    for (record, web, expected, from) in [
        (at(&same), &same, &body, Some(left.len())),
        // The server has another by now.
        (at(&changed), &changed, &new, Some(left.len())),
        // Of another URL, no record at all, or one that lies.
        (record.clone(), &same, &body, None),
        ("{".to_owned(), &same, &body, None),
        (at(&same).replace(":3000000", ":5"), &same, &body, None),
        // After a power failure only what was stored counts.
        (other_boot(&at(&same)), &same, &body, Some(left.len())),
        (less, &same, &body, Some(1000)),
    ] {
        lay(&record);
        assert_code(&fetch(folder.path(), &[&web.url("/x"), "--resume", "--force"]), 0);
        let request = web.requests().pop().unwrap();
        let range = from.map(|from| format!("\r\nRange: bytes={from}-\r\n"));
        assert_eq!(request.contains("\r\nRange: "), range.is_some(), "{request}");
        assert!(range.is_none_or(|range| request.contains(&range)), "{request}");
        assert!(&fs::read(folder.path().join("x")).unwrap() == expected, "{record}");
        assert_eq!(names(folder.path()), ["x"]);
    }
    // All of it is there and had not got its name.
    lay(&at(&same));
    fs::write(&part, &body).unwrap();
    assert_code(&fetch(folder.path(), &[&same.url("/x"), "--resume", "--force"]), 0);
    assert!(same.requests().pop().unwrap().contains("\r\nRange: bytes=2999999-\r\n"));
    assert!(fs::read(folder.path().join("x")).unwrap() == body);
    // A server that answers with another range, or an error: the part stays.
    let other = Web::saying(answer("206 x", "Content-Range: bytes 0-2/3000000\r\nContent-Length: 3\r\n", b"abc"));
    for (web, expected) in [(&other, 56), (&Web::saying(answer("503 x", "Content-Length: 0\r\n", b"")), 22)] {
        lay(&at(web));
        assert_code(&fetch(folder.path(), &[&web.url("/x"), "--resume", "--force"]), expected);
        assert!(fs::read(&part).unwrap() == left);
    }
    // What has no strong validator cannot be gone on with, and leaves nothing.
    let weak = answer("200 OK", "ETag: W/\"v\"\r\nContent-Length: 9\r\n", b"half");
    let folder = tempfile::tempdir().unwrap();
    let output = fetch(folder.path(), &[&Web::saying(weak).url("/x"), "--resume"]);
    assert_code(&output, 18);
    assert!(!text(&output.stderr).contains("--resume"), "{}", text(&output.stderr));
    assert!(names(folder.path()).is_empty());
}

/// A server that knows Range and not If-Range sends a part of whatever it has by now, and no two versions are joined.
#[test]
fn parts_are_joined_only_if_they_say_that_they_are_of_one_version() {
    let date = |second: u32| format!("Last-Modified: Sun, 06 Nov 1994 08:49:0{second} GMT\r\n");
    let made = "Date: Sun, 06 Nov 1994 09:00:00 GMT\r\n";
    let (old, new) = (bytes(3_000_000), vec![b'n'; 3_000_000]);
    let (etag, modified) = ("ETag: \"v1\"\r\n".to_owned(), format!("{made}{}", date(1)));
    for (before, now) in [
        (&etag, "ETag: \"v2\"\r\n".to_owned()),
        (&etag, String::new()),
        (&etag, modified.clone()),
        (&modified, format!("{made}{}", date(2))),
        (&modified, made.to_owned()),
        (&modified, etag.clone()),
    ] {
        let (first, second) =
            (Served { body: old.clone(), fields: before.clone() }, Served { body: new.clone(), fields: now.clone() });
        let web = Web::start(move |request, stream| {
            let asked = request.replace("\r\nIf-Range:", "\r\nNot-Heard:");
            let message = match (asked.contains("\r\nRange:"), asked.starts_with("GET /cut ")) {
                (false, true) => first.answer(&asked)[..2_000_000].to_vec(),
                (false, false) => first.answer(&asked),
                (true, _) => second.answer(&asked),
            };
            let _ = stream.write_all(&message);
        });
        let folder = tempfile::tempdir().unwrap();
        let url = web.url("/cut");
        assert_code(&fetch(folder.path(), &[&url, "--resume"]), 18);
        let output = fetch(folder.path(), &[&url, "--resume"]);
        // What is asked for then is the whole, which this server cuts again.
        assert_code(&output, 18);
        assert!(text(&output.stderr).contains("it begins anew"), "{}", text(&output.stderr));
        let asked = web.requests();
        let is_part = |request: &String| request.contains("\r\nRange:");
        assert_eq!(asked.iter().map(is_part).collect::<Vec<_>>(), [false, true, false]);
        assert!(old.starts_with(&fs::read(folder.path().join("cut.part")).unwrap()), "{before} and {now}");
        // A POST that was heard is not repeated.
        assert_code(&fetch(folder.path(), &[&url, "--resume", "-X", "POST"]), 56);
        assert_eq!(web.requests().len(), 4);
        let output = fetch(folder.path(), &[&web.url("/x"), "--parts", "3"]);
        assert_code(&output, 56);
        assert!(text(&output.stderr).contains("does not say that it is of the same version"), "{before} and {now}");
        assert_eq!(names(folder.path()), ["cut.part", "cut.part.json"]);
    }
}

#[test]
fn a_part_that_nobody_asked_for_is_no_whole() {
    let folder = tempfile::tempdir().unwrap();
    let fields = "Content-Range: bytes 0-4/100\r\nContent-Length: 5\r\n";
    let web = Web::saying(answer("206 Partial Content", fields, b"hello"));
    for more in [&[][..], &["--resume"], &["-o", "-"], &["-H", "Range:"]] {
        let output = fetch(folder.path(), &[&[web.url("/x").as_str()], more].concat());
        assert_code(&output, 56);
        assert!(text(&output.stderr).contains("sends a part, and was not asked for one"), "{}", text(&output.stderr));
        assert!(names(folder.path()).is_empty());
    }
    assert_code(&fetch(folder.path(), &[&web.url("/x"), "-H", "Range: bytes=0-4"]), 0);
    assert_eq!(fs::read(folder.path().join("x")).unwrap(), b"hello");
}

/// What was answered was done, perhaps; that the answer was cut makes it no other.
#[test]
fn what_changes_something_is_not_repeated_because_its_answer_was_cut() {
    let folder = tempfile::tempdir().unwrap();
    let web = Web::saying(answer("200 OK", "ETag: \"v\"\r\nContent-Length: 9\r\n", b"half"));
    let output = fetch(folder.path(), &[&web.url("/x"), "--resume", "-X", "POST", "--retry", "3"]);
    assert_code(&output, 18);
    assert_eq!(web.requests().len(), 1);
}

/// Row 40: the record of a part is whole or the one before, also where the disk has no room for another.
#[test]
fn a_full_disk_leaves_a_part_that_is_gone_on_with() {
    need("unshare");
    let body = bytes(3_000_000);
    let web = serving(&body, "ETag: \"one\"\r\n");
    let script = r#"folder=$(mktemp -d); mount -t tmpfs -o size=1m none "$folder"; cd "$folder"
        "$1" fetch "$2" -o y --resume >&2; echo $?
        mount -o remount,size=8m "$folder"; "$1" fetch "$2" -o y --resume >&2; echo $?; sha256sum <y"#;
    let mut command = Command::new("unshare");
    let output = run_command(command.args(["-rm", "sh", "-c", script, "sh", BINARY, &web.url("/y")]), b"");
    let said = text(&output.stderr);
    assert_eq!(text(&output.stdout), format!("23\n0\n{}  -\n", sha256(&body)), "{said}");
    assert!(said.contains("--resume goes on with y.part"), "{said}");
    assert!(web.requests().pop().unwrap().contains("\r\nIf-Range: \"one\"\r\n"), "it began anew");
}

#[test]
fn an_interrupted_fetch_says_what_it_leaves() {
    let folder = tempfile::tempdir().unwrap();
    let body = bytes(3_000_000);
    let server = Halting::start(&body, "ETag: \"v1\"\r\n");
    let mut child = server.halfway(folder.path());
    let log = support::Log::default();
    log.follow(child.stderr.take().unwrap());
    support::signal(child.id(), "INT");
    log.wait_for("of the body received, --resume goes on with x.part");
    assert_eq!(support::wait(&mut child), 130);
    assert_code(&fetch(folder.path(), &[&server.web.url("/x"), "--resume"]), 0);
    assert!(fs::read(folder.path().join("x")).unwrap() == body);
    assert_eq!(names(folder.path()), ["x"]);
    drop(server.release);
}

/// Row 51: what has another checksum has no name.
#[test]
fn a_file_gets_its_name_only_with_its_digest() {
    let folder = tempfile::tempdir().unwrap();
    let body = bytes(500_000);
    let good = sha256(&body);
    let upper = good.to_ascii_uppercase();
    let web = serving(&body, "ETag: \"a\"\r\n");
    let packed = Web::saying(answer("200 OK", "Content-Encoding: gzip\r\n", &gzip(&body)));
    for (web, more) in [(&web, &[][..]), (&web, &["--resume"]), (&packed, &[])] {
        let url = web.url("/x");
        let arguments = [&[url.as_str(), "--sha256", &upper], more].concat();
        assert_code(&fetch(folder.path(), &arguments), 0);
        assert!(fs::read(folder.path().join("x")).unwrap() == body);
        fs::write(folder.path().join("x"), "old").unwrap();
        let bad = "0".repeat(64);
        let output = fetch(folder.path(), &[&[url.as_str(), "-o", "x", "--sha256", &bad], more].concat());
        assert_code(&output, 1);
        let says = format!("what came has the SHA-256 {good}, and not {bad}; nothing saved");
        assert!(text(&output.stderr).contains(&says), "{}", text(&output.stderr));
        assert_eq!(fs::read(folder.path().join("x")).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["x"]);
        fs::remove_file(folder.path().join("x")).unwrap();
    }
    for arguments in [&["--sha256", "abc"][..], &["--sha256", &good, "-o", "-"], &["--resume", "--head"]] {
        assert_code(&fetch(folder.path(), &[&[web.url("/x").as_str()], arguments].concat()), 2);
    }
    let empty = Web::saying(answer("204 No Content", "", b""));
    assert_code(&fetch(folder.path(), &[&empty.url("/x"), "--sha256", &good]), 1);
}

#[test]
fn force_replaces_and_remote_time_is_that_of_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let modified = "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
    let web = serving(b"new", modified);
    let file = folder.path().join("x");
    fs::write(&file, "old").unwrap();
    assert_code(&fetch(folder.path(), &[&web.url("/x")]), 23);
    assert_code(&fetch(folder.path(), &[&web.url("/x"), "--force"]), 0);
    assert_eq!(fs::read(&file).unwrap(), b"new");
    let seconds = || {
        let modified = fs::metadata(&file).unwrap().modified().unwrap();
        modified.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
    };
    assert_ne!(seconds(), 784_111_777);
    for more in [&[][..], &["--resume"]] {
        assert_code(&fetch(folder.path(), &[&[web.url("/x").as_str(), "--force", "--remote-time"], more].concat()), 0);
        assert_eq!(seconds(), 784_111_777);
    }
    let output = fetch(folder.path(), &[&serving(b"new", "").url("/x"), "--force", "--remote-time"]);
    assert_code(&output, 0);
    assert!(text(&output.stderr).contains("does not say when it was last changed"), "{}", text(&output.stderr));
    assert_ne!(seconds(), 784_111_777);
    // The bound is on what is written, unpacked and with what was there before.
    let packed = Web::saying(answer("200 OK", "Content-Encoding: gzip\r\n", &gzip(&[b'x'; 100_000])));
    assert_code(&fetch(folder.path(), &[&packed.url("/x"), "--force", "--max-size", "99999"]), 23);
    assert_code(&fetch(folder.path(), &[&packed.url("/x"), "--force", "--max-size", "100000"]), 0);
}

#[test]
fn an_answer_that_is_cut_goes_on_by_itself_with_resume_and_retry() {
    let folder = tempfile::tempdir().unwrap();
    let body = bytes(1_000_000);
    let served = Served { body: body.clone(), fields: "ETag: \"v\"\r\n".to_owned() };
    let web = Web::start(move |request, stream| {
        let message = served.answer(request);
        stream.write_all(&message[..message.len().min(400_000)]).unwrap();
    });
    let output = fetch(folder.path(), &[&web.url("/x"), "--resume", "--retry", "5", "--sha256", &sha256(&body)]);
    assert_code(&output, 0);
    assert!(fs::read(folder.path().join("x")).unwrap() == body);
    assert_eq!(web.requests().len(), 3);
    assert_eq!(names(folder.path()), ["x"]);
}

#[test]
fn a_large_file_comes_in_parts_if_the_server_can_and_is_whole_or_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let body = bytes(5_000_000);
    let digest = sha256(&body);
    let web = serving(&body, "ETag: \"v\"\r\n");
    let output = fetch(folder.path(), &[&web.url("/x"), "--parts", "4", "--sha256", &digest]);
    assert_code(&output, 0);
    assert_eq!(text(&output.stderr), "saved x, 5000000 bytes\n");
    assert!(text(&output.stdout).starts_with("HTTP/1.1 200 OK\r\n"));
    let mut ranges: Vec<String> = web
        .requests()
        .iter()
        .filter_map(|request| Some(request.split("\r\nRange: ").nth(1)?.lines().next()?.to_owned()))
        .collect();
    ranges.sort();
    assert_eq!(ranges, ["bytes=1250000-2499999", "bytes=2500000-3749999", "bytes=3750000-4999999"]);
    assert_code(
        &fetch(
            folder.path(),
            &[&web.url("/x"), "--force", "--parts", "64", "--limit-rate", "20m", "--sha256", &digest],
        ),
        0,
    );
    // In one: it is small, has no strong validator, or the server has no ranges.
    let plain = answer("200 OK", "ETag: \"v\"\r\nContent-Length: 5000000\r\n", &body);
    for web in [serving(&body[..1_500_000], "ETag: \"v\"\r\n"), serving(&body, "ETag: W/\"v\"\r\n"), Web::saying(plain)]
    {
        assert_code(&fetch(folder.path(), &[&web.url("/x"), "--force", "--parts", "4"]), 0);
        assert_eq!(web.requests().len(), 1);
    }
    assert_code(&fetch(folder.path(), &[&web.url("/x"), "--force", "--parts", "4", "--max-size", "4m"]), 23);
    // More than anybody has.
    let fields = format!("ETag: \"v\"\r\nAccept-Ranges: bytes\r\nContent-Length: {}\r\n", u64::MAX);
    let boast = Web::saying(answer("200 OK", &fields, b"x"));
    let output = fetch(folder.path(), &[&boast.url("/x"), "--force", "--parts", "4"]);
    assert!(matches!(code(&output), 18 | 56), "{}", text(&output.stderr));
    assert!(fs::read(folder.path().join("x")).unwrap() == body);
    // Another version, and an end in the middle, of a part: all of it fails, though others hang.
    for (expected, says) in [(56, "it has changed meanwhile"), (18, "the answer ended before")] {
        let served = Served { body: body.clone(), fields: "ETag: \"v\"\r\n".to_owned() };
        let (release, released) = channel::<()>();
        let released = Mutex::new(released);
        let web = Web::start(move |request, stream| {
            let message = served.answer(request);
            if !request.contains("\r\nRange: bytes=2500000-") {
                let _ = stream.write_all(&message[..message.len().min(1_000_000)]);
                let _ = released.lock().unwrap().recv();
                return;
            }
            let message = if expected == 56 { ok(b"other") } else { message[..1000].to_vec() };
            stream.write_all(&message).unwrap();
        });
        let output = fetch(folder.path(), &[&web.url("/y"), "--parts", "4"]);
        assert_code(&output, expected);
        assert!(text(&output.stderr).contains(says), "{}", text(&output.stderr));
        assert_eq!(names(folder.path()), ["x"]);
        drop(release);
    }
}
