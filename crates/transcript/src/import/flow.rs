//! Sessions as a flow between two columns, as the RFCs of FTP print them: `USER Doe<CRLF>---->` and `<---- 331 …`.

use super::line::{BREAK, Marker};
use super::{Item, Kind, Session};

/// A line with a long arrow in it.
enum Arrow<'a> {
    /// What stands before it is said by the client.
    Right(&'a str),
    /// What stands behind it is said by the server.
    Left(&'a str),
    /// Both sides do it.
    Both(&'a str),
}

/// The sessions of a page that has no others.
pub(super) fn sessions(lines: &[(usize, String)]) -> Vec<Session> {
    let mut items: Vec<Item> = Vec::new();
    let mut at = 0;
    // Tabs are between its columns.
    let lines: Vec<(usize, String)> =
        lines.iter().map(|(line, text)| (*line, text.replace('\t', "        "))).collect();
    while let Some((line, text)) = lines.get(at) {
        at += 1;
        let Some(arrow) = arrow(text) else { continue };
        let (kind, unfinished) = match arrow {
            Arrow::Right(said) => (Marker::C, said),
            Arrow::Left(said) => (Marker::S, said),
            Arrow::Both(what) => {
                items.push(Item { line: *line, kind: Kind::Remark(what.to_owned()) });
                continue;
            }
        };
        let mut said = unfinished.to_owned();
        // The rest of a long answer stands below, up to its ending.
        let more = lines[at..].iter().take(3).take_while(|(_, text)| text != BREAK && !text.is_empty());
        let more: Vec<&str> = more.map(|(_, text)| last_column(text.trim())).collect();
        let ends = |text: &str| text.trim_end_matches('.').ends_with("<CRLF>");
        if !ends(&said)
            && kind == Marker::S
            && let Some(count) = more.iter().position(|text| ends(text)).map(|last| last + 1)
            && lines[at..at + count].iter().all(|(_, text)| self::arrow(text).is_none())
        {
            for part in &more[..count] {
                said.push(' ');
                said.push_str(part);
            }
            at += count;
        }
        let said = said.trim_end_matches('.').strip_suffix("<CRLF>").unwrap_or(&said).trim();
        if said.ends_with("()") || said.is_empty() {
            items.push(Item { line: *line, kind: Kind::Remark(said.to_owned()) });
        } else {
            items.push(Item { line: *line, kind: Kind::Said(kind, format!(" {said}")) });
        }
    }
    items.retain(|item| !matches!(&item.kind, Kind::Remark(remark) if remark.is_empty()));
    let answers = || {
        items.iter().filter_map(|item| match &item.kind {
            Kind::Said(Marker::S, said) => Some(said.trim()),
            _ => None,
        })
    };
    // Pages are full of arrows: it is a session if the answers begin with a code.
    let coded =
        answers().filter(|said| said.len() >= 3 && said.bytes().take(3).all(|byte| byte.is_ascii_digit())).count();
    let asks = items.iter().any(|item| matches!(item.kind, Kind::Said(Marker::C, _)));
    if asks && coded > 0 && coded * 2 > answers().count() { vec![Session::of(items)] } else { vec![] }
}

/// The arrow of a line, of at least four characters.
fn arrow(text: &str) -> Option<Arrow<'_>> {
    let start = text.find("--")?;
    let dashes = text[start..].len() - text[start..].trim_start_matches('-').len();
    let end = start + dashes;
    let (to_left, to_right) = (text[..start].ends_with('<'), text[end..].starts_with('>'));
    let before = text[..start].strip_suffix('<').unwrap_or(&text[..start]).trim();
    let behind = text[end..].strip_prefix('>').unwrap_or(&text[end..]).trim();
    if dashes < 3 {
        return None;
    }
    match (to_left, to_right) {
        (true, true) => Some(Arrow::Both(if before.is_empty() { behind } else { last_column(before) })),
        (false, true) => Some(Arrow::Right(last_column(before))),
        (true, false) => Some(Arrow::Left(if behind.is_empty() { last_column(before) } else { behind })),
        (false, false) => None,
    }
}

/// What stands in the last of several columns.
fn last_column(text: &str) -> &str {
    text.rsplit("  ").next().unwrap_or(text).trim()
}
