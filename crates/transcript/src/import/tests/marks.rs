//! Marks of every kind, also behind a prefix, alone on a line, and around messages.

use super::{assert_plays, guesses, said, whole};
use crate::import::{Import, import, why_none};

const SAID: [&str; 4] = ["S: 220 hi", "C: EHLO a", "S: 250 ok", "C: QUIT"];

/// A page that says these lines, marked so.
fn page(client: &str, server: &str) -> String {
    SAID.iter().map(|line| format!("{}{}\n", if line.starts_with('C') { client } else { server }, &line[2..])).collect()
}

#[test]
fn a_comment_sign_of_a_language_is_a_prefix() {
    for prefix in ["// ", "//! ", "/// ", "# ", "-- ", "; ", "% ", "│ ", "  // "] {
        let page = page(&format!("{prefix}C:"), &format!("{prefix}S:"));
        assert_eq!(said(&whole(&page).text), SAID, "{page}");
    }
}

#[test]
fn marks_and_arrows_of_other_kinds_are_known() {
    for (client, server) in [
        ("[C]:", "[S]:"),
        ("**C:**", "**S:**"),
        ("C\u{ff1a}", "S\u{ff1a}"),
        ("C->>S:", "S->>C:"),
        ("C-->>S:", "S-->>C:"),
        ("C ---> S:", "S ---> C:"),
        ("S<---C:", "C<---S:"),
        ("C\u{2013}>S:", "S\u{2013}>C:"),
        ("C ⇒ S:", "S ⇒ C:"),
        ("Client to Server:", "Server to Client:"),
        ("SMTP>", "SMTP<"),
        ("SMTP>>", "SMTP<<"),
    ] {
        let page = page(client, server);
        assert_eq!(said(&whole(&page).text), SAID, "{page}");
    }
}

#[test]
fn a_prefix_stands_before_arrows_signs_and_labels_too() {
    for prefix in ["12:00 ", "2024-01-01 10:00:00 ", "[12:00:01.5] ", "Nov 29 19:07:47 "] {
        for (client, server) in
            [("C->S:", "S->C:"), ("CLIENT -> SERVER:", "SERVER -> CLIENT:"), (">", "<"), ("->", "<-"), ("U:", "H:")]
        {
            let page = page(&format!("{prefix}{client}"), &format!("{prefix}{server}"));
            assert_eq!(said(&whole(&page).text), SAID, "{page}");
            let told = format!("1 what stands before a mark is left out, as `{}`", prefix.trim());
            assert!(guesses(&page).contains(&told), "{page}{:?}", guesses(&page));
        }
    }
    for prefix in ["- ", "* ", "> "] {
        for (client, server) in [("C->S:", "S->C:"), ("U:", "H:")] {
            let page = page(&format!("{prefix}{client}"), &format!("{prefix}{server}"));
            assert_eq!(said(&whole(&page).text), SAID, "{page}");
        }
    }
    // A list of fields is none of two who talk.
    assert_eq!(import("- id: 1\n  user: x\n- id: 2\n  user: y\n", Import::default()), None);
}

#[test]
fn what_is_said_may_stand_below_its_mark() {
    for (page, wanted) in [
        ("C:\n  HELO a\nS:\n  250 ok\n", &["C: HELO a", "S: 250 ok"][..]),
        ("C:\n   a\n   b\nS:\n   250-c\n   250 d\n", &["C: a", "C: b", "S: 250-c", "S: 250 d"]),
        ("Client:\n\ta\n\nServer:\n\tb\n", &["C: a", "S: b"]),
        ("C: a\nC:\nS: b\n", &["C: a", "C:", "S: b"]),
        ("C: a\nC:\n\n   words of the page\n\nS: b\n", &["C: a", "C:", "S: b"]),
    ] {
        let imported = whole(page);
        assert_eq!(said(&imported.text), wanted, "{page}{}", imported.text);
    }
    for page in ["C:\nHELO a\nS:\n250 ok\n", "C:\n\n  a\nS:\n\n  b\n", "[C]\na\n[S]\nb\n"] {
        assert_eq!(import(page, Import::default()), None, "{page}");
        assert!(why_none(page, None).contains("its marks stand alone"), "{page}{}", why_none(page, None));
    }
}

#[test]
fn the_client_may_be_told_by_its_sign() {
    for (client, server) in [(">>", "<<"), ("->", "<-"), (">", "<"), ("=>", "<=")] {
        let page = format!("{client} 220 hi\n{server} EHLO a\n{client} 250 ok\n");
        for (told, expected) in [(server, "S: 220 hi|C: EHLO a|S: 250 ok"), (client, "C: 220 hi|S: EHLO a|C: 250 ok")] {
            let imported = import(&page, Import { client: Some(told), ..Import::default() }).unwrap();
            assert_plays(&imported.text);
            assert_eq!(said(&imported.text).join("|"), expected, "{page}{told}");
            let guess = format!("`{told}` stands before what the client says");
            assert!(imported.guesses.iter().any(|(_, what)| what.starts_with(&guess)), "{:?}", imported.guesses);
        }
    }
    assert_eq!(import("-> a\n<- b\n", Import { client: Some("<<"), ..Import::default() }), None);
}

#[test]
fn what_stands_around_what_is_said_is_told() {
    for (page, frame) in [
        ("| C: | EHLO a |\n| S: | 250 ok |\n", "|"),
        ("* C: `EHLO a`\n* S: `250 ok`\n", "`"),
        ("C: `EHLO a`\nS: 250 ok\n", "`"),
    ] {
        let told = format!("1 `{frame}` stands around it and is said too");
        assert!(guesses(page).iter().any(|guess| guess.starts_with(&told)), "{page}{:?}", guesses(page));
    }
    for page in ["C: a\nS: b\n", "C: a | b\nS: `\n", "C: `a` b\nS: c `d`\n"] {
        assert!(!guesses(page).iter().any(|guess| guess.contains("stands around")), "{page}");
    }
}

#[test]
fn a_message_under_one_mark_has_lines() {
    for (page, wanted) in [
        (
            "C: DATA\nS: 354 go\nC: Subject: x\n   body\n   .\nS: 250 ok\n",
            &["C: DATA", "S: 354 go", "C: Subject: x", "C: body", "C: .", "S: 250 ok"][..],
        ),
        (
            "C: DATA\nS: 354 go\nC: Subject: x\n\n   body\n   more\n   .\nS: 250 ok\n",
            &["C: DATA", "S: 354 go", "C: Subject: x", "C:", "C: body", "C: more", "C: .", "S: 250 ok"],
        ),
        (
            "C: POST\nS: 340 go\nC: From: x\nbody\n.\nS: 240 ok\n",
            &["C: POST", "S: 340 go", "C: From: x", "C: body", "C: .", "S: 240 ok"],
        ),
        // A fold without a dot below it stays one, and so does a dot that ends no message.
        (
            "C: DATA\nS: 354 go\nC: Received: a\n   by b\nC: .\nS: 250 ok\n",
            &["C: DATA", "S: 354 go", "C: Received: a by b", "C: .", "S: 250 ok"],
        ),
        ("C: a\nS: 250 b\nC: c\n   d\n   .\nS: e\n", &["C: a", "S: 250 b", "C: c d .", "S: e"]),
    ] {
        let imported = whole(page);
        assert_eq!(said(&imported.text), wanted, "{page}{}", imported.text);
    }
}

#[test]
fn what_was_cut_inside_base64_is_joined() {
    let word = "dGhpcyBpcyBsb25nIGFuZCB3YXMgY3V0IHNvbWV3aGVyZSBpbiB0aGUgbWlkZGxl";
    for rest in ["Zg==", "dGhl", "dGhpcyBpcyBsb25nIGFu"] {
        let imported = whole(&format!("C: AUTH {word}\n   {rest}\nS: b\n"));
        assert_eq!(said(&imported.text)[0], format!("C: AUTH {word}{rest}"));
        let imported = whole(&format!("C: X \"{word}\n   {rest}\"\nS: b\n"));
        assert_eq!(said(&imported.text)[0], format!("C: X \"{word}{rest}\""));
    }
}
