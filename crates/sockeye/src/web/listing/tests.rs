use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::page::push_size;
use super::*;

fn listing(folder: &Path, path: &str, query: &str, hidden: Hidden, show: fn(&Listing<'_>) -> Vec<u8>) -> String {
    let root = Root::open(folder).unwrap();
    let path = RequestPath::decode(path).unwrap();
    let found = root.find(path.bytes()).unwrap();
    let listing = Listing::read(&root, found.fd, &path, hidden, View::of(query)).unwrap();
    String::from_utf8(show(&listing)).unwrap()
}

fn page(folder: &Path, path: &str, query: &str) -> String {
    listing(folder, path, query, Hidden::Kept, |listing| listing.page(None))
}

fn json(folder: &Path, path: &str, query: &str) -> String {
    listing(folder, path, query, Hidden::Kept, |listing| listing.json())
}

/// The links of a page in their order, without its icon.
fn links(page: &str) -> Vec<String> {
    let (_, page) = page.split_once("<body>").unwrap();
    page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()).map(str::to_owned).collect()
}

fn put(folder: &Path, name: &[u8], content: &str) {
    fs::write(folder.join(std::ffi::OsStr::from_bytes(name)), content).unwrap();
}

/// Row 58 of the faults.
#[test]
fn a_name_is_shown_and_never_obeyed() {
    let folder = tempfile::tempdir().unwrap();
    let names: [&[u8]; 10] = [
        b"<script>alert(1)<",
        b"\"onmouseover=\"x",
        b"'q'&amp;",
        b"line\nbreak",
        b"javascript:alert(1)",
        "\u{202e}gpj.exe".as_bytes(),
        b"\xff\xfe",
        b"\x1b[31m",
        b"a?b#c%20d",
        b" blank ",
    ];
    for name in names {
        put(folder.path(), name, "");
    }
    let page = page(folder.path(), "/", "");
    for absent in ["<script", "\"onmouseover", "'q'", "line\nbreak", "href=\"javascript:", "\u{202e}", "\x1b"] {
        assert!(!page.contains(absent), "{absent:?}");
    }
    for present in [
        "&lt;script&gt;alert(1)&lt;",
        "href=\"%3Cscript%3Ealert%281%29%3C\"",
        "&quot;onmouseover=&quot;x",
        "&#39;q&#39;&amp;amp;",
        "line{0x0a}break",
        "href=\"javascript%3Aalert%281%29\"",
        "{0xe280ae}gpj.exe",
        "href=\"%FF%FE\"",
        "href=\"a%3Fb%23c%2520d\"",
    ] {
        assert!(page.contains(present), "{present}: {page}");
    }
    assert_eq!(links(&page).len(), names.len());
    // Each link leads back to its file.
    let root = Root::open(folder.path()).unwrap();
    for link in links(&page) {
        assert!(root.find(RequestPath::decode(&format!("/{link}")).unwrap().bytes()).is_ok(), "{link}");
    }
    let json = json(folder.path(), "/", "");
    assert_eq!(json.lines().count(), names.len() + 2, "{json}");
    assert!(
        json.contains("\"name\":\"line\\nbreak\",\"href\":\"line%0Abreak\",\"type\":\"file\",\"size\":0"),
        "{json}"
    );
}

#[test]
fn what_would_not_be_served_is_not_shown() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("root");
    fs::create_dir_all(root.join("folder/.git")).unwrap();
    put(&root, b".env", "");
    put(&root, b"file", "");
    put(place.path(), b"outside", "");
    for (link, to) in
        [("in", "file"), ("out", "../outside"), ("dead", "missing"), ("device", "/dev/null"), ("way", "folder")]
    {
        std::os::unix::fs::symlink(to, root.join(link)).unwrap();
    }
    std::os::unix::fs::symlink("../file", root.join("folder/up")).unwrap();
    assert_eq!(links(&page(&root, "/", "")), ["folder/", "way/", "file", "in"]);
    assert_eq!(links(&page(&root, "/folder/", "")), ["../", "../", "up"]);
    let all = listing(&root, "/", "", Hidden::Shown, |listing| listing.page(None));
    assert_eq!(links(&all), ["folder/", "way/", ".env", "file", "in"]);
}

#[test]
fn it_is_sorted_as_its_links_say() {
    let folder = tempfile::tempdir().unwrap();
    for (at, (name, size)) in [("b", 3), ("a", 2), ("C", 1), ("d", 2)].into_iter().enumerate() {
        put(folder.path(), name.as_bytes(), &"x".repeat(size));
        let file = fs::File::options().write(true).open(folder.path().join(name)).unwrap();
        let seconds = 1_000_000_000 - at as u64 * 100;
        file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds)).unwrap();
    }
    fs::create_dir(folder.path().join("z")).unwrap();
    for (query, order) in [
        ("", ["z/", "a", "b", "C", "d"]),
        ("sort=-name", ["z/", "d", "C", "b", "a"]),
        ("sort=size", ["z/", "C", "a", "d", "b"]),
        ("sort=-size", ["z/", "b", "a", "d", "C"]),
        ("sort=time", ["z/", "d", "C", "a", "b"]),
        ("sort=-time&x=<", ["z/", "b", "a", "C", "d"]),
        ("sort=<script>", ["z/", "a", "b", "C", "d"]),
    ] {
        let page = page(folder.path(), "/", query);
        assert_eq!(links(&page), order, "{query}");
        assert!(!page.contains("<script"));
    }
    let sorted = page(folder.path(), "/", "sort=size");
    assert!(
        sorted
            .contains("<th class=\"s\" aria-sort=\"ascending\"><button name=\"sort\" value=\"-size\">Size ↑</button>")
    );
    assert!(sorted.contains("1 folder, 4 files, 8 B</p>"), "{sorted}");
    assert!(sorted.contains("<time datetime=\"2001-09-09T01:46:40Z\">2001-09-09 01:46</time>"), "{sorted}");
    assert!(sorted.contains("title=\"3 bytes\">3 B<"));
}

#[test]
fn sizes_are_for_people() {
    for (size, text) in [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (102_300, "99.9 KiB"),
        (102_400, "100 KiB"),
        (1_048_575, "1023 KiB"),
        (1_048_576, "1.0 MiB"),
        (u64::MAX, "15.9 EiB"),
    ] {
        let mut out = vec![];
        push_size(&mut out, size);
        assert_eq!(String::from_utf8(out).unwrap(), text, "{size}");
    }
}

#[test]
fn an_empty_folder_says_so_and_the_trail_leads_up() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("a/b<")).unwrap();
    let page = page(folder.path(), "/a/b%3C/", "");
    assert!(page.contains("<title>/a/b&lt;/</title>"), "{page}");
    assert!(page.contains("<h1><a href=\"../../\">⌂</a>/<a href=\"../\">a</a>/b&lt;/</h1>"), "{page}");
    assert!(page.contains("This folder is empty."));
    assert_eq!(json(folder.path(), "/a/b%3C/", ""), "{\"path\":\"/a/b%3C/\",\"complete\":true,\"entries\":[\n]}\n");
}

#[test]
fn a_large_folder_is_sorted_before_it_is_cut_into_pages() {
    let folder = tempfile::tempdir().unwrap();
    let count = limits::LISTED * 2 + 5;
    for at in 0..count {
        put(folder.path(), format!("{at:05}").as_bytes(), "");
    }
    let names = |query: &str| -> Vec<String> {
        links(&page(folder.path(), "/", query)).into_iter().filter(|link| !link.starts_with('?')).collect()
    };
    let expected = |range: std::ops::Range<usize>| range.map(|at| format!("{at:05}")).collect::<Vec<_>>();
    assert_eq!(names(""), expected(0..limits::LISTED));
    assert_eq!(names("page=2"), expected(limits::LISTED..2 * limits::LISTED));
    assert_eq!(names("page=3"), expected(2 * limits::LISTED..count));
    for beyond in ["page=4", "page=99999999999999999999&page=9999"] {
        assert_eq!(names(beyond), expected(2 * limits::LISTED..count), "{beyond}");
    }
    for none in ["page=0", "page=x", "page=-1"] {
        assert_eq!(names(none), expected(0..limits::LISTED), "{none}");
    }
    assert_eq!(names("sort=-name")[0], format!("{:05}", count - 1));
    let second = page(folder.path(), "/", "sort=-name&page=2");
    assert!(second.contains("href=\"?sort=-name&amp;page=3\" rel=\"next\""), "{second:.3000}");
    assert!(second.contains("page 2 of 3: 2001 to 4000") && second.contains("4005 files"));
    let all = json(folder.path(), "/", "page=2");
    assert!(all.contains("\"complete\":true") && all.matches("\"name\"").count() == count);
}
