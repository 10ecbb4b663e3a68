//! What a page becomes whose session has an edge: as many lines as may be, folds, and marks that stand where pages break.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use transcript::import::{Import, import, why_none};

/// What is said, without comments and settings.
fn said(page: &str) -> Vec<String> {
    let text = import(page, Import::default()).unwrap_or_else(|| panic!("{page}: {}", why_none(page, None))).text;
    text.lines().filter(|line| !line.starts_with('#') && *line != "eol crlf").map(str::to_owned).collect()
}

#[test]
fn a_page_has_at_most_a_million_lines() {
    let mut page = format!("C: a\nS: b\n{}", "\n".repeat(1_000_000 - 2));
    assert!(import(&page, Import::default()).is_some());
    page.push('\n');
    assert_eq!(import(&page, Import::default()), None);
    assert_eq!(why_none(&page, None), "it has more than 1000000 lines: cut out the pages that matter");
}

#[test]
fn a_fold_is_a_space_unless_it_cuts_something_long() {
    for (page, line) in [
        ("C: see what\n   follows\nS: ok\n", "C: see what follows"),
        ("C: see\n   overthelazydogtoday1\nS: ok\n", "C: see overthelazydogtoday1"),
        ("C: dGVzdAB0ZXN0AHRlc3Q\n   and more\nS: ok\n", "C: dGVzdAB0ZXN0AHRlc3Q and more"),
        ("C: A dGVzdAB0ZXN0AHRlc3Q\n   dGVzdAB0ZXN0AHRlc3Q=\nS: ok\n", "C: A dGVzdAB0ZXN0AHRlc3QdGVzdAB0ZXN0AHRlc3Q="),
    ] {
        assert_eq!(said(page), [line, "S: ok"], "{page}");
    }
}

#[test]
fn what_somebody_says_right_behind_a_page_break_is_not_the_head_of_the_page() {
    let foot = "Myers & Rose          Standards Track          [Page 19]";
    let head = "RFC 1939                   POP3                   May 1996";
    for between in [format!("{foot}\n"), format!("\n{foot}\n\u{c}\n{head}\n\n")] {
        for [ours, theirs] in [["C:", "S:"], ["A:", "B:"], ["[A]", "[B]"]] {
            let page = format!("{ours} HELO a\n{theirs} 250 hi\n{between}{ours} QUIT\n{theirs} 221 bye\n");
            assert_eq!(said(&page), ["C: HELO a", "S: 250 hi", "C: QUIT", "S: 221 bye"], "{page}");
        }
    }
}

#[test]
fn requests_and_responses_that_are_announced_are_said_by_the_client_and_the_server() {
    let page =
        ">> Request <<\n\n   PROPFIND /a HTTP/1.1\n   Host: a\n\n>> Response <<\n\n   HTTP/1.1 207 Multi-Status\n";
    assert_eq!(said(page), ["C: PROPFIND /a HTTP/1.1", "C: Host: a", "C:", "S: HTTP/1.1 207 Multi-Status", "S:"]);
}
