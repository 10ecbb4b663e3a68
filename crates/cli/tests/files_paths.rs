//! `serve --files` and the names that are asked for: dots, links, and what is well known.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use support::Server;
use support::files::Client;

/// A folder `root`, and beside it what must never be seen.
fn place() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    for folder in ["root/folder", "root/.well-known/acme-challenge", "root/.git", "outside"] {
        fs::create_dir_all(place.path().join(folder)).unwrap();
    }
    for (name, content) in [
        ("root/file", "inside"),
        ("root/folder/file", "deeper"),
        ("root/.well-known/acme-challenge/token", "proof"),
        ("root/.well-known/.secret", "secret"),
        ("root/.git/config", "secret"),
        ("outside/file", "the canary"),
    ] {
        fs::write(place.path().join(name), content).unwrap();
    }
    place
}

fn serve(place: &Path, arguments: &[&str]) -> Server {
    let root = place.join("root");
    Server::start_at(&["http://127.0.0.1:0"], &[&["-q", "--files", root.to_str().unwrap()], arguments].concat())
}

#[test]
fn dots_are_removed_before_a_path_is_judged() {
    let place = place();
    let server = serve(place.path(), &["--upload"]);
    let mut client = Client::new(&server);
    for (path, content) in [
        ("/./file", "inside"),
        ("/folder/../file", "inside"),
        ("/folder/./file", "deeper"),
        ("/missing/../folder/file", "deeper"),
        ("/%2e/folder/%2E%2e/file", "inside"),
        ("/.git/../file", "inside"),
        ("/../file", "inside"),
        ("/../../../file", "inside"),
        ("/../outside/file", ""),
        ("/folder/../.git/config", ""),
        ("/folder/..%2f..%2foutside/file", ""),
    ] {
        let answer = client.get(path, "");
        let found = if answer.status == 200 { answer.text() } else { String::new() };
        assert_eq!(found, content, "{path}: {}", answer.status);
    }
    assert!(client.get("/folder/..", "").text().contains("href=\"folder/\""));
    assert_eq!(client.get("/./folder", "").field("location"), Some("/folder/"));
    // What is stored is named outright.
    assert_eq!(client.ask("PUT", "/folder/../new", "", b"x").status, 201);
    assert_eq!(client.ask("PUT", "/../other", "", b"x").status, 404);
    assert!(place.path().join("root/new").exists() && !place.path().join("root/other").exists());
}

#[test]
fn what_is_well_known_is_served_and_other_hidden_names_are_not() {
    let place = place();
    let server = serve(place.path(), &["--upload"]);
    let mut client = Client::new(&server);
    assert_eq!(client.get("/.well-known/acme-challenge/token", "").text(), "proof");
    assert!(client.get("/.well-known/", "").text().contains("acme-challenge"));
    for path in ["/.well-known/.secret", "/.git/config", "/folder/.well-known/x", "/.well-known/../.git/config"] {
        assert_eq!(client.get(path, "").status, 404, "{path}");
    }
    let listing = client.get("/.well-known/", "").text() + &client.get("/", "").text();
    assert!(!listing.contains(".secret") && !listing.contains(".git"));
    // A user who could store something there could have certificates signed for this machine.
    assert_eq!(client.ask("PUT", "/.well-known/acme-challenge/mine", "", b"x").status, 403);
}

#[test]
fn links_are_followed_as_long_as_they_end_inside() {
    let place = place();
    let at = |name: &str| place.path().join(name);
    for (link, to) in [
        ("root/relative", "folder/file".into()),
        ("root/absolute", at("root/folder/file")),
        ("root/absolute-folder", at("root/folder")),
        ("root/leaves", "../root/folder/file".into()),
        ("root/through", "../outside/back".into()),
        ("outside/back", at("root/folder/file")),
        ("root/out", at("outside/file")),
        ("root/out-folder", "../outside".into()),
        ("root/near", at("root").join("../outside/file")),
        ("root/loop", "loop".into()),
        ("root/etc", "/etc".into()),
    ] {
        symlink(to, at(link)).unwrap();
    }
    let server = serve(place.path(), &[]);
    let mut client = Client::new(&server);
    let inside = ["/relative", "/absolute", "/absolute-folder/file", "/leaves", "/through", "/out-folder/back"];
    for path in inside {
        assert_eq!(client.get(path, "").text(), "deeper", "{path}");
    }
    for path in ["/out", "/out-folder/file", "/out-folder/", "/near", "/loop", "/etc/passwd"] {
        assert_eq!(client.get(path, "").status, 404, "{path}");
    }
    // Only what would be served is listed.
    let listing = client.get("/", "").text();
    for (name, is_listed) in [("absolute", true), ("through", true), ("out", false), ("near", false), ("etc", false)] {
        assert_eq!(listing.contains(&format!("<bdi>{name}</bdi>")), is_listed, "{name}");
    }
    // Who owns the links may say that they are meant.
    let server = serve(place.path(), &["--follow-links"]);
    let mut client = Client::new(&server);
    for path in ["/out", "/out-folder/file", "/near"] {
        assert_eq!(client.get(path, "").text(), "the canary", "{path}");
    }
    assert_eq!(client.get("/loop", "").status, 404);
}
