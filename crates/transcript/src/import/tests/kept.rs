//! What is said stays as it is, what is not said is not, and what is left out is told.

use super::{guesses, imported, said, whole};
use crate::import::{Import, import, why_none};

fn says(page: &str, wanted: &[&str]) {
    let imported = whole(page);
    assert_eq!(said(&imported.text), wanted, "{page}\n{}", imported.text);
}

fn tells(page: &str, told: &str) {
    assert!(guesses(page).iter().any(|guess| guess.contains(told)), "{page}\n{told}\n{:?}", guesses(page));
}

#[test]
fn a_numbered_line_between_two_marks_ends_no_session_that_has_one_side() {
    for (page, wanted) in [
        ("C: LIST\nS: 150 ok\n\n1. first item\n\nS: 226 done\n", &["C: LIST", "S: 150 ok", "S: 226 done"][..]),
        ("C: a\n\n2. Next\n\nS: b\n", &["C: a", "S: b"]),
        ("C: a\nS: b\n\n2. Next\n\nC: c\nC: d\n", &["C: a", "S: b", "C: c", "C: d"]),
        ("C: a\n1. x\nS: b\n2. y\nS: c\n3. z\nC: d\n", &["C: a", "S: b", "S: c", "C: d"]),
    ] {
        says(page, wanted);
        tells(page, "is a comment");
    }
    // Between two whole sessions it is a heading.
    let page = "1. One\n\nC: a\nS: b\n\n2. Two\n\nC: c\nS: d\n";
    says(page, &["C: a", "S: b"]);
    assert_eq!(said(&imported(page, 2, false).text), ["C: c", "S: d"]);
}

#[test]
fn what_only_one_side_says_away_from_the_session_is_told() {
    let prose = "words of the page\n\n".repeat(7);
    for (page, told) in [
        (
            "  C: a\n  S: b\n\n2. Next\n\n  S: c\n".to_owned(),
            "6 what only the server says there is left out: line 4 ends the session above it",
        ),
        (
            "```\nC: a\nS: b\n```\n\n```\nS: 221 bye\n```\n".to_owned(),
            "7 what only the server says there is left out: line 4 ends the session above it",
        ),
        (
            format!("C: a\nS: b\n\n{prose}C: c\nC: d\n"),
            "18 what only the client says there is left out: line 16 ends the session above it",
        ),
        ("```\nC: c\n```\n\nC: a\nS: b\n".to_owned(), "2 what only the client says there is left out"),
        ("<- a\n-> b\n```\n<- c\n".to_owned(), "4 what only the server says there is left out"),
        ("A: a\nB: b\nA: c\n```\nB: d\n".to_owned(), "5 what only the server says there is left out"),
    ] {
        tells(&page, told);
        assert!(whole(&page).text.contains(told.split_once(' ').unwrap().1), "{page}");
    }
    // Each session has those behind it, and of many the first are named.
    let page = format!("C: a\nS: b\n```\n{}C: c\nS: d\n```\nS: e\n", "S: x\n```\n".repeat(10));
    tells(&page, "16 4 further parts, in which one side speaks, are left out");
    assert!(!guesses(&page).iter().any(|guess| guess.starts_with("27 ")));
    assert!(imported(&page, 2, false).guesses.iter().any(|(line, _)| *line == 27));
    assert!(!guesses("C: a\nS: b\n").iter().any(|guess| guess.contains("left out")));
}

#[test]
fn who_speaks_above_the_first_mark_is_told() {
    says("Client (C): a\nServer (S): b\nC: c\nS: d\n", &["C: a", "S: b", "C: c", "S: d"]);
    for line in ["P: what", "Proxy: what", "Client (subscriber): what"] {
        tells(&format!("{line}\nC: a\nS: b\n"), &format!("1 `{line}` is a comment"));
    }
    for line in ["Note: what", "Example: what", "Words of prose"] {
        assert!(
            !guesses(&format!("{line}\nC: a\nS: b\n")).iter().any(|guess| guess.contains("is a comment")),
            "{line}"
        );
    }
}

#[test]
fn tabs_that_are_said_stay() {
    for (page, wanted) in [
        ("C: a\nS: 0About\t/about\texample.org\t70\n", &["C: a", "S: 0About{0x09}/about{0x09}example.org{0x09}70"][..]),
        ("C: a\nC:\tfolded\nS: b\n", &["C: a", "C: {0x09}folded", "S: b"]),
        ("C->S: a\tb\n\tc\td\nS->C: e\n", &["C: a{0x09}b", "C: c{0x09}d", "S: e"]),
        ("-> a\tb\n<- c\td\n", &["C: a{0x09}b", "S: c{0x09}d"]),
        ("A: a\tb\nB: c\td\nA: e\n", &["C: a{0x09}b", "S: c{0x09}d", "C: e"]),
        // Those of the margin, and those that all marks have, are the printer's.
        ("\tC: a\n\tS: b\n", &["C: a", "S: b"]),
        ("C:\ta\nS:\tb\nC:\tc\n", &["C: a", "S: b", "C: c"]),
        ("Client:\ta\nServer:\tb\n", &["C: a", "S: b"]),
        ("12:00\tC:\ta\n12:01\tS:\tb\n", &["C: a", "S: b"]),
        ("->\ta\n<-\tb\n", &["C: a", "S: b"]),
        ("a:\ta\nb:\tb\na:\tc\n", &["C: a", "S: b", "C: c"]),
    ] {
        says(page, wanted);
    }
}

#[test]
fn what_stands_behind_the_widest_sign_has_no_space_in_front() {
    let page = |refusal: &str, back: &str, to: &str| {
        format!(
            "{back}  220 a\n {to} EHLO me\n{back}  250-ok\n{back}   b\n {to} RCPT TO:<x@y>\n{refusal} 550 no\n {to} QUIT\n{back}  221 bye\n"
        )
    };
    for (refusal, back, to) in [("<**", "<-", "->"), ("<~*", "<~", "~>"), ("<**", "<~", "~>")] {
        let wanted =
            ["S: 220 a", "C: EHLO me", "S: 250-ok", "S:  b", "C: RCPT TO:<x@y>", "S: 550 no", "C: QUIT", "S: 221 bye"];
        says(&page(refusal, back, to), &wanted);
    }
    says("<- a\n<-  b\n-> c\n", &["S: a", "S:  b", "C: c"]);
    says("<- 220 a\n<** 550 no\n-> c\n", &["S: 220 a", "S: 550 no", "C: c"]);
}

#[test]
fn what_stands_in_the_column_of_a_mark_is_said_only_if_it_looks_so() {
    for rest in ["That ends the session.", "</pre>", "@enduml", "+----", "---", "### Next", "P: what", "and so on"] {
        for (page, wanted) in [
            (format!("C: QUIT\nS: 221 bye\n{rest}\n"), &["C: QUIT", "S: 221 bye"][..]),
            (format!("C: a\nS: b\n{rest}\nC: c\n"), &["C: a", "S: b", "C: c"]),
            (format!("C->S: QUIT\nS->C: 221 bye\n{rest}\n"), &["C: QUIT", "S: 221 bye"]),
            (format!("C->S: a\nS->C: b\n{rest}\nC->S: c\n"), &["C: a", "S: b", "C: c"]),
            (format!("A: a\nB: b\n{rest}\nA: c\nB: d\nA: e\n"), &["C: a", "S: b", "C: c", "S: d", "C: e"]),
        ] {
            says(&page, wanted);
            if rest.contains(char::is_alphanumeric) {
                tells(&page, &format!("3 `{rest}` is a comment"));
            }
        }
    }
    // What ends a session is a direction in brackets, and no prose.
    says("C: a\nS: b\nThe server closes.\n", &["C: a", "S: b"]);
    for (page, wanted) in [
        ("C: a\nS: b\n   and so on\n", &["C: a", "S: b and so on"][..]),
        ("C: a\nS: 250-b\n250 c\n", &["C: a", "S: 250-b", "S: 250 c"]),
        ("C: a\nS: * CAPABILITY IMAP4rev1\nLOGINDISABLED\n", &["C: a", "S: * CAPABILITY IMAP4rev1 LOGINDISABLED"]),
        ("C: a\nS: (\"b\"\n\"c\")\n", &["C: a", "S: (\"b\" \"c\")"]),
        (
            "C->S:\nGET / HTTP/1.1\nHost: a\nS->C: HTTP/1.1 200 OK\nServer: b\n",
            &["C: GET / HTTP/1.1", "C: Host: a", "C:", "S: HTTP/1.1 200 OK", "S: Server: b", "S:"],
        ),
    ] {
        says(page, wanted);
    }
    let long = "S: it says so many words that they do not fit on a line of this";
    says(&format!("C: a\n{long}\npage, and go on\n"), &["C: a", &format!("{long} page, and go on")]);
}

#[test]
fn lines_without_a_mark_lose_the_prefix_that_marks_have() {
    for (page, wanted) in [
        ("> C: A\n>\n> S: ok\n>\n> C: B\n> S: ok\n", &["C: A", "S: ok", "C: B", "S: ok"][..]),
        ("> > C: A\n> >\n> > S: ok\n>>   more\n", &["C: A", "S: ok more"]),
        ("> C: A\n>    wrapped here\n> S: ok\n", &["C: A wrapped here", "S: ok"]),
        (
            "00:01.123 C: a\n00:01.124 S: first\n00:01.124    second line\n00:01.125\n00:02 C: b\n",
            &["C: a", "S: first second line", "C: b"],
        ),
        ("* C: a\n* S: 250-b\n* 250 c\n", &["C: a", "S: 250-b", "S: 250 c"]),
        ("Nov 29 19:07:47 C: a\nNov 30 1:07:47 S: 250-b\nNov 30 01:07:48 250 c\n", &["C: a", "S: 250-b", "S: 250 c"]),
        // What is a code, and no prefix, stays.
        ("12:00 C: a\n12:00 S: 250-b\n250 c\n", &["C: a", "S: 250-b", "S: 250 c"]),
        ("> C: a\n> S: 250-b\n> 250 c\n", &["C: a", "S: 250-b", "S: 250 c"]),
    ] {
        says(page, wanted);
    }
    let page = "> C: A\n> wrapped here\n> S: ok\n";
    tells(page, "2 `wrapped here` is a comment");
    says(page, &["C: A", "S: ok"]);
}

#[test]
fn a_third_who_speaks_is_told() {
    for (page, line, wanted) in [
        ("C: hello\nS: hi\nP: what\nC: bye\n", "P: what", &["C: hello", "S: hi", "C: bye"][..]),
        ("  C: hello\n  S: hi\n    P: what\n  C: bye\n", "P: what", &["C: hello", "S: hi", "C: bye"]),
        (
            "Client: CONNECT\nServer: CONNACK\nClient (subscriber): SUBSCRIBE a\nServer: c\n",
            "Client (subscriber): SUBSCRIBE a",
            &["C: CONNECT", "S: CONNACK", "S: c"],
        ),
        ("A: a\nB: b\nA: c\nB: e\nD: d\n", "D: d", &["C: a", "S: b", "C: c", "S: e"]),
    ] {
        says(page, wanted);
        tells(page, &format!("`{line}` is a comment"));
    }
    says("C: a\n   Subject: b\nS: c\n", &["C: a Subject: b", "S: c"]);
}

#[test]
fn lines_that_end_in_a_carriage_return_alone_are_lines() {
    for page in ["C: a\rS: b\rC: c\rS: d\r", "\u{feff}C: a\rS: b\rC: c\rS: d", "  C: a\r\r  S: b\r  C: c\r  S: d"] {
        says(page, &["C: a", "S: b", "C: c", "S: d"]);
    }
    says("C: a\rb\nS: c\n", &["C: a{0x0d}b", "S: c"]);
    for (page, mark) in [("C: PING S: PONG\n", "S:"), ("C: a S: b C: c S: d\n", "S:"), ("C: a\nS: b C: c\n", "C:")] {
        tells(page, &format!("`{mark}` stands in it and is said too"));
    }
    for page in ["C: a\nS: b\n", "C: a S:b\nS: c\n", "C: a b c d S: e\nS: f\n"] {
        assert!(!guesses(page).iter().any(|guess| guess.contains("stands in it")), "{page}");
    }
}

#[test]
fn a_transcript_is_told_to_be_one() {
    for page in [
        "eol crlf\nS: 220 hi\nC: EHLO {name}\nS: 250-{_=mail.example}\n",
        "S: hi\nC raw: abc\nS hex: 00 ff\n",
        "C: a\nS: b\nS closes\n",
        "repeat\n  C: a\n  S: b\nend\n",
    ] {
        assert_eq!(import(page, Import::default()), None, "{page}");
        assert!(why_none(page, None).contains("it is a transcript already"), "{page}");
    }
}

#[test]
fn the_lines_of_a_message_stand_as_far_in_as_the_page_has_them() {
    says(
        "C: DATA\nS: 354 go\nC: Subject: x\n     y\n\n   body:\n       - deeper\n   .\nS: 250 ok\n",
        &["C: DATA", "S: 354 go", "C: Subject: x", "C:   y", "C:", "C: body:", "C:     - deeper", "C: .", "S: 250 ok"],
    );
    // What all have is the page's margin; a mark that stands further in changes nothing.
    says(
        "    C: POST\n    S: 340 go\n    C: From: x\n       a\n         b\n    .\n    S: 240 ok\n",
        &["C: POST", "S: 340 go", "C: From: x", "C: a", "C:   b", "C: .", "S: 240 ok"],
    );
    says(
        "C: IHAVE\nS: 335 go\nC: From: x\na\n  b\n.\nS: 235 ok\n",
        &["C: IHAVE", "S: 335 go", "C: From: x", "C: a", "C:   b", "C: .", "S: 235 ok"],
    );
}

#[test]
fn a_message_has_as_many_lines_as_it_has() {
    for count in [1, 63, 64, 65, 500] {
        let body: String = (0..count).map(|n| format!("   line {n}\n")).collect();
        let imported = whole(&format!("C: DATA\nS: 354 go\nC: Subject: x\n{body}   .\nS: 250 ok\n"));
        let lines = said(&imported.text);
        assert_eq!(lines.len(), count + 5, "{count}");
        assert_eq!(lines[count + 2..], [&format!("C: line {}", count - 1), "C: .", "S: 250 ok"], "{count}");
    }
    // Of another answer a dot alone ends nothing.
    says(
        "C: DATA\nS: 354 go\nS: 250 ok\nC: a\n   b\n   .\nS: c\n",
        &["C: DATA", "S: 354 go", "S: 250 ok", "C: a b .", "S: c"],
    );
}

#[test]
fn what_is_said_may_end_as_the_foot_of_a_page_does() {
    says("C: a [Page 12]\nS: b\nC: c\nS: d\n", &["C: a [Page 12]", "S: b", "C: c", "S: d"]);
    says("   C: a\n   S: b [Page 3]\n   C: c\n", &["C: a", "S: b [Page 3]", "C: c"]);
    says("> C: a [Page 12]\n> S: b\n", &["C: a [Page 12]", "S: b"]);
    says(
        "C: a\n\nMyers & Rose   Standards Track   [Page 19]\n\u{c}\nRFC 1939   POP3   May 1996\n\nS: b\n",
        &["C: a", "S: b"],
    );
}

#[test]
fn prose_that_begins_with_a_word_in_capitals_is_not_said() {
    for line in ["NOTE that", "OK", "RFC 5321 has more"] {
        says(&format!("C: a\nS: b\n{line}\nC: c\n"), &["C: a", "S: b", "C: c"]);
    }
    says("C: a\nS: * CAPABILITY X\nLOGINDISABLED\nC: c\n", &["C: a", "S: * CAPABILITY X LOGINDISABLED", "C: c"]);
    says("C: a LOGIN x\nPASS y\nS: b\n", &["C: a LOGIN x PASS y", "S: b"]);
}

#[test]
fn a_line_that_another_program_could_have_printed_refuses_no_page() {
    says("C: send: it\nsend: \"x\"\nS: 250 ok\n", &["C: send: it", "S: 250 ok"]);
    says("> C: a\n> S: b\n> x length=5 from=0 to=4\n", &["C: a", "S: b"]);
    let prose = "Words of the page that go on.\n".repeat(9);
    says(&format!("{prose}\nC: a\nS: b\n\n{prose}\nS closes\n"), &["C: a", "S: b"]);
}
