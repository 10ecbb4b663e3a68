//! What people do every day with `fetch`: cookies that stay, only what is new, names from the server, many URLs, data in
//! queries, and what would be asked.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier, Mutex};
use std::time::{Duration, SystemTime};

use sockeye::verb::fetch::date;
use support::web::{Web, answer, fetch, fetch_command, names, ok};
use support::{assert_code, need, run_command, text};

#[test]
fn cookies_stay_in_a_jar_that_curl_reads_too() {
    let web = Web::start(|request, stream| {
        let set = "Set-Cookie: sid=1; Path=/; HttpOnly\r\nSet-Cookie: lang=de; Path=/; Max-Age=3600\r\n";
        let message = match request.split(' ').nth(1).unwrap() {
            "/login" => answer("302 Found", &format!("Location: /in\r\n{set}Content-Length: 0\r\n"), b""),
            "/out" => answer("200 OK", "Set-Cookie: sid=; Path=/; Max-Age=0\r\nContent-Length: 1\r\n", b"x"),
            _ => answer("200 OK", "Set-Cookie: last=2; Path=/\r\nContent-Length: 1\r\n", b"x"),
        };
        stream.write_all(&message).unwrap();
    });
    let folder = tempfile::tempdir().unwrap();
    let get = |path: &str, more: &[&str]| {
        let output =
            fetch(folder.path(), &[&[web.url(path).as_str(), "--cookie-jar", "jar", "-o", "x"], more].concat());
        assert_code(&output, 0);
        web.requests().pop().unwrap()
    };
    assert!(get("/login", &[]).contains("Cookie: sid=1; lang=de\r\n"));
    let jar = folder.path().join("jar");
    assert_eq!(fs::metadata(&jar).unwrap().permissions().mode() & 0o777, 0o600);
    let kept = fs::read_to_string(&jar).unwrap();
    assert!(kept.contains("#HttpOnly_127.0.0.1\tFALSE\t/\tFALSE\t0\tsid\t1\n"), "{kept}");
    // The last answer's are kept too, and the caller's own come first.
    assert!(get("/", &["--cookie", "own=0"]).contains("Cookie: own=0; sid=1; lang=de; last=2\r\n"));
    need("curl");
    let mut curl = std::process::Command::new("curl");
    curl.args(["-sS", "--noproxy", "*", "-b"]).arg(&jar).arg(web.url("/curl"));
    assert!(run_command(&mut curl, b"").status.success());
    assert!(web.requests().pop().unwrap().contains("lang=de"), "{:?}", web.requests().pop());
    let request = get("/out", &[]);
    assert!(request.contains("sid=1"), "{request}");
    let request = get("/", &[]);
    assert!(!request.contains("sid=") && request.contains("lang=de; last=2"), "{request}");
    fs::write(&jar, "no cookie at all\n").unwrap();
    let output = fetch(folder.path(), &[&web.url("/"), "-c", "jar", "-o", "x"]);
    assert_code(&output, 0);
    assert!(text(&output.stderr).contains("1 lines are no cookies"), "{}", text(&output.stderr));
}

#[test]
fn only_what_is_new_is_fetched_by_time_and_by_tag() {
    let modified = "Sun, 06 Nov 1994 08:49:37 GMT";
    let web = Web::start(move |request, stream| {
        let is_same = request.contains("If-None-Match: \"a\"\r\n")
            || request.contains(&format!("If-Modified-Since: {modified}\r\n"));
        let fields = format!("ETag: \"a\"\r\nLast-Modified: {modified}\r\n");
        let message = match is_same {
            true => answer("304 Not Modified", &fields, b""),
            false => answer("200 OK", &format!("{fields}Content-Length: 3\r\n"), b"new"),
        };
        stream.write_all(&message).unwrap();
    });
    for flags in [&["--if-newer"][..], &["--etag", "tag"], &["--if-newer", "--etag", "tag"]] {
        let folder = tempfile::tempdir().unwrap();
        let run = || fetch(folder.path(), &[&[web.url("/x").as_str()], flags].concat());
        let file = folder.path().join("x");
        assert_code(&run(), 0);
        assert_eq!(fs::read(&file).unwrap(), b"new");
        let output = run();
        assert_code(&output, 0);
        assert!(text(&output.stderr).contains("not changed"), "{flags:?}: {}", text(&output.stderr));
        // An older file is replaced, and so is one that is gone whatever tag was kept.
        fs::write(&file, "old").unwrap();
        fs::File::options()
            .write(true)
            .open(&file)
            .unwrap()
            .set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(9))
            .unwrap();
        if flags.contains(&"--etag") {
            fs::write(folder.path().join("tag"), "\"b\"\n").unwrap();
        }
        assert_code(&run(), 0);
        assert_eq!(fs::read(&file).unwrap(), b"new", "{flags:?}");
        fs::remove_file(&file).unwrap();
        assert_code(&run(), 0);
        assert_eq!(fs::read(&file).unwrap(), b"new", "{flags:?}");
    }
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("x"), "mine").unwrap();
    let before = web.requests().len();
    assert_code(&fetch(folder.path(), &[&web.url("/x"), "--skip-existing"]), 0);
    assert_eq!((web.requests().len(), fs::read(folder.path().join("x")).unwrap()), (before, b"mine".to_vec()));
    assert_code(&fetch(folder.path(), &[&web.url("/y"), "--skip-existing"]), 0);
    assert_eq!(names(folder.path()), ["x", "y"]);
}

#[test]
fn a_name_from_the_server_is_made_harmless_and_a_folder_is_made() {
    for (offered, expected) in [
        ("attachment; filename=\"report 1.pdf\"", "report 1.pdf"),
        ("attachment; filename*=UTF-8''%e2%82%ac.txt", "€.txt"),
        ("attachment; filename=\"../../etc/passwd\"", "_._.._etc_passwd"),
        ("attachment; filename=\"/etc/passwd\"", "_etc_passwd"),
        ("attachment; filename=.bashrc", "_bashrc"),
        ("attachment; filename=\"a%2fb\"", "a_b"),
        ("attachment; filename=\"-rf\"", "_rf"),
        ("attachment; filename=\"x\u{1b}[2J\"", "x_[2J"),
        ("attachment", "download"),
        ("inline; filename=\"\"", "download"),
    ] {
        let web =
            Web::saying(answer("200 OK", &format!("Content-Disposition: {offered}\r\nContent-Length: 1\r\n"), b"x"));
        let folder = tempfile::tempdir().unwrap();
        assert_code(&fetch(folder.path(), &[&web.url("/download?id=1"), "-J", "--dir", "in/here"]), 0);
        assert_eq!(names(&folder.path().join("in/here")), [expected], "{offered}");
        assert_eq!(names(folder.path()), ["in"], "{offered}");
        // Never over another file, unless asked to.
        assert_code(&fetch(folder.path(), &[&web.url("/download"), "-J", "--output-dir", "in/here"]), 23);
        assert_code(&fetch(folder.path(), &[&web.url("/download"), "-J", "--dir", "in/here", "--skip-existing"]), 0);
        assert_code(&fetch(folder.path(), &[&web.url("/download"), "-J", "--dir", "in/here", "--force"]), 0);
    }
}

#[test]
fn each_of_several_urls_has_its_own_place_and_a_list_may_be_a_file() {
    let web = Web::start(|request, stream| {
        stream.write_all(&ok(request.split(' ').nth(1).unwrap().as_bytes())).unwrap();
    });
    let folder = tempfile::tempdir().unwrap();
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    assert_code(&fetch(folder.path(), &[&web.url("/a"), "-o", "one", &web.url("/b"), "-o", "two"]), 0);
    assert_eq!((read("one").as_str(), read("two").as_str()), ("/a", "/b"));
    for wrong in [&["-o", "one"][..], &["-o", "one", "-o", "two", "-o", "three"]] {
        assert_code(&fetch(folder.path(), &[&[web.url("/a").as_str(), &web.url("/b")], wrong].concat()), 2);
    }
    let list = format!("# mine\n{}\n\n  {}\r\n", web.url("/c"), web.url("/d"));
    fs::write(folder.path().join("list"), &list).unwrap();
    assert_code(&fetch(folder.path(), &["--urls", "list", "--dir", "l"]), 0);
    assert_eq!((read("l/c").as_str(), read("l/d").as_str()), ("/c", "/d"));
    let mut command = fetch_command(folder.path());
    assert_code(&run_command(command.args(["--urls", "-", &web.url("/e"), "--dir", "m"]), list.as_bytes()), 0);
    assert_eq!(names(&folder.path().join("m")), ["c", "d", "e"]);
    for empty in ["", "# nothing\n"] {
        fs::write(folder.path().join("list"), empty).unwrap();
        assert_code(&fetch(folder.path(), &["--urls", "list"]), 2);
    }
    assert_code(&fetch(folder.path(), &["--urls", "none"]), 2);
}

#[test]
fn data_is_joined_encoded_and_put_into_a_query() {
    let web = Web::saying(ok(b"x"));
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "a b\n&").unwrap();
    for (arguments, expected) in [
        (&["-d", "a=1", "-d", "b=2"][..], "a=1&b=2"),
        (&["--data", "a=1", "--data", "@file"], "a=1&a b\n&"),
        (&["--data-urlencode", "q=a b&c=ü"], "q=a+b%26c%3D%C3%BC"),
        (&["--data-urlencode", "a b"], "a+b"),
        (&["--data-urlencode", "=a=b"], "a%3Db"),
        (&["--data-urlencode", "@file"], "a+b%0A%26"),
        (&["-d", "x=1", "--data-urlencode", "f@file"], "x=1&f=a+b%0A%26"),
    ] {
        assert_code(&fetch(folder.path(), &[&[web.url("/").as_str(), "-o", "x"], arguments].concat()), 0);
        let request = web.requests().pop().unwrap();
        assert!(request.starts_with("POST / HTTP/1.1\r\n"), "{request}");
        assert!(request.contains("Content-Type: application/x-www-form-urlencoded\r\n"), "{request}");
        assert_eq!(request.split_once("\r\n\r\n").unwrap().1, expected, "{arguments:?}");
    }
    for (path, arguments, expected) in [
        ("/", &["-d", "a=1", "-d", "b=2"][..], "/?a=1&b=2"),
        ("/?x", &["-d", "a=1"], "/?x&a=1"),
        ("/?", &["--data-urlencode", "q=a b#c"], "/?q=a+b%23c"),
        ("/", &["-d", "a#b c"], "/?a%23b%20c"),
        ("/y", &[], "/y"),
    ] {
        assert_code(&fetch(folder.path(), &[&[web.url(path).as_str(), "-G", "-o", "x"], arguments].concat()), 0);
        let request = web.requests().pop().unwrap();
        assert!(request.starts_with(&format!("GET {expected} HTTP/1.1\r\n")), "{request}");
        assert!(request.ends_with("\r\n\r\n") && !request.contains("Content-"), "{request}");
    }
}

/// Whatever flags say it, and in whatever order, what is sent is what curl sends.
#[test]
fn data_of_all_kinds_goes_in_the_order_of_the_flags_as_by_curl() {
    need("curl");
    let web = Web::saying(ok(b""));
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("odd"), b"a b\r\n&c\0d\n").unwrap();
    fs::write(folder.path().join("line"), b"\n").unwrap();
    fs::write(folder.path().join("text"), b"a b\r\n&c\nd\n").unwrap();
    // curl's -d @FILE is our --data-ascii: by ours, no byte of a file is lost unless it is asked for.
    let both: [(&str, &[&str]); 17] = [
        ("/", &["--data-urlencode", "q=a b", "-d", "a=1"]),
        ("/", &["-d", "a=1", "--data-urlencode", "q=a b", "--data-raw", "@x", "-d", "c=2"]),
        ("/", &["--data-binary", "@odd"]),
        ("/", &["--data-binary", "@odd", "--data-ascii", "@text", "--data-raw", "@odd"]),
        ("/", &["--data-ascii", "@line", "--data-binary", "@line"]),
        ("/", &["--data-ascii", "a\nb"]),
        ("/", &["--data-urlencode", "n@odd", "--data-urlencode", "=x=y", "--data-urlencode", "a=b=c", "-d", ""]),
        ("/", &["--data-urlencode", "~-._*!()+ "]),
        ("/", &["-d", "", "-d", "", "--data-urlencode", ""]),
        ("/", &["-X", "PUT", "--data-raw", "b", "-d", "a"]),
        ("/", &["-H", "Content-Type: text/plain", "--data-ascii", "@text", "-d", "z"]),
        ("/", &["-G", "-d", "a=1", "--data-urlencode", "q=a b", "--data-raw", "@c"]),
        ("/?x", &["-G", "--data-urlencode", "q=a b", "-d", "a=1"]),
        ("/?x", &["--data-raw", "1", "-G", "--data-ascii", "@line", "-d", "2"]),
        ("/y", &["-G", "-X", "DELETE", "--data-binary", "a", "-d", "b"]),
        ("/#part", &["-G", "--data-urlencode", "a=~"]),
        ("/", &["-G", "--head", "-d", "a=1", "--data-raw", "b"]),
    ];
    for (path, arguments) in both {
        let url = web.url(path);
        assert_code(&fetch(folder.path(), &[&[url.as_str(), "-o", "/dev/null"], arguments].concat()), 0);
        let ours = web.requests().pop().unwrap();
        let curls: Vec<&str> = arguments.iter().map(|&word| if word == "--head" { "-I" } else { word }).collect();
        let curl = std::process::Command::new("curl").args(["-sS", &url]).args(curls).current_dir(&folder).output();
        assert!(curl.unwrap().status.success(), "{arguments:?}");
        let curls = web.requests().pop().unwrap();
        let asked = |request: &str| {
            let (head, body) = request.split_once("\r\n\r\n").unwrap();
            let kind = head.lines().find(|line| line.to_ascii_lowercase().starts_with("content-type:"));
            (head.lines().next().unwrap().to_owned(), kind.map(str::to_owned), body.to_owned())
        };
        assert_eq!(asked(&ours), asked(&curls), "{arguments:?}");
    }
    // What cannot stand in a query is encoded there.
    let url = web.url("/");
    assert_code(&fetch(folder.path(), &[&url, "-o", "/dev/null", "-G", "-d", "@odd", "-d", "\u{fc}#"]), 0);
    assert!(web.requests().pop().unwrap().starts_with("GET /?a%20b%0D%0A&c%00d%0A&%C3%BC%23 HTTP/1.1\r\n"));
    // Two bodies are one too many, and some questions have none.
    for (arguments, says) in [
        (&["--head", "-d", "a"][..], "--head asks without a body"),
        (&["--parts", "2", "--data-raw", "a"], "--parts asks without a body"),
        (&["--data-json", "[]", "--data-urlencode", "a"], "'--data-json <JSON|@FILE>' cannot be used with"),
        (&["--form", "a=b", "-G"], "'--form <NAME=VALUE|NAME=@FILE>' cannot be used with"),
        (&["-T", "odd", "--data-binary", "a"], "'--upload-file <FILE>' cannot be used with"),
    ] {
        let output = fetch(folder.path(), &[&[url.as_str(), "-o", "x"], arguments].concat());
        assert_code(&output, 2);
        assert!(text(&output.stderr).contains(says), "{}", text(&output.stderr));
    }
    let output = fetch(folder.path(), &[&url, &url, "-o", "x", "-o", "y", "--data-urlencode", "a@-"]);
    assert_code(&output, 2);
}

#[test]
fn what_is_asked_is_shown_without_its_secrets() {
    let web = Web::saying(ok(b"x"));
    let folder = tempfile::tempdir().unwrap();
    let url = web.url("/x?y=1");
    let arguments = [&url, "--user", "me:secret", "--cookie", "s=secret", "-H", "X-A: b", "--data", "hello", "-o", "x"];
    let shown = fetch(folder.path(), &[&arguments[..], &["--dry-run"]].concat());
    assert_code(&shown, 0);
    assert!(web.requests().is_empty() && names(folder.path()).is_empty());
    let verbose = fetch(folder.path(), &[&arguments[..], &["-v"]].concat());
    assert_code(&verbose, 0);
    for (said, begin) in [(text(&shown.stdout), ""), (text(&verbose.stderr), "> ")] {
        for line in
            ["POST /x?y=1 HTTP/1.1", "x-a: b", "authorization: (not shown)", "cookie: (not shown)", "content-length: 5"]
        {
            assert!(said.lines().any(|other| other == format!("{begin}{line}")), "{line}: {said}");
        }
        assert!(!said.contains("secret") && !said.contains("bWU6"), "{said}");
    }
}

/// The tag of an answer is kept once its body is saved, and the next fetch asks by it.
#[test]
fn a_tag_is_kept_of_what_was_saved_and_of_nothing_else() {
    let web = Web::start(|request, stream| {
        let message = match request.split(' ').nth(1).unwrap() {
            "/gone" => answer("404 Gone", "ETag: \"gone\"\r\nContent-Length: 1\r\n", b"x"),
            "/cut" => answer("200 OK", "ETag: \"cut\"\r\nContent-Length: 9\r\n", b"half"),
            "/none" => ok(b"x"),
            "/weak" => answer("200 OK", "etag: W/\"weak\"\r\nContent-Length: 1\r\n", b"x"),
            _ => answer("200 OK", "ETag: \"x\"\r\nContent-Length: 1\r\n", b"x"),
        };
        stream.write_all(&message).unwrap();
    });
    let folder = tempfile::tempdir().unwrap();
    let get = |path: &str, more: &[&str], expected: i32| {
        let url = web.url(path);
        assert_code(&fetch(folder.path(), &[&[url.as_str(), "--etag", "tag", "-o", "file"], more].concat()), expected);
        (web.requests().pop().unwrap(), fs::read_to_string(folder.path().join("tag")).ok())
    };
    for (path, more, code) in [("/gone", &[][..], 22), ("/gone", &["--save-errors"], 22), ("/cut", &[], 18)] {
        assert_eq!(get(path, more, code).1, None, "{path}");
    }
    fs::write(folder.path().join("file"), "old").unwrap();
    let (request, kept) = get("/x", &[], 0);
    assert!(!request.contains("If-None-Match") && !request.contains("If-Modified-Since"), "{request}");
    assert_eq!(kept.as_deref(), Some("\"x\"\n"));
    let (request, kept) = get("/weak", &[], 0);
    assert!(request.contains("If-None-Match: \"x\"\r\n"), "{request}");
    assert_eq!(kept.as_deref(), Some("W/\"weak\"\n"));
    // Nothing of a fetch that failed is kept; an answer without a tag leaves none.
    assert_eq!(get("/cut", &[], 18).1.as_deref(), Some("W/\"weak\"\n"));
    let (request, kept) = get("/none", &[], 0);
    assert!(request.contains("If-None-Match: W/\"weak\"\r\n"), "{request}");
    assert_eq!(kept.as_deref(), Some(""));
    assert!(!get("/x", &[], 0).0.contains("If-None-Match"));
    // With both, the server decides by the tag (RFC 9110, section 13.2.2), and --dry-run shows what it is asked.
    let before = web.requests().len();
    let all = [&web.url("/x"), "--etag", "tag", "--if-newer", "-o", "file", "--dry-run"];
    let output = fetch(folder.path(), &all);
    assert_code(&output, 0);
    let shown = text(&output.stdout);
    assert!(shown.contains("if-none-match: \"x\"") && shown.contains("if-modified-since: "), "{shown}");
    assert_eq!(web.requests().len(), before);
}

#[test]
fn a_tag_that_cannot_be_read_or_kept_is_said() {
    let web = Web::saying(answer("200 OK", "ETag: \"x\"\r\nContent-Length: 1\r\n", b"x"));
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("file"), "old").unwrap();
    fs::write(at("long"), vec![b'x'; 8193]).unwrap();
    fs::write(at("binary"), b"\xff").unwrap();
    fs::create_dir(at("folder")).unwrap();
    for (tag, code, says) in [
        ("long", 26, "long holds no tag: it is no small file"),
        ("folder", 26, "folder holds no tag: it is no small file"),
        ("binary", 26, "cannot read the tag in binary: "),
        ("none/tag", 23, "the tag is not kept: "),
    ] {
        let output = fetch(folder.path(), &[&web.url("/x"), "--etag", tag, "-o", "file"]);
        assert_code(&output, code);
        assert!(text(&output.stderr).contains(says), "{tag}: {}", text(&output.stderr));
        assert_eq!(web.requests().len(), usize::from(code == 23), "{tag}");
    }
}

/// A server takes a time in the future for none (RFC 9110, section 13.1.3).
#[test]
fn a_file_from_the_future_is_asked_for_by_the_time_of_now() {
    let web = Web::saying("HTTP/1.1 304 Not Modified\r\n\r\n");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    fs::write(&path, "mine").unwrap();
    let asked = |time: SystemTime| {
        fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
        assert_code(&fetch(folder.path(), &[&web.url("/x"), "--if-newer"]), 0);
        let request = web.requests().pop().unwrap();
        request.lines().find_map(|line| line.strip_prefix("If-Modified-Since: ")).unwrap().to_owned()
    };
    let past = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
    assert_eq!(asked(past), "Sun, 06 Nov 1994 08:49:37 GMT");
    let before = SystemTime::now();
    let since = asked(before + Duration::from_secs(86_400));
    let took = before.elapsed().unwrap().as_secs();
    let mut times = (0..=took + 1).map(|second| date(before + Duration::from_secs(second)));
    assert!(times.any(|time| time == since), "{since}");
    assert_eq!(fs::read(&path).unwrap(), b"mine");
}

#[test]
fn several_are_fetched_at_the_same_time_and_never_more_than_allowed() {
    let under_way = Arc::new((Mutex::new((0, 0)), Barrier::new(2)));
    let seen = Arc::clone(&under_way);
    let web = Web::start(move |_, stream| {
        let (counts, pair) = &*seen;
        let mut held = counts.lock().unwrap();
        *held = (held.0 + 1, held.1.max(held.0 + 1));
        drop(held);
        // Each answer waits until another request is there.
        pair.wait();
        counts.lock().unwrap().0 -= 1;
        stream.write_all(&ok(b"x")).unwrap();
    });
    let folder = tempfile::tempdir().unwrap();
    let urls: Vec<String> = (0..8).map(|number| web.url(&format!("/{number}"))).collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    assert_code(&fetch(folder.path(), &[&urls[..], &["--jobs", "2", "--timeout", "60"]].concat()), 0);
    assert_eq!(names(folder.path()).len(), 8);
    assert_eq!(under_way.0.lock().unwrap().1, 2);
}

/// The code of the first URL that failed is that of the first in the list, whenever it failed; each failure is told.
#[test]
fn the_exit_code_is_that_of_the_first_url_in_the_list_that_failed() {
    let (told, second_is_answered) = channel();
    let (told, second_is_answered) = (Mutex::new(told), Mutex::new(second_is_answered));
    let web = Web::start(move |request, stream| {
        if request.starts_with("GET /second ") {
            stream.write_all(&answer("200 OK", "Content-Length: 9\r\n", b"half")).unwrap();
            told.lock().unwrap().send(()).unwrap();
            return;
        }
        if request.starts_with("GET /first ") {
            second_is_answered.lock().unwrap().recv().unwrap();
        }
        stream.write_all(&answer("404 Gone", "Content-Length: 0\r\n", b"")).unwrap();
    });
    let folder = tempfile::tempdir().unwrap();
    let output = fetch(folder.path(), &[&web.url("/first"), &web.url("/second"), &web.url("/third")]);
    assert_code(&output, 22);
    let said = text(&output.stderr);
    for failure in ["/first: 404 Gone", "/second: ", "/third: 404 Gone"] {
        assert!(said.contains(failure), "{failure}: {said}");
    }
    assert!(names(folder.path()).is_empty());
}

/// One that cannot be asked for, by what it is to be sent or where it goes, holds no other up.
#[test]
fn of_several_urls_one_that_has_no_place_holds_no_other_up() {
    let web = Web::saying(ok(b"x"));
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("taken"), "mine").unwrap();
    let arguments = [&web.url("/taken"), "-o", "taken/x", &web.url("/b"), "-o", "b"];
    assert_code(&fetch(folder.path(), &arguments), 23);
    assert_code(&fetch(folder.path(), &[&web.url("/taken"), &web.url("/c")]), 23);
    assert_eq!(names(folder.path()), ["b", "c", "taken"]);
    assert_eq!(fs::read(folder.path().join("taken")).unwrap(), b"mine");
    // Names that the server gives may be the same, and the second finds the first.
    let web = Web::saying(answer("200 OK", "Content-Disposition: a; filename=n\r\nContent-Length: 1\r\n", b"x"));
    let output = fetch(folder.path(), &[&web.url("/same"), &web.url("/x/same"), "-J", "--jobs", "1"]);
    assert_code(&output, 23);
    assert_eq!(names(folder.path()), ["b", "c", "n", "taken"]);
}

#[test]
fn what_would_be_asked_of_several_is_shown_in_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let urls: Vec<String> = (0..9).map(|number| format!("http://127.0.0.1:1/{number}")).collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let all = [&urls[..], &["--dry-run", "--dir", "made"]].concat();
    let output = fetch(folder.path(), &all);
    assert_code(&output, 0);
    let shown = text(&output.stdout);
    let asked: Vec<&str> = shown.lines().filter(|line| line.starts_with("http://")).collect();
    assert_eq!(asked, urls);
    assert!(names(folder.path()).is_empty());
    // Whoever reads it must not take half of it for all.
    let mut command = fetch_command(folder.path());
    command.args(&all).stdout(fs::File::options().write(true).open("/dev/full").unwrap());
    let status = command.stdin(std::process::Stdio::null()).stderr(std::process::Stdio::null()).status().unwrap();
    assert_eq!(status.code(), Some(23));
}
