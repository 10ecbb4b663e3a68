//! How a listing is shown: HTML that loads nothing and runs nothing, and JSON.

use std::io::Write as _;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::{Direction, Entry, Key, Listing};
use crate::limits;
use crate::web::clock::Calendar;
use crate::web::escape::{push_encoded, push_html};
use crate::web::json;
use crate::web::refusal::{COLOURS, ICON};
use crate::web::root::Kind;

impl Listing<'_> {
    /// The page; its script, if it has any, runs by the nonce.
    #[must_use]
    pub fn page(&self, nonce: Option<&str>) -> Vec<u8> {
        let mut out = Vec::with_capacity(4096 + self.shown().len() * 256);
        let mut title = vec![b'/'];
        for segment in self.path.segments() {
            title.extend_from_slice(segment);
            title.push(b'/');
        }
        out.extend_from_slice(BEGIN.as_bytes());
        push_html(&mut out, &title);
        out.extend_from_slice(b"</title>\n");
        out.extend_from_slice(ICON.as_bytes());
        out.extend_from_slice(b"<style>");
        out.extend_from_slice(COLOURS.as_bytes());
        out.extend_from_slice(STYLE.as_bytes());
        out.extend_from_slice(b"</style>\n</head>\n<body>\n<h1>");
        self.push_trail(&mut out);
        out.extend_from_slice(b"</h1>\n<form>\n<table>\n<thead><tr>");
        for (key, name, class) in
            [(Key::Name, "Name", "n"), (Key::Size, "Size", "s"), (Key::Time, "Changed (UTC)", "t")]
        {
            self.push_column(&mut out, key, name, class);
        }
        out.extend_from_slice(b"</tr></thead>\n<tbody>\n");
        if !self.path.bytes().is_empty() {
            out.extend_from_slice(
                b"<tr><td class=\"n u\"><a href=\"../\">parent folder</a></td><td class=\"s\"></td><td class=\"t\"></td></tr>\n",
            );
        }
        for entry in self.shown() {
            push_row(&mut out, entry);
        }
        out.extend_from_slice(b"</tbody>\n</table>\n</form>\n");
        self.push_pages(&mut out);
        out.extend_from_slice(b"<p>");
        self.push_summary(&mut out);
        out.extend_from_slice(b"</p>\n");
        if self.offers.archives {
            out.extend_from_slice(ARCHIVES.as_bytes());
        }
        if let Some(nonce) = nonce {
            out.extend_from_slice(FORMS.as_bytes());
            let _ = writeln!(out, "<script nonce=\"{nonce}\">{SCRIPT}</script>");
        }
        out.extend_from_slice(b"</body>\n</html>\n");
        out
    }

    /// The same as JSON: `{"path", "complete", "entries": [{"name", "href", "type", "size", "modified"}]}`.
    #[must_use]
    pub fn json(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + self.entries.len() * 128);
        json::push(&mut out, &AsJson(self));
        out.push(b'\n');
        out
    }

    /// The way from the root, each step a link but the last.
    fn push_trail(&self, out: &mut Vec<u8>) {
        let steps = self.path.segments().count();
        for at in 0..=steps {
            let up = steps - at;
            if up > 0 {
                let _ = write!(out, "<a href=\"{}\">", "../".repeat(up));
            }
            match at.checked_sub(1).and_then(|at| self.path.segments().nth(at)) {
                Some(name) => push_html(out, name),
                None => out.extend_from_slice("⌂".as_bytes()),
            }
            out.extend_from_slice(if up > 0 { b"</a>/" } else { b"/" });
        }
    }

    /// A button and no link: `wget -r` follows every link, and would have each folder six times more.
    fn push_column(&self, out: &mut Vec<u8>, key: Key, name: &str, class: &str) {
        let is_this = self.view.order.key == key;
        let ascends = self.view.order.direction == Direction::Ascending;
        let sort = match key {
            Key::Name => "name",
            Key::Size => "size",
            Key::Time => "time",
        };
        let (sorted, arrow) = match (is_this, ascends) {
            (false, _) => ("", ""),
            (true, true) => (" aria-sort=\"ascending\"", " ↑"),
            (true, false) => (" aria-sort=\"descending\"", " ↓"),
        };
        let minus = if is_this && ascends { "-" } else { "" };
        let _ = write!(
            out,
            "<th class=\"{class}\"{sorted}><button name=\"sort\" value=\"{minus}{sort}\">{name}{arrow}</button></th>"
        );
    }

    /// The other pages of a large folder: links, so that a mirror of it finds every name.
    fn push_pages(&self, out: &mut Vec<u8>) {
        let (page, pages) = (self.view.page, self.pages());
        if pages == 1 {
            return;
        }
        let sort = self.view.order.sort();
        let and = if sort.is_empty() { "" } else { "&amp;" };
        out.extend_from_slice(b"<p class=\"pages\">");
        let mut push = |to: usize, rel: &str, name: &str| {
            let _ = write!(out, "<a href=\"?{sort}{and}page={to}\"{rel}>{name}</a> ");
        };
        push(1, "", "first");
        push(page.saturating_sub(1).max(1), " rel=\"prev\"", "previous");
        push((page + 1).min(pages), " rel=\"next\"", "next");
        push(pages, "", "last");
        let begin = (page - 1) * limits::LISTED + 1;
        let end = begin + self.shown().len() - 1;
        let _ = writeln!(out, "<span>page {page} of {pages}: {begin} to {end}</span></p>");
    }

    fn push_summary(&self, out: &mut Vec<u8>) {
        let folders = self.entries.iter().filter(|entry| entry.meta.kind == Kind::Folder).count();
        let files = self.entries.len() - folders;
        let sizes = self.entries.iter().filter(|entry| entry.meta.kind == Kind::File).map(|entry| entry.meta.size);
        let total = sizes.fold(0, u64::saturating_add);
        let plural = |count| if count == 1 { "" } else { "s" };
        if self.entries.is_empty() {
            out.extend_from_slice(b"This folder is empty.");
            return;
        }
        let _ = write!(out, "{folders} folder{}, {files} file{}, ", plural(folders), plural(files));
        push_size(out, total);
    }
}

fn push_row(out: &mut Vec<u8>, entry: &Entry) {
    let (class, slash) = match entry.meta.kind {
        Kind::Folder => ("n d", "/"),
        Kind::File => ("n", ""),
    };
    let _ = write!(out, "<tr><td class=\"{class}\"><a href=\"");
    push_link(out, entry);
    out.extend_from_slice(b"\"><bdi>");
    push_html(out, &entry.name);
    let _ = write!(out, "</bdi>{slash}</a></td><td class=\"s\"");
    if entry.meta.kind == Kind::File {
        let _ = write!(out, " title=\"{} bytes\">", entry.meta.size);
        push_size(out, entry.meta.size);
    } else {
        out.push(b'>');
    }
    out.extend_from_slice(b"</td><td class=\"t\"><time datetime=\"");
    push_time(out, entry, 'T', "Z");
    out.extend_from_slice(b"\">");
    push_time(out, entry, ' ', "");
    out.extend_from_slice(b"</time></td></tr>\n");
}

/// Relative to the folder's own path.
/// A listing with all its entries, whatever page is shown.
struct AsJson<'a>(&'a Listing<'a>);

impl Serialize for AsJson<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut path = vec![];
        self.0.path.push_as_folder(&mut path);
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("path", &json::text_of(&path))?;
        map.serialize_entry("complete", &true)?;
        map.serialize_entry("entries", &self.0.entries.iter().map(EntryAsJson).collect::<Vec<_>>())?;
        map.end()
    }
}

struct EntryAsJson<'a>(&'a Entry);

impl Serialize for EntryAsJson<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Entry { name, meta } = self.0;
        let written = |push: &dyn Fn(&mut Vec<u8>)| {
            let mut out = vec![];
            push(&mut out);
            String::from_utf8_lossy(&out).into_owned()
        };
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("name", &json::text_of(name))?;
        map.serialize_entry("href", &written(&|out| push_link(out, self.0)))?;
        map.serialize_entry("type", if meta.kind == Kind::File { "file" } else { "folder" })?;
        if meta.kind == Kind::File {
            map.serialize_entry("size", &meta.size)?;
        }
        map.serialize_entry("modified", &written(&|out| push_time(out, self.0, 'T', "Z")))?;
        map.end()
    }
}

fn push_link(out: &mut Vec<u8>, entry: &Entry) {
    push_encoded(out, &entry.name);
    if entry.meta.kind == Kind::Folder {
        out.push(b'/');
    }
}

fn push_time(out: &mut Vec<u8>, entry: &Entry, between: char, end: &str) {
    let Calendar { year, month, day, hour, minute, second } =
        Calendar::of(u64::try_from(entry.meta.modified.seconds).unwrap_or(0));
    let _ = write!(out, "{year:04}-{month:02}-{day:02}{between}{hour:02}:{minute:02}");
    if between == 'T' {
        let _ = write!(out, ":{second:02}");
    }
    out.extend_from_slice(end.as_bytes());
}

/// Three digits and a unit of 1024: `312 B`, `4.1 KiB`, `120 MiB`.
pub(super) fn push_size(out: &mut Vec<u8>, size: u64) {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if size < 1024 {
        let _ = write!(out, "{size} B");
        return;
    }
    // Tenths of the unit, exact enough for people and free of fractions.
    let (mut tenths, mut unit) = (u128::from(size) * 10 / 1024, 0);
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        (tenths, unit) = (tenths / 1024, unit + 1);
    }
    let name = UNITS[unit];
    let _ = match tenths {
        0..1000 => write!(out, "{}.{} {name}", tenths / 10, tenths % 10),
        _ => write!(out, "{} {name}", tenths / 10),
    };
}

/// They work without the script, too, which stores each file by itself and shows how far it is.
const FORMS: &str = "<form method=\"post\" enctype=\"multipart/form-data\"><p>Store files here: \
    <input type=\"file\" name=\"file\" aria-label=\"Files\" multiple required> <button>store</button> \
    <progress max=\"1\" value=\"0\" hidden></progress> <output></output></p></form>\n\
    <form method=\"post\" enctype=\"multipart/form-data\"><p>New folder: \
    <input name=\"folder\" aria-label=\"Name of the folder\" maxlength=\"255\" required> <button>make</button></p></form>\n";

const SCRIPT: &str = include_str!("upload.js");

/// Buttons and no links, for the same reason as those of the columns.
const ARCHIVES: &str =
    "<form><p>All of it: <button name=\"zip\">zip</button> · <button name=\"tar\">tar</button></p></form>\n";

const BEGIN: &str = "<!doctype html>
<html lang=\"en\">
<head>
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">
<meta name=\"color-scheme\" content=\"light dark\">
<title>";

const STYLE: &str = "
*{box-sizing:border-box}
body{margin:0 auto;max-width:60rem;padding:1.5rem 1rem 3rem;background:var(--paper);color:var(--ink);font:1rem/1.5 system-ui,sans-serif}
h1{margin:0 0 1rem;padding:0 .5rem;font-size:1.25rem;font-weight:600;overflow-wrap:anywhere}
a{color:var(--link);text-decoration:none}a:hover{text-decoration:underline}
table{width:100%;border-collapse:collapse}
th,td{padding:.4rem .5rem;text-align:left;border-bottom:1px solid var(--line);vertical-align:top}
th{font-size:.875rem;white-space:nowrap}
button{padding:0;border:0;background:none;color:var(--soft);font:inherit;font-weight:600;cursor:pointer}button:hover{text-decoration:underline}
tbody tr:hover{background:var(--hover)}
.n{position:relative;width:100%;padding:0;overflow-wrap:anywhere}
.n a,.n button{display:block;padding:.4rem .5rem .4rem 1.75rem}
.d::before,.u::before{position:absolute;left:.5rem;top:.4rem;color:var(--soft);content:'▸';content:'▸'/''}.u::before{content:'↰';content:'↰'/''}
.s,.t{white-space:nowrap;color:var(--soft);font-variant-numeric:tabular-nums}.s{text-align:right}
bdi{direction:ltr}
p{padding:0 .5rem;color:var(--soft);font-size:.875rem}
@media(max-width:34rem){
body{padding:1rem .25rem 2rem}
tr{display:flex;flex-wrap:wrap;border-bottom:1px solid var(--line)}th,td{border:0}
thead .n{flex:1}tbody .n{flex:0 0 100%}.n a{padding-bottom:.2rem}.u a{padding-bottom:.4rem}
tbody .s,tbody .t{padding:0 0 .4rem 1.75rem;font-size:.8125rem}tbody .s:not(:empty)+.t{padding-left:.75rem}
tbody :is(.s,.t):empty{display:none}}
";
