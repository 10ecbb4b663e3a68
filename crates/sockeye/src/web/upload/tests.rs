use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::SystemTime;

use super::*;
use crate::web::account::{Account, Accounts};
use crate::web::answer::Reply;
use crate::web::http1::write_head;
use crate::web::options::{Hidden, SiteOptions};
use crate::web::site::Site;
use crate::wire::http::request::{Parsed, parse};

fn site(folder: &Path, options: SiteOptions) -> Site {
    Site::new(Root::open(folder).unwrap(), options)
}

fn small() -> SiteOptions {
    SiteOptions { upload: Some(10), ..SiteOptions::default() }
}

/// Plays one request with its content and tells the status and the head.
fn put(site: &Site, message: &str) -> (u16, String, bool) {
    let Parsed::Whole { request, length } = parse(message.as_bytes()) else { panic!("{message:?}") };
    let (now, mut head) = (Now::new(SystemTime::now()), FieldList::default());
    let mut response = match site.answer(&request, &now, &mut head) {
        Reply::Ready(response) => response,
        Reply::Upload(mut upload) => {
            let mut rest = &message.as_bytes()[length..];
            loop {
                match upload.take(&rest[..rest.len().min(3)]) {
                    Ok(Taken { is_whole: true, .. }) => break upload.finish(&now, &mut head),
                    Ok(Taken { used: 0, .. }) if rest.len() > 3 => {
                        let taken = upload.take(rest).unwrap();
                        rest = &rest[taken.used..];
                    }
                    Ok(Taken { used: 0, .. }) => panic!("{message:?} is not whole"),
                    Ok(taken) => rest = &rest[taken.used..],
                    Err(status) => break upload.fail(status, &now, &mut head),
                }
            }
        }
    };
    let mut written = vec![];
    write_head(&mut response, &head, request.version, &mut written);
    (response.status.code(), String::from_utf8(written).unwrap(), response.keep_alive)
}

fn sized(path: &str, fields: &str, content: &str) -> String {
    format!("PUT {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n{fields}\r\n{content}", content.len())
}

#[test]
fn a_file_is_stored_and_replaced_whole() {
    let folder = tempfile::tempdir().unwrap();
    let site = site(folder.path(), small());
    fs::create_dir(folder.path().join("a")).unwrap();
    let (status, head, keep_alive) = put(&site, &sized("/a/x%20y", "", "one"));
    assert_eq!((status, keep_alive), (201, true));
    assert!(head.contains("Content-Length: 0\r\n") && head.contains("ETag: \""), "{head}");
    let path = folder.path().join("a/x y");
    assert_eq!(fs::read(&path).unwrap(), b"one");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let chunked =
        "PUT /a/x%20y HTTP/1.1\r\nHost: [::1]\r\nTransfer-Encoding: chunked\r\n\r\n2\r\ntw\r\n1\r\no\r\n0\r\n\r\n";
    let (status, head, _) = put(&site, chunked);
    assert_eq!(status, 204);
    assert!(!head.contains("Content-Length"), "{head}");
    assert_eq!(fs::read(&path).unwrap(), b"two");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(put(&site, &sized("/empty", "", "")).0, 201);
    assert_eq!(fs::read(folder.path().join("empty")).unwrap(), b"");
}

#[test]
fn what_may_not_be_stored_leaves_nothing_behind() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("root");
    fs::create_dir_all(root.join("folder")).unwrap();
    fs::create_dir(place.path().join("outside")).unwrap();
    fs::write(place.path().join("canary"), "canary").unwrap();
    fs::write(root.join(".hidden"), "old").unwrap();
    symlink("../canary", root.join("link")).unwrap();
    symlink("../outside", root.join("way")).unwrap();
    let site = site(&root, SiteOptions { hidden: Hidden::Shown, ..small() });
    let before = names(place.path());
    for (path, fields, status) in [
        ("/.hidden", "", 403),
        ("/.new", "", 403),
        ("/%2enew", "", 403),
        ("/../canary", "", 404),
        ("/..%2fcanary", "", 404),
        ("/link", "", 409),
        ("/way/x", "", 409),
        ("/folder", "", 409),
        ("/folder/", "", 409),
        ("/", "", 409),
        ("/missing/x", "", 409),
        ("/x", "Content-Range: bytes 0-1/9\r\n", 400),
        ("/x", "Content-Encoding: gzip\r\n", 415),
        ("/x", "If-Match: *\r\n", 412),
        ("/x", "Expect: more\r\n", 417),
    ] {
        let (found, _, _) = put(&site, &sized(path, fields, "new"));
        assert_eq!(found, status, "{path} {fields}");
    }
    assert_eq!(put(&site, &sized(&format!("/{}", "x".repeat(256)), "", "new")).0, 409);
    assert_eq!(put(&site, &sized("/x", "", "12345678901")).0, 413);
    let chunked =
        "PUT /x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n12345678901\r\n0\r\n\r\n";
    assert_eq!(put(&site, chunked), (413, put(&site, chunked).1, false));
    let odd = "PUT /x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n";
    assert_eq!(put(&site, odd).0, 400);
    assert_eq!(names(place.path()), before);
    assert_eq!(fs::read(place.path().join("canary")).unwrap(), b"canary");
    assert_eq!(fs::read(root.join(".hidden")).unwrap(), b"old");
}

fn names(folder: &Path) -> Vec<String> {
    let mut all = vec![];
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        all.push(path.display().to_string());
        if path.is_dir() && !path.is_symlink() {
            all.extend(names(&path));
        }
    }
    all.sort();
    all
}

#[test]
fn storing_is_for_those_who_may_and_where_it_is_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let closed = site(folder.path(), SiteOptions::default());
    let (status, head, keep_alive) = put(&closed, &sized("/x", "", "new"));
    assert_eq!((status, keep_alive), (405, true));
    assert!(head.contains("Allow: GET, HEAD, OPTIONS\r\n"), "{head}");
    let accounts = Accounts { readers: Account::new("a", "b").into_iter().collect(), writers: vec![] };
    let kept = site(folder.path(), SiteOptions { accounts, ..small() });
    assert_eq!(put(&kept, &sized("/x", "", "new")).0, 401);
    assert_eq!(put(&kept, &sized("/x", "Authorization: Basic YTpi\r\n", "new")).0, 201);
    assert_eq!(
        put(&kept, &sized("/x", "Authorization: Basic YTpi\r\n", "new").replace("localhost", "evil.example")).0,
        421
    );
}

#[test]
fn nothing_is_overwritten_by_who_wants_a_new_file() {
    let folder = tempfile::tempdir().unwrap();
    let site = site(folder.path(), small());
    let message = sized("/x", "If-None-Match: *\r\nExpect: 100-continue\r\n", "new");
    let Parsed::Whole { request, length } = parse(message.as_bytes()) else { panic!("not whole") };
    let (now, mut head) = (Now::new(SystemTime::now()), FieldList::default());
    let Reply::Upload(mut upload) = site.answer(&request, &now, &mut head) else { panic!("no upload") };
    assert!(upload.is_awaited() && head.len() == 0);
    assert!(upload.take(&message.as_bytes()[length..]).unwrap().is_whole);
    assert_eq!(upload.received(), 3);
    // Another writer was faster.
    fs::write(folder.path().join("x"), "other").unwrap();
    assert_eq!(upload.finish(&now, &mut head).status, Status::PRECONDITION_FAILED);
    assert_eq!(fs::read(folder.path().join("x")).unwrap(), b"other");
    assert_eq!(put(&site, &sized("/y", "If-None-Match: *\r\n", "new")).0, 201);
    assert_eq!(put(&site, &sized("/y", "If-None-Match: *\r\n", "new")).0, 412);
    assert_eq!(names(folder.path()).len(), 2);
}

#[test]
fn an_upload_that_ends_early_leaves_the_file_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("x"), "old").unwrap();
    let site = site(folder.path(), small());
    let message = sized("/x", "", "new");
    let Parsed::Whole { request, .. } = parse(message.as_bytes()) else { panic!("not whole") };
    let Reply::Upload(mut upload) = site.answer(&request, &Now::new(SystemTime::now()), &mut FieldList::default())
    else {
        panic!("no upload")
    };
    assert!(!upload.take(b"ne").unwrap().is_whole);
    drop(upload);
    assert_eq!(fs::read(folder.path().join("x")).unwrap(), b"old");
    assert_eq!(names(folder.path()).len(), 1);
}
