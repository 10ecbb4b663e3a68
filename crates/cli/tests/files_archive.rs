//! `serve --files --archive`: a folder as one file, unpacked by the programs that people have.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use support::files::Client;
use support::web::bytes;
use support::{Server, assert_code, files_of, need, run_command, text, until};

/// A folder with what archives get wrong, and its server.
fn place() -> (tempfile::TempDir, Server) {
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    fs::create_dir_all(at("site/ein Ordner/tief/leer")).unwrap();
    fs::write(at("outside"), "canary").unwrap();
    let long = "l".repeat(200);
    for (name, content) in [
        ("a.txt", "a"),
        ("empty", ""),
        ("größe.txt", "umlaut"),
        ("tief/日本語 & \"x\".txt", "deep"),
        (long.as_str(), "long"),
        (".hidden", "no"),
        ("tief/.git", "no"),
    ] {
        fs::write(at("site/ein Ordner").join(name), content).unwrap();
    }
    fs::write(at("site/ein Ordner/big"), bytes(300_000)).unwrap();
    fs::set_permissions(at("site/ein Ordner/a.txt"), fs::Permissions::from_mode(0o750)).unwrap();
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_001);
    fs::File::open(at("site/ein Ordner/a.txt")).unwrap().set_modified(then).unwrap();
    for (to, link) in
        [("../../outside", "leads out"), ("a.txt", "inside"), ("..", "up"), ("/etc", "etc"), ("nothing", "dangling")]
    {
        symlink(to, at("site/ein Ordner").join(link)).unwrap();
    }
    let server =
        Server::start_at(&["http://127.0.0.1:0"], &["-q", "--archive", "--files", at("site").to_str().unwrap()]);
    (place, server)
}

/// What was unpacked: names and contents.
fn unpacked(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = vec![];
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
            assert!(!path.is_symlink(), "{name}");
            if path.is_dir() {
                folders.push(path);
                found.push((name + "/", vec![]));
            } else {
                found.push((name, fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

fn expected() -> Vec<(String, Vec<u8>)> {
    let mut all = vec![];
    let long = "l".repeat(200);
    let note = "ein Ordner/up: is a link to a folder\n";
    for (name, content) in [
        ("", ""),
        ("(not included).txt", note),
        ("a.txt", "a"),
        ("empty", ""),
        ("größe.txt", "umlaut"),
        ("inside", "a"),
        (long.as_str(), "long"),
        ("tief/", ""),
        ("tief/leer/", ""),
        ("tief/日本語 & \"x\".txt", "deep"),
    ] {
        all.push((format!("ein Ordner/{name}"), content.as_bytes().to_vec()));
    }
    all.push(("ein Ordner/big".to_owned(), bytes(300_000)));
    all.sort();
    all
}

fn download(server: &Server, query: &str, version: &str, to: &Path) {
    need("curl");
    let url = format!("http://{}/ein%20Ordner/?{query}", server.address());
    let mut curl = Command::new("curl");
    curl.args(["-sSf", "--noproxy", "*", version, "-o"]).arg(to).arg(url);
    assert_code(&run_command(&mut curl, b""), 0);
}

#[test]
fn a_folder_is_unpacked_as_it_is_by_every_program() {
    let (_place, server) = place();
    let python = "import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); assert z.testzip() is None; z.extractall()";
    let python_tar = "import sys, tarfile; tarfile.open(sys.argv[1]).extractall()";
    let programs: [(&str, &[&str]); 6] = [
        ("zip", &["unzip", "-q"]),
        ("zip", &["bsdtar", "-xf"]),
        ("zip", &["python3", "-c", python]),
        ("tar", &["tar", "-xf"]),
        ("tar", &["bsdtar", "-xf"]),
        ("tar", &["python3", "-c", python_tar]),
    ];
    for (at, version) in ["--http1.1", "--http1.0", "--http2-prior-knowledge"].into_iter().enumerate() {
        for (query, program) in &programs[..] {
            // Each program once over each version would only be slow.
            if at > 0 && !matches!(program[0], "unzip" | "tar") {
                continue;
            }
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("archive");
            download(&server, query, version, &file);
            fs::create_dir(folder.path().join("here")).unwrap();
            need(program[0]);
            let mut command = Command::new(program[0]);
            command.args(&program[1..]).arg(&file).current_dir(folder.path().join("here")).env("LC_ALL", "C.UTF-8");
            assert_code(&run_command(&mut command, b""), 0);
            let found = unpacked(&folder.path().join("here"));
            let names = |all: &[(String, Vec<u8>)]| all.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
            let wanted = expected();
            assert_eq!(names(&found), names(&wanted), "{program:?}");
            assert!(found == wanted, "{program:?}");
            let file = folder.path().join("here/ein Ordner/a.txt");
            let meta = fs::metadata(&file).unwrap();
            if program[0] != "python3" {
                assert_eq!(meta.permissions().mode() & 0o777, 0o750, "{program:?}");
                let modified = meta.modified().unwrap().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
                assert_eq!(modified, 1_000_000_001, "{program:?}");
            }
        }
    }
}

#[test]
fn it_is_read_from_a_pipe_too_and_head_says_what_it_is() {
    let (_place, server) = place();
    need("bsdtar");
    for query in ["zip", "tar", "download=zip", "zip="] {
        let mut client = Client::new(&server);
        let answer = client.get(&format!("/ein%20Ordner/?{query}"), "");
        let ending = if query.contains("zip") { "zip" } else { "tar" };
        assert_eq!(
            answer.field("content-disposition"),
            Some(
                format!("attachment; filename=\"ein Ordner.{ending}\"; filename*=UTF-8''ein%20Ordner.{ending}")
                    .as_str()
            )
        );
        let output = run_command(Command::new("bsdtar").args(["-tf", "-"]).env("LC_ALL", "C.UTF-8"), &answer.content);
        assert_code(&output, 0);
        assert!(text(&output.stdout).contains("ein Ordner/tief/日本語 & \"x\".txt\n"), "{}", text(&output.stdout));
        let head = client.ask("HEAD", &format!("/ein%20Ordner/?{query}"), "", b"");
        assert_eq!((head.status, head.field("content-type")), (200, answer.field("content-type")));
        // The connection goes on.
        assert_eq!(client.get("/ein%20Ordner/a.txt", "").text(), "a");
    }
}

#[test]
fn the_root_has_a_name_and_without_the_flag_there_is_a_page() {
    let (place, server) = place();
    let mut client = Client::new(&server);
    let root = client.get("/?tar", "");
    assert!(root.head.contains("filename=\"files.tar\""), "{}", root.head);
    assert!(text(&root.content[..512]).starts_with("files/ein Ordner/"), "{}", text(&root.content[..512]));
    assert_eq!(client.get("/ein%20Ordner?zip", "").field("location"), Some("/ein%20Ordner/?zip"));
    let site = place.path().join("site");
    let plain = Server::start_at(&["http://127.0.0.1:0"], &["-q", "--files", site.to_str().unwrap()]);
    let page = Client::new(&plain).get("/ein%20Ordner/?zip", "");
    assert_eq!(page.field("content-type"), Some("text/html; charset=utf-8"));
    assert!(!page.text().contains("name=\"zip\"") && client.get("/ein%20Ordner/", "").text().contains("name=\"zip\""));
}

#[test]
fn a_client_that_leaves_or_does_not_read_costs_neither_memory_nor_files() {
    let (place, server) = place();
    let pid = server.child.id();
    let site = place.path().join("site");
    fs::create_dir(site.join("large")).unwrap();
    for name in 0..40 {
        fs::File::create(site.join(format!("large/{name}"))).unwrap().set_len(50 << 20).unwrap();
    }
    // Each loop begins its threads when it needs them first.
    let mut all: Vec<Client> = (0..8).map(|_| Client::new(&server)).collect();
    for client in &mut all {
        assert_eq!(client.get("/ein%20Ordner/?zip", "").status, 200);
    }
    let mut warm = all.swap_remove(0);
    let (before, files) = (support::resident(pid), files_of(pid));
    let mut deaf: Vec<_> = (0..20).map(|_| server.connect()).collect();
    for client in &mut deaf {
        client.write_all(b"GET /large/?zip HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut begin = [0; 1000];
        client.read_exact(&mut begin).unwrap();
        assert!(text(&begin).contains("Transfer-Encoding: chunked"));
    }
    // Others are answered meanwhile.
    assert_eq!(warm.get("/ein%20Ordner/a.txt", "").text(), "a");
    let after = support::resident(pid);
    assert!(after < before + 20 * 512, "{before} KiB, then {after} KiB");
    drop(deaf);
    until("every file is closed", || files_of(pid) <= files);
}

#[test]
fn more_names_than_sixteen_bits_count_are_all_there() {
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    fs::create_dir_all(at("many")).unwrap();
    for name in 0..70_000 {
        fs::write(at(&format!("many/{name}")), "").unwrap();
    }
    let server =
        Server::start_at(&["http://127.0.0.1:0"], &["-q", "--archive", "--files", place.path().to_str().unwrap()]);
    let file = at("zip");
    need("curl");
    let url = format!("http://{}/many/?zip", server.address());
    assert_code(&run_command(Command::new("curl").args(["-sSf", "--noproxy", "*", "-o"]).arg(&file).arg(url), b""), 0);
    need("python3");
    let count = "import sys, zipfile; print(len(zipfile.ZipFile(sys.argv[1]).namelist()))";
    let output = run_command(Command::new("python3").args(["-c", count]).arg(&file), b"");
    assert_eq!(text(&output.stdout).trim(), "70000");
    need("unzip");
    assert_code(&run_command(Command::new("unzip").arg("-tq").arg(&file), b""), 0);
}

#[test]
fn names_of_any_bytes_are_kept_in_a_tar() {
    let place = tempfile::tempdir().unwrap();
    let names: [&[u8]; 3] = [b"latin-\xe9", b"back\\slash", &[b'\xff'; 150]];
    for name in names {
        fs::write(place.path().join(std::ffi::OsStr::from_bytes(name)), "x").unwrap();
    }
    let server =
        Server::start_at(&["http://127.0.0.1:0"], &["-q", "--archive", "--files", place.path().to_str().unwrap()]);
    let mut client = Client::new(&server);
    let here = tempfile::tempdir().unwrap();
    need("tar");
    let tar = client.get("/?tar", "").content;
    assert_code(&run_command(Command::new("tar").arg("-xf").arg("-").current_dir(here.path()), &tar), 0);
    for name in names {
        assert!(here.path().join("files").join(std::ffi::OsStr::from_bytes(name)).exists(), "{}", text(name));
    }
    // In a zip no name leads out where backslashes part folders.
    let zip = here.path().join("all.zip");
    fs::write(&zip, client.get("/?zip", "").content).unwrap();
    need("python3");
    // `orig_filename` is what the archive says; the bytes around the names hold times and sums, and so anything.
    let backslashes = "import sys, zipfile\nnames = [i.orig_filename for i in zipfile.ZipFile(sys.argv[1]).infolist()]\n\
                       sys.exit(len(names) < 3 or any('\\\\' in name for name in names))";
    assert_code(&run_command(Command::new("python3").args(["-c", backslashes]).arg(&zip), b""), 0);
}
