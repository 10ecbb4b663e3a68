//! `serve --files --upload`: files that are stored from the page of a folder, with and without its script, and new folders.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;
use std::process::Command;

use serde_json::json;
use support::browser::Browser;
use support::files::Client;
use support::web::{bytes, names};
use support::{Server, assert_code, files_of, need, run_command, text, until};

fn serve(flags: &[&str]) -> (tempfile::TempDir, Server) {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("sub folder")).unwrap();
    let path = folder.path().to_str().unwrap().to_owned();
    let server = Server::start_at(&["http://127.0.0.1:0"], &[&["--upload", "--files", &path], flags].concat());
    (folder, server)
}

fn curl(server: &Server, path: &str, arguments: &[&str]) -> String {
    need("curl");
    let mut curl = Command::new("curl");
    curl.args(["-sS", "--noproxy", "*", "-w", " %{http_code}"]).args(arguments);
    let output = run_command(curl.arg(format!("http://{}{path}", server.address())), b"");
    assert_code(&output, 0);
    text(&output.stdout).rsplit(' ').next().unwrap().to_owned()
}

/// Files in a folder that a process has open.
fn being_stored(pid: u32, folder: &std::path::Path) -> usize {
    let all = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let inside = |path: std::path::PathBuf| path.starts_with(folder) && path != folder;
    all.filter(|entry| entry.as_ref().is_ok_and(|entry| fs::read_link(entry.path()).is_ok_and(inside))).count()
}

/// Under few open files, uploads leave enough for clients that read, and for those who come in.
#[test]
fn many_uploads_at_once_are_told_to_come_again_and_cost_others_nothing() {
    for (limit, most) in [(64, 8), (256, 16)] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("page"), "read by all").unwrap();
        let path = folder.path().to_str().unwrap();
        let nofile = format!("--nofile={limit}:{limit}");
        let arguments = ["--upload", "--files", path, "-q"];
        let server = Server::start_with(&["prlimit", &nofile], &["http://127.0.0.1:0"], &arguments);
        let part = |name: &str| {
            format!("--x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"{name}\"\r\n\r\ncontent\r\n")
        };
        let begin = |number: usize, files: usize| {
            let parts: String = (0..files).map(|file| part(&format!("{number}-{file}"))).collect();
            let mut client = Client::new(&server);
            let head = "Content-Type: multipart/form-data; boundary=x\r\nTransfer-Encoding: chunked\r\n";
            let chunk = format!("{:x}\r\n{parts}\r\n", parts.len());
            client.say(format!("POST / HTTP/1.1\r\nHost: localhost\r\n{head}\r\n{chunk}").as_bytes());
            client
        };
        // As many as there are places for, several to a form, and none of them ends.
        let mut forms: Vec<Client> = (0..most / 4).map(|number| begin(number, 4)).collect();
        until("the files are open", || being_stored(server.child.id(), folder.path()) == most);
        let refused = begin(100, 3).hear("POST");
        assert_eq!((refused.status, refused.field("Retry-After")), (503, Some("1")));
        let put = Client::new(&server).ask("PUT", "/other", "", b"x");
        assert_eq!(put.status, 503);
        // A form that alone is too much.
        for mut form in forms.drain(..most / 8) {
            form.say(b"7\r\n--x--\r\n\r\n0\r\n\r\n");
            assert_eq!(form.hear("POST").status, 303);
        }
        assert_eq!(begin(200, most + 1).hear("POST").status, 503);
        // A client that reads does not notice, and there is room for new ones.
        let readers: Vec<Client> = (0..limit / 4).map(|_| Client::new(&server)).collect();
        for mut reader in readers {
            let answer = reader.get("/page", "");
            assert_eq!((answer.status, answer.text().as_str()), (200, "read by all"));
        }
        for mut form in forms {
            form.say(b"7\r\n--x--\r\n\r\n0\r\n\r\n");
            assert_eq!(form.hear("POST").status, 303);
        }
        let mut again = begin(300, most);
        again.say(b"7\r\n--x--\r\n\r\n0\r\n\r\n");
        assert_eq!(again.hear("POST").status, 303);
        assert_eq!(names(folder.path()).len(), 1 + most + most);
    }
}

#[test]
fn a_form_without_a_script_stores_several_files_over_every_version() {
    let (folder, server) = serve(&[]);
    let here = tempfile::tempdir().unwrap();
    let at = |name: &str| here.path().join(name).to_str().unwrap().to_owned();
    fs::write(at("large"), bytes(3_000_000)).unwrap();
    fs::write(at("empty"), "").unwrap();
    for (number, version) in ["--http1.1", "--http1.0", "--http2-prior-knowledge"].into_iter().enumerate() {
        let large = format!("file=@{};filename=large {number}", at("large"));
        let empty = format!("file=@{};filename=\"quote \\\" ü {number}\"", at("empty"));
        assert_eq!(curl(&server, "/sub%20folder/", &[version, "-F", &large, "-F", &empty]), "303", "{version}");
        let stored = fs::read(folder.path().join(format!("sub folder/large {number}"))).unwrap();
        assert!(stored == bytes(3_000_000));
        assert_eq!(fs::read(folder.path().join(format!("sub folder/quote \" ü {number}"))).unwrap(), b"");
        // What is there stays, and so does what came with it.
        let new = format!("file=@{};filename=new", at("empty"));
        assert_eq!(curl(&server, "/sub%20folder/", &[version, "-F", &new, "-F", &large]), "409");
        assert!(!folder.path().join("sub folder/new").exists());
    }
    assert_eq!(curl(&server, "/", &["-F", "folder=made"]), "303");
    assert!(folder.path().join("made").is_dir());
    for (path, fields, status) in [
        ("/", "folder=made", "409"),
        ("/", "folder=../up", "400"),
        ("/", "folder=.git", "403"),
        ("/none/", "folder=x", "409"),
        ("/.x/", "folder=x", "403"),
    ] {
        assert_eq!(curl(&server, path, &["-F", fields]), status, "{path} {fields}");
    }
    assert_eq!(curl(&server, "/", &["-d", "folder=x"]), "415");
    assert_eq!(names(folder.path()), ["made", "sub folder"]);
}

#[test]
fn folders_are_made_by_a_method_of_their_own() {
    let (folder, server) = serve(&[]);
    let mut client = Client::new(&server);
    fs::write(folder.path().join("file"), "").unwrap();
    for (path, status) in [
        ("/new", 201),
        ("/new/", 405),
        ("/new/er/", 201),
        ("/a%20b", 201),
        ("/file", 405),
        ("/file/x", 409),
        ("/none/x", 409),
        ("/.hidden", 403),
        ("/../up", 404),
        ("/x%2fy", 404),
        ("/", 405),
    ] {
        assert_eq!(client.ask("MKCOL", path, "", b"").status, status, "{path}");
    }
    assert_eq!(client.ask("MKCOL", "/body", "", b"<x/>").status, 415);
    assert!(folder.path().join("new/er").is_dir() && folder.path().join("a b").is_dir());
    assert_eq!(names(folder.path()), ["a b", "file", "new", "sub folder"]);
    let closed = Server::start_at(&["http://127.0.0.1:0"], &["-q", "--files", folder.path().to_str().unwrap()]);
    for method in ["MKCOL", "POST"] {
        let refused = Client::new(&closed).ask(method, "/closed/", "", b"");
        assert_eq!((refused.status, refused.field("allow")), (405, Some("GET, HEAD, OPTIONS")));
    }
}

#[test]
fn a_page_of_another_site_stores_nothing() {
    let (folder, server) = serve(&["--write-auth", "dan:5"]);
    let form = "--X\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x\"\r\n\r\nx\r\n--X--\r\n";
    let kind = "Content-Type: multipart/form-data; boundary=X\r\nAuthorization: Basic ZGFuOjU=\r\n";
    let mut client = Client::new(&server);
    for (fields, status) in [
        ("Origin: https://evil.example\r\n", 403),
        ("Origin: null\r\n", 403),
        ("Origin: http://localhost.evil.example\r\n", 403),
        ("Origin: http://127.0.0.1:1\r\n", 403),
        ("Sec-Fetch-Site: cross-site\r\nOrigin: http://localhost\r\n", 403),
        ("Sec-Fetch-Site: same-site\r\n", 403),
    ] {
        assert_eq!(client.ask("POST", "/", &format!("{kind}{fields}"), form.as_bytes()).status, status, "{fields}");
        let made = client.ask("MKCOL", "/made", &format!("Authorization: Basic ZGFuOjU=\r\n{fields}"), b"");
        assert_eq!(made.status, status, "{fields}");
    }
    assert_eq!(names(folder.path()), ["sub folder"]);
    let nobody = "Content-Type: multipart/form-data; boundary=X\r\n";
    assert_eq!(client.ask("POST", "/", nobody, form.as_bytes()).status, 401);
    let own = format!("{kind}Origin: http://LOCALHOST\r\nSec-Fetch-Site: same-origin\r\n");
    let stored = client.ask("POST", "/", &own, form.as_bytes());
    assert_eq!((stored.status, stored.field("location")), (303, Some("/")));
    assert_eq!(fs::read(folder.path().join("x")).unwrap(), b"x");
}

#[test]
fn a_form_that_is_cut_leaves_nothing() {
    let (folder, server) = serve(&[]);
    let mut client = Client::new(&server);
    assert_eq!(client.get("/", "").status, 200);
    // What is open now is one connection, and what stays open.
    let files = files_of(server.child.id());
    client.say(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=X\r\nContent-Length: 1000\r\n\r\n--X\r\nContent-Disposition: form-data; name=f; filename=\"x\"\r\n\r\nhalf");
    drop(client);
    server.log.wait_for("closed");
    until("its file is gone", || files_of(server.child.id()) <= files);
    assert_eq!(names(folder.path()), ["sub folder"]);
}

/// The page in a browser, with files chosen as a person would.
#[test]
fn a_person_stores_files_and_makes_folders_from_the_page() {
    let (folder, server) = serve(&[]);
    let browser = Browser::start();
    let page = format!("http://{}/sub%20folder/", server.address());
    let choose = "const chosen = new DataTransfer();
         chosen.items.add(new File(['one'], 'one & two.txt'));
         chosen.items.add(new File([new Uint8Array(5000000)], 'größe.bin'));
         const form = document.querySelector('form[method=post]');
         form.querySelector('input').files = chosen.files;
         form.requestSubmit();";
    // With the script, each by itself, and the page is shown again; without it, all in one form.
    for (round, script) in [("with", true), ("without", false)] {
        browser.tools("Emulation.setScriptExecutionDisabled", &json!({"value": !script}));
        browser.open(&page);
        browser.eval(choose);
        let stored = folder.path().join("sub folder");
        until("both are stored", || {
            fs::read(stored.join("one & two.txt")).is_ok_and(|content| content == b"one")
                && fs::metadata(stored.join("größe.bin")).is_ok_and(|meta| meta.len() == 5_000_000)
        });
        until("the page shows them", || {
            let shown = browser.eval("return document.querySelector('tbody')?.innerText ?? ''");
            shown.as_str().is_some_and(|shown| shown.contains("one & two.txt") && shown.contains("größe.bin"))
        });
        // A line is written behind its answer.
        let count =
            |method: &str| server.log.all().iter().filter(|line| line.contains(&format!("\"{method} /sub"))).count();
        let expected = if script { (2, 0) } else { (2, 1) };
        until(round, || (count("PUT"), count("POST")) == expected);
        fs::remove_file(stored.join("one & two.txt")).unwrap();
        fs::remove_file(stored.join("größe.bin")).unwrap();
    }
    browser.open(&page);
    browser.eval(
        "const form = document.querySelectorAll('form[method=post]')[1];
         form.querySelector('input').value = 'new folder';
         form.requestSubmit();",
    );
    until("the folder is made", || folder.path().join("sub folder/new folder").is_dir());
    assert!(browser.console().iter().all(|line| !line.contains("Content Security Policy")), "{:?}", browser.console());
}
