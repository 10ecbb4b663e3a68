//! `serve --files` and files that change: no client takes one version for another, or joins two of them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use support::files::{Answer, Client};
use support::{Server, until};

fn serve(folder: &Path) -> Server {
    Server::start_at(&["http://127.0.0.1:0"], &["--files", folder.to_str().unwrap(), "-q", "--upload"])
}

/// Writes a file that has the time of one that was built: the same for every version.
fn build(path: &Path, content: &str, seconds: u64) {
    fs::write(path, content).unwrap();
    let file = File::options().write(true).open(path).unwrap();
    file.set_modified(UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
}

/// The answer once the file has come to rest, when its tag is a strong one.
fn rested(client: &mut Client, path: &str) -> Answer {
    let mut last = None;
    until("a strong tag", || {
        let answer = client.get(path, "");
        let is_strong = answer.field("etag").is_some_and(|tag| tag.starts_with('"'));
        last = Some(answer);
        is_strong
    });
    last.unwrap()
}

/// What each way of replacing a file by one of the same length and time comes to.
#[test]
fn a_file_replaced_by_one_of_the_same_length_and_time_is_another() {
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    for seconds in [1, 315_532_800, 1_700_000_000] {
        let ways: [(&str, &dyn Fn()); 4] = [
            ("written in place", &|| build(&at("site/page"), "new version", seconds)),
            ("renamed over it", &|| {
                build(&at("other"), "new version", seconds);
                fs::rename(at("other"), at("site/page")).unwrap();
            }),
            ("a link to another build", &|| {
                fs::create_dir_all(at("builds")).unwrap();
                build(&at("builds/page"), "new version", seconds);
                fs::remove_dir_all(at("site")).unwrap();
                symlink("builds", at("site")).unwrap();
            }),
            ("removed and made anew", &|| {
                fs::remove_file(at("site/page")).unwrap();
                build(&at("site/page"), "new version", seconds);
            }),
        ];
        for (way, replace) in ways {
            let _ = fs::remove_file(at("site"));
            let _ = fs::remove_dir_all(at("site"));
            fs::create_dir(at("site")).unwrap();
            build(&at("site/page"), "old version", seconds);
            let server = serve(place.path());
            let mut client = Client::new(&server);
            let old = rested(&mut client, "/site/page");
            let tag = old.field("etag").unwrap().to_owned();
            assert_eq!(old.field("last-modified").is_some(), seconds > 1, "{way}");
            let has = format!("If-None-Match: {tag}\r\n");
            assert_eq!(client.get("/site/page", &has).status, 304, "{way}");
            let part = format!("Range: bytes=4-\r\nIf-Range: {tag}\r\n");
            assert_eq!(client.get("/site/page", &part).status, 206, "{way}");
            replace();
            for field in [&has, &part] {
                let answer = client.get("/site/page", field);
                assert_eq!((answer.status, answer.text()), (200, "new version".into()), "{way}: {field}");
            }
            rested(&mut client, "/site/page");
            for field in [&has, &part] {
                let answer = client.get("/site/page", field);
                assert_eq!((answer.status, answer.text()), (200, "new version".into()), "{way}: {field}");
            }
        }
    }
}

/// All of these happen within one tick of the clock that files get their times from.
#[test]
fn a_file_that_changes_as_fast_as_it_can_be_asked_for_is_never_said_to_be_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("page");
    let server = serve(folder.path());
    let mut client = Client::new(&server);
    let mut file = File::create(&path).unwrap();
    let mut tag = String::new();
    for turn in 0..2000 {
        let content = format!("{turn:08}");
        std::io::Seek::rewind(&mut file).unwrap();
        file.write_all(content.as_bytes()).unwrap();
        let field = if tag.is_empty() { String::new() } else { format!("If-None-Match: {tag}\r\n") };
        let answer = client.get("/page", &field);
        assert_eq!((answer.status, answer.text()), (200, content));
        tag = answer.field("etag").unwrap().to_owned();
        let part = client.get("/page", &format!("Range: bytes=0-3\r\nIf-Range: {tag}\r\n"));
        assert!(part.status == 200 || tag.starts_with('"'), "{tag}");
    }
}

#[test]
fn a_date_joins_nothing() {
    let folder = tempfile::tempdir().unwrap();
    build(&folder.path().join("page"), "0123456789", 1_700_000_000);
    let server = serve(folder.path());
    let mut client = Client::new(&server);
    let date = rested(&mut client, "/page").field("last-modified").unwrap().to_owned();
    let answer = client.get("/page", &format!("Range: bytes=4-\r\nIf-Range: {date}\r\n"));
    assert_eq!((answer.status, answer.text()), (200, "0123456789".into()));
    assert_eq!(client.get("/page", &format!("If-Modified-Since: {date}\r\n")).status, 304);
}

/// What a client stored and knows by the tag of the answer, it may store again as long as no other client has.
#[test]
fn what_was_stored_is_known_by_its_tag() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(folder.path());
    let mut client = Client::new(&server);
    let stored = client.ask("PUT", "/page", "", b"one");
    assert_eq!(stored.status, 201);
    let tag = stored.field("etag").unwrap().to_owned();
    assert_eq!(rested(&mut client, "/page").field("etag"), Some(tag.as_str()));
    assert_eq!(client.get("/page", &format!("If-None-Match: {tag}\r\n")).status, 304);
    let mine = format!("If-Match: {tag}\r\n");
    assert_eq!(client.ask("PUT", "/page", &mine, b"two").status, 204);
    assert_eq!(client.ask("PUT", "/page", &mine, b"six").status, 412);
    assert_eq!(client.get("/page", "").text(), "two");
}
