//! Each layout as an RFC has it, in sessions of our own words.

mod around;
mod arrows;
mod directions;
mod kept;
mod marks;

use proptest::prelude::*;

use super::*;
use crate::{Carrier, PlayOptions, Script, Transcript};

fn whole(page: &str) -> Imported {
    imported(page, 1, false)
}

fn imported(page: &str, session: usize, starttls: bool) -> Imported {
    let imported = import(page, Import { session, starttls, client: None }).expect("there is a session");
    assert_plays(&imported.text);
    imported
}

fn assert_plays(text: &str) {
    let transcript =
        Transcript::parse("imported.talk", text.as_bytes(), &[]).unwrap_or_else(|why| panic!("{why}\n{text}"));
    for side in [Side::Client, Side::Server] {
        Script::prepare(&transcript, &PlayOptions::new(side, Carrier::Stream))
            .unwrap_or_else(|why| panic!("{why}\n{text}"));
    }
}

/// What is said, without comments and settings.
fn said(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.starts_with('#') && *line != "eol crlf").collect()
}

#[test]
fn margins_padding_and_directions_as_in_pop3() {
    let page = "
10. Example POP3 Session

      S: <wait for connection on TCP port 110>
      C: <open connection>
      S:    +OK ready <1.2@mail.example>
      C:    APOP mrose c4c9
      S:    +OK two messages
      C:    RETR 1
      S:    +OK 120 octets
      S:    <the server sends message 1>
      S:    .
      C:    QUIT
      S:    +OK bye
      C:  <close connection>
      S:  <wait for next connection>
";
    let imported = whole(page);
    assert_eq!(said(&imported.text)[..2], ["S: +OK ready <1.2@mail.example>", "C: APOP mrose c4c9"]);
    assert_eq!((said(&imported.text).len(), said(&imported.text).last()), (9, Some(&"C closes")));
    // The padding is the least of all, so that what is said may begin with spaces.
    assert_eq!(said(&whole("C:   one\nS: x\nC:     two\n").text), ["C: one", "S: x", "C:   two"]);
    assert!(imported.text.contains("# <open connection>\n"));
    assert_eq!(imported.sessions, [4]);
    assert!(
        imported.guesses.iter().any(|(line, what)| *line == 11 && what.contains("sends message 1")),
        "{imported:?}"
    );
}

#[test]
fn senders_and_receivers_as_in_rfc_821() {
    let page = "   S: MAIL FROM:<Smith@Alpha.ARPA>\n   R: 250 OK\n\n   S: DATA\n   R: 354 go\n   S: Blah\n   S: .\n   R: 250 OK\n";
    let imported = whole(page);
    assert_eq!(said(&imported.text)[..3], ["C: MAIL FROM:<Smith@Alpha.ARPA>", "S: 250 OK", "C: DATA"]);
    assert!(imported.text.contains("# guessed: S is the sender, who is the client"), "{}", imported.text);
}

#[test]
fn initiators_and_responders_speak_both() {
    for page in [
        "   I: hello\n   R: hello too\n   I: bye\n",
        "   I->R: hello\n   R->I: hello too\n   I->R: bye\n",
        "   I:   hello\n   R:   hello too\n   I:   bye\n   R:   <closes the connection>\n",
    ] {
        let imported = whole(page);
        assert_eq!(said(&imported.text)[..3], ["C: hello", "S: hello too", "C: bye"], "{page}");
    }
    assert!(whole("I: a\nR: b\n").text.contains("# guessed: I is the initiator, who is the client"));
    // Beside others it is told, and not lost.
    let imported = whole("C: a\nI: note\nS: b\n");
    assert_eq!(said(&imported.text), ["C: a", "S: b"]);
    assert!(imported.guesses.iter().any(|(line, what)| *line == 2 && what.contains("`I: note`")), "{imported:?}");
}

#[test]
fn brackets_as_in_nntp_and_words() {
    let page = "      [Initial connection set-up completed.]\n      [S] 200 ready\n      [C] GROUP misc.test\n      [S] 211 1 2 3 misc.test\n      [C] QUIT\n      [S] 205 bye\n      [Server closes connection.]\n";
    assert_eq!(
        said(&whole(page).text),
        ["S: 200 ready", "C: GROUP misc.test", "S: 211 1 2 3 misc.test", "C: QUIT", "S: 205 bye", "S closes"]
    );
    assert_eq!(said(&whole("Client: HELO\nServer: 250 hi\n").text), ["C: HELO", "S: 250 hi"]);
}

#[test]
fn folded_lines_and_literals_as_in_imap() {
    let page = "   C: A654 FETCH 2:4 (FLAGS BODY[HEADER.FIELDS (DATE\n      FROM)])\n   S: * 2 FETCH {3}\n   S: {x}\n   S: A654 OK done\n";
    let imported = whole(page);
    assert_eq!(
        said(&imported.text),
        [
            "C: A654 FETCH 2:4 (FLAGS BODY[HEADER.FIELDS (DATE FROM)])",
            "S: * 2 FETCH {3}",
            "S: {0x7b}x}",
            "S: A654 OK done"
        ]
    );
    assert!(imported.guesses.iter().any(|(line, what)| *line == 2 && what.contains("folded")), "{imported:?}");
}

#[test]
fn arrows_with_unmarked_lines_under_them() {
    let page = "   C->S:\n      GET /chat HTTP/1.1\n      Host: server.example\n   S->C:\n      HTTP/1.1 101 Switching Protocols\n   C->S: more\n";
    assert_eq!(
        said(&whole(page).text),
        [
            "C: GET /chat HTTP/1.1",
            "C: Host: server.example",
            "C:",
            "S: HTTP/1.1 101 Switching Protocols",
            "S:",
            "C: more"
        ]
    );
}

#[test]
fn tls_is_a_comment_unless_asked_for() {
    let page = "  S: 220 ready\n  C: STARTTLS\n  S: 220 go ahead\n  C: <starts TLS negotiation>\n  C & S: <negotiate a TLS session>\n  C: EHLO x\n  S: 250 hi\n";
    let plain = imported(page, 1, false);
    assert!(
        !plain.text.contains("\nstarttls\n") && plain.text.contains("# <negotiate a TLS session>"),
        "{}",
        plain.text
    );
    assert!(plain.guesses.iter().any(|(_, what)| what.contains("--starttls")));
    let page = page.replace("  C: <starts TLS negotiation>\n", "");
    assert!(
        imported(&page, 1, true).text.contains("S: 220 go ahead\n# <negotiate a TLS session>\nstarttls\nC: EHLO x\n")
    );
}

/// RFC 4217, section 12.4, and pages that say more than once how TLS begins or ends.
#[test]
fn where_tls_ends_is_told_as_well() {
    for (ends, statement) in [
        ("TLS shutdown", "stoptls"),
        ("closes the TLS layer", "stoptls"),
        ("TLS ends here", "stoptls"),
        ("TLS negotiation goes on", ""),
    ] {
        let page = format!(
            "  C: AUTH TLS\n  S: 234 ok\n  C & S: <TLS handshake>\n  C: CCC\n  S: 200 ok\n  C & S: <{ends}>\n  C: PWD\n  S: 257 x\n"
        );
        let text = imported(&page, 1, true).text;
        let behind = text.split("S: 200 ok\n").nth(1).unwrap().replace(&format!("# <{ends}>\n"), "");
        let space = if statement.is_empty() { "" } else { "\n" };
        assert_eq!(behind, format!("{statement}{space}C: PWD\nS: 257 x\n"), "{text}");
        assert!(!imported(&page, 1, false).text.contains("\nstoptls"));
    }
}

#[test]
fn page_breaks_are_the_printers_and_prose_ends_a_session() {
    let page = "   C: one\n   S: two\n\n\n\nMyers & Rose                Standards Track                   [Page 19]\n\u{c}\nRFC 1939                          POP3                          May 1996\n\n\n   C: three\n   S: four\n\n5.  Another\n\n   This is prose.\n\n   C: five\n   S: six\n   S: <closes connection>\n";
    let first = whole(page);
    assert_eq!(said(&first.text), ["C: one", "S: two", "C: three", "S: four"]);
    assert_eq!(first.sessions, [1, 18]);
    assert_eq!(said(&imported(page, 2, false).text), ["C: five", "S: six", "S closes"]);
    assert!(import(page, Import { session: 3, ..Import::default() }).is_none());
    assert!(import(page, Import { session: 0, ..Import::default() }).is_none());
    for nothing in ["", "prose\n", "S: <is alone>\n", "\0\u{ff}\n"] {
        assert!(import(nothing, Import { session: 1, ..Import::default() }).is_none(), "{nothing:?}");
    }
}

#[test]
fn characters_that_are_spelled_out_and_those_that_cannot_be_seen() {
    let page = "C: HELO<SP>x<CRLF>\nS: 250\u{1b}[2J\nC: a\tb\nS: {name}\n";
    assert_eq!(said(&whole(page).text), ["C: HELO x", "S: 250{0x1b}[2J", "C: a{0x09}b", "S: {0x7b}name}"]);
}

#[test]
fn each_side_has_its_own_padding_and_words_that_look_like_marks_stay() {
    assert_eq!(said(&whole("  C:    EHLO x\n  S:  250-a\n      250 b\n").text), ["C: EHLO x", "S: 250-a", "S: 250 b"]);
    let page = "S: 354 end with <CRLF>.<CRLF>\nC: Blah\nC: <CRLF>.<CRLF>\nS: 250 ok\nC: ..dot\nC: ..\n";
    let lines = said(&whole(page).text).join("|");
    assert_eq!(lines, "S: 354 end with <CRLF>.<CRLF>|C: Blah|C: .|S: 250 ok|C: ..dot|C: ..");
    let page =
        "Example:    C: abcd CAPABILITY\n            S: * CAPABILITY IMAP4rev1 STARTTLS\n            LOGINDISABLED\n";
    assert_eq!(said(&whole(page).text), ["C: abcd CAPABILITY", "S: * CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED"]);
    let key = "dGhpcyBpcyBsb25nIGFuZCB3YXMgY3V0IHNvbWV3aGVyZSBpbiB0aGUgbWlkZGxl";
    let page = format!(
        "C: AUTH {key}\n   {key}==\nS: * BODYSTRUCTURE (\"TEXT\"\n   (\"TEXT\" \"PLAIN\" NIL)\nC: <proceed xmlns='x y'/>\n"
    );
    assert_eq!(
        said(&whole(&page).text),
        [
            &format!("C: AUTH {key}{key}=="),
            "S: * BODYSTRUCTURE (\"TEXT\" (\"TEXT\" \"PLAIN\" NIL)",
            "C: <proceed xmlns='x y'/>"
        ]
    );
}

#[test]
fn heads_of_http_and_rtsp_under_arrows_end_with_an_empty_line() {
    let page = "  C->S: OPTIONS rtsp://x RTSP/1.0\n        CSeq: 1\n\n  S->C: RTSP/1.0 200 OK\n        CSeq: 1\n        Server: x/1\n";
    assert_eq!(
        said(&whole(page).text),
        [
            "C: OPTIONS rtsp://x RTSP/1.0",
            "C: CSeq: 1",
            "C:",
            "S: RTSP/1.0 200 OK",
            "S: CSeq: 1",
            "S: Server: x/1",
            "S:"
        ]
    );
}

#[test]
fn the_furniture_of_pages_is_never_said_and_letters_head_sections_too() {
    let page = "   S: 354 go\n[Page 6]                                      Postel\n\u{c}\nAugust 1982                   RFC 821\nSimple Mail Transfer Protocol\n\n\n   R: Blah\n\nD.2.  Aborted\n\n   R: 220 ready\n   S: QUIT\n   S: <close connection>\n   R: <wait for the next>\n";
    let first = whole(page);
    assert_eq!((said(&first.text), first.sessions.len()), (vec!["C: 354 go", "S: Blah"], 2));
    assert!(!first.text.contains("Postel") && !first.text.contains("Protocol"), "{}", first.text);
    assert_eq!(said(&imported(page, 2, false).text), ["S: 220 ready", "C: QUIT", "C closes"]);
}

#[test]
fn tls_begins_once_however_often_a_page_says_so() {
    let page = "S: 220 go\nC: <starts TLS negotiation>\nC & S: <negotiate a TLS session>\nC & S: <check result of the TLS negotiation>\nC: EHLO x\n... TLS goes on, and so do\n    the commands ...\nS: 250 hi\n";
    let imported = imported(page, 1, true);
    assert_eq!(imported.text.matches("\nstarttls\n").count(), 1, "{}", imported.text);
    assert!(import("C: <a b>\nS: <c d>\n", Import { session: 1, ..Import::default() }).is_none());
}

/// Pages of two who talk under labels of their own, and what is said of them.
#[test]
fn two_labels_that_take_turns_are_two_who_talk() {
    for (page, expected, why) in [
        ("A: hello\nB: hi there\nA: bye\n", "C: hello|S: hi there|C: bye", "A: is the client, since it speaks first"),
        (
            "  B: 220 ready\n  A: HELO x\n  B: 250 ok\n",
            "S: 220 ready|C: HELO x|S: 250 ok",
            "A: is the client, since the other",
        ),
        (
            "U: USER ann\nH: 331 password\n",
            "C: USER ann|S: 331 password",
            "U: is the client, since the other one answers",
        ),
        ("H: welcome\nU: who is there?\nH: me\n", "S: welcome|C: who is there?|S: me", "U: is the client, by its name"),
        (
            "Alice: hi\nBob: ho\n  and on\nAlice: bye\n",
            "C: hi|S: ho and on|C: bye",
            "Alice: is the client, since it speaks",
        ),
        ("[X] a\n[Y] b\n\n[X] c\n[Y] d\n", "C: a|S: b|C: c|S: d", "[X] is the client"),
        ("<ann> a\n<bob> b\n<ann> c\n", "C: a|S: b|C: c", "<ann> is the client"),
        ("A> a\nB> +OK b\n", "C: a|S: +OK b", "A> is the client, since the other one answers with codes"),
        ("c: a\ns: b\n", "C: a|S: b", "c: is the client, by its name"),
        ("user: a\nhost: b\n", "C: a|S: b", "user: is the client, by its name"),
        // RFC 821's S is the sender, whoever the other one is.
        (
            "S: MAIL FROM:<a>\nH: 250 ok\nS: DATA\nH: 354 go\n",
            "C: MAIL FROM:<a>|S: 250 ok|C: DATA|S: 354 go",
            "S: is the client",
        ),
        ("Host A: a\nHost B: b\nHost A: c\n", "C: a|S: b|C: c", "(--client 'Host B': the other one)"),
        // What stands between them once is no third.
        ("A: a\nNote: this is said by nobody\nB: b\nA: c\n", "C: a|S: b|C: c", "A: is the client"),
    ] {
        let imported = whole(page);
        assert_eq!(said(&imported.text).join("|"), expected, "{page}");
        assert!(imported.guesses.iter().any(|(_, guess)| guess.contains(why)), "{page}{:?}", imported.guesses);
        assert!(
            imported.text.contains("# guessed: ") && imported.text.contains(" are two who talk"),
            "{}",
            imported.text
        );
    }
}

#[test]
fn what_may_be_prose_or_more_than_two_is_no_conversation_unless_that_is_told() {
    let long = "It is a tool which people use for all kinds of things that have to do with sockets and more";
    let pages = [
        (
            "Name: Ann\nAge: 5\nName: Bob\nAge: 7\n".to_owned(),
            "Name: and Age: stand before its lines, which may be prose",
        ),
        ("Note: a\nExample: b\nNote: c\nExample: d\n".to_owned(), "which may be prose"),
        ("To: a\nFrom: b\nTo: c\nFrom: d\n".to_owned(), "which may be prose"),
        (
            format!("Q: What?\nA: {long}\n   {long}\nQ: Why?\nA: {long}\n   {long}\n"),
            "Q: and A: stand before its lines, which may",
        ),
        (
            "A: a\nB: b\nD: d\nA: e\nB: f\nD: g\n".to_owned(),
            "A:, B: and D: stand before its lines, and a transcript has two",
        ),
        ("A: a\nB: b\n".to_owned(), "only once by turns"),
    ];
    for (page, why) in pages {
        assert_eq!(import(&page, Import::default()), None, "{page}");
        let told = why_none(&page, None);
        assert!(told.contains(why) && told.contains("say who is the client (--client "), "{page}{told}");
        let name = told.rsplit("--client ").next().unwrap().trim_end_matches(')');
        let imported =
            import(&page, Import { client: Some(name), ..Import::default() }).unwrap_or_else(|| panic!("{page}{name}"));
        assert!(
            imported.text.contains(&format!("# guessed: {name}: is the client, as --client says")),
            "{}",
            imported.text
        );
        assert_plays(&imported.text);
    }
    for nothing in ["A: alone\nA: again\n", "see http://a/ and\nb: c\n", "a::b\nC:\\d\na::e\n", "12:30 a\n12:31 b\n"] {
        assert_eq!(import(nothing, Import::default()), None, "{nothing}");
        assert!(why_none(nothing, None).contains("no line begins with C: or S:"), "{nothing}");
    }
}

#[test]
fn arrows_of_every_kind_say_who_speaks() {
    for (to, back) in [
        ("C>S:", "S>C:"),
        ("C==>S:", "S==>C:"),
        ("S<C:", "C<S:"),
        ("S<==C:", "C<==S:"),
        ("[C->S]", "[S->C]"),
        ("(C -> S):", "(S -> C):"),
        ("Client>Server:", "Server>Client:"),
    ] {
        let page = format!("   {to} LOGIN ann\n   {back} 250 ok\n   {to} QUIT\n   {back} 221 bye\n");
        let imported = whole(&page);
        assert_eq!(said(&imported.text), ["C: LOGIN ann", "S: 250 ok", "C: QUIT", "S: 221 bye"], "{to}");
        assert_plays(&imported.text);
    }
}

/// What was guessed, line by line.
fn guesses(page: &str) -> Vec<String> {
    whole(page).guesses.iter().map(|(line, what)| format!("{line} {what}")).collect()
}

#[test]
fn who_is_the_client_is_guessed_of_names_alone_and_by_who_is_greeted() {
    for (page, guess) in [
        ("Bob->Alice: 220 hi\nAlice->Bob: EHLO\n", Some("1 the one who is greeted with a code is the client")),
        (
            "Alice->Bob: <opens a connection>\nBob->Alice: 220 hi\nAlice->Bob: EHLO\n",
            Some("1 the one who is greeted with a code is the client"),
        ),
        ("Alice->Bob: EHLO\nBob->Alice: 250 hi\n", Some("1 the one who speaks first is the client")),
        (
            "Alice->Bob: <opens a connection>\nAlice->Bob: EHLO\nBob->Alice: 250 hi\n",
            Some("1 the one who speaks first is the client"),
        ),
        // Who is called so is the client.
        ("C: EHLO\nS: 250 hi\n", None),
        ("S->C: 220 hi\nC->S: EHLO\n", None),
        ("Client->Proxy: EHLO\nProxy->Client: 250 hi\n", None),
        ("S: MAIL\nR: 250 ok\n", None),
    ] {
        let guesses = guesses(page);
        let found = guesses
            .iter()
            .map(String::as_str)
            .find(|guess| guess.ends_with("is the client") && guess.contains("the one who"));
        assert_eq!(found, guess, "{page}{guesses:?}");
    }
}

/// RFC 3261, section 24.
#[test]
fn messages_that_flow_between_names_stand_below_their_arrow() {
    let page = "
   F1 INVITE Alice -> atlanta.com proxy

      INVITE sip:bob@biloxi.com SIP/2.0
      Max-Forwards: 70

   F2 100 Trying atlanta.com proxy -> Alice

      SIP/2.0 100 Trying
      Content-Length: 0

   F3 ACK Alice -> atlanta.com proxy
      ACK sip:bob@192.0.2.4 SIP/2.0
";
    let lines = said(&whole(page).text).join("|");
    assert_eq!(
        lines,
        "C: INVITE sip:bob@biloxi.com SIP/2.0|C: Max-Forwards: 70|C:|S: SIP/2.0 100 Trying|S: Content-Length: 0|S:|\
         C: ACK sip:bob@192.0.2.4 SIP/2.0|C:"
    );
    // Names alone, and a number with its mark.
    for (to, back) in [("Alice -> Bob", "Bob -> Alice"), ("F1: hello Alice → Bob", "F2) hi Bob → Alice")] {
        let page = format!("   {to}\n      hello\n   {back}\n      hi\n");
        assert_eq!(said(&whole(&page).text), ["C: hello", "S: hi"], "{page}");
    }
}

#[test]
fn an_arrow_in_prose_is_no_flow() {
    for (to, back) in [
        ("Alice -> Bob and Carol too", "Bob -> Alice and Carol too"),
        ("F1 hello Alice -> Bob and Carol", "F2 hi Bob -> Alice and Carol"),
        ("Alice -> ", "Bob -> "),
        ("Alice, -> Bob", "Bob -> Alice!"),
        ("F1 hello? Alice -> Bob", "F2 hi! Bob -> Alice"),
        ("alice -> bob", "bob -> alice"),
        ("Fx hello Alice -> Bob", "Fx hi Bob -> Alice"),
    ] {
        let page = format!("   {to}\n      hello\n   {back}\n      hi\n");
        assert_eq!(import(&page, Import::default()), None, "{page}");
    }
}

#[test]
fn prose_behind_an_empty_line_is_not_said_though_an_arrow_stands_above() {
    for (page, wanted) in [
        (
            "   C->S: a\n      b\n\n   The server then answers.\n\n   S->C: c\n      d\n",
            &["C: a", "C: b", "S: c", "S: d"][..],
        ),
        // Behind a page break stands what is set in further than the arrow.
        (
            "   C->S: a\n      b\n\nMyers & Rose          [Page 19]\n\u{c}\nRFC 1939          May 1996\n\n   This is prose.\n   S->C: c\n",
            &["C: a", "C: b", "S: c"],
        ),
        (
            "   C->S: a\n      b\n\nMyers & Rose          [Page 19]\n\u{c}\nRFC 1939          May 1996\n\n      c\n   S->C: d\n",
            &["C: a", "C: b", "C: c", "S: d"],
        ),
        ("   C->S: a\n      b\n\n      c\n   S->C: d\n", &["C: a", "C: b", "C:", "C: c", "S: d"]),
        ("   C->S:\n   b\n   S->C: d\n", &["C: b", "S: d"]),
    ] {
        assert_eq!(said(&whole(page).text), wanted, "{page}");
    }
}

#[test]
fn what_others_say_to_each_other_is_told_where_it_begins() {
    for (page, line) in [
        ("C->S: hello\nS->C: hi\nS->D: ping\nD->S: pong\nC->S: bye\n", 3),
        ("C->S: hello\nS->C: hi\nS->D:\n   ping\nC->S: bye\n", 4),
        ("C->S: hello\nS->C: hi\nS->D:\n   <connects to it>\n\n   ping\nC->S: bye\n", 5),
    ] {
        let guesses = guesses(page);
        let told = format!("{line} what others say to each other is a comment");
        assert!(guesses.contains(&told), "{page}{guesses:?}");
        assert_eq!(said(&whole(page).text), ["C: hello", "S: hi", "C: bye"]);
    }
}

#[test]
fn what_happens_without_a_word_is_never_said() {
    for (page, wanted) in [
        ("C: {connects}\nS: hi\nC: a\nC: {closes}\n", &["S: hi", "C: a", "C closes"][..]),
        ("C: (opens)\nS: hi\nC: a\nS: (closes)\n", &["S: hi", "C: a", "S closes"]),
        ("C: a\nS: hi\n(server closes)\n", &["C: a", "S: hi", "S closes"]),
        ("   C: a\n   S: hi\n   [Server closes connection]\n", &["C: a", "S: hi", "S closes"]),
        ("   C: a\n   S: hi\n   <client disconnects>\n", &["C: a", "S: hi", "C closes"]),
        ("```\nC: a\nS: hi\n```\n\nAnd so on.\n", &["C: a", "S: hi"]),
        ("C: a\nS: b\nC1: c\nS: d\n", &["C: a", "S: b", "S: d"]),
        ("C: (a list)\nS: {\"ok\"}\nC: (x)\nS: [1]\n", &["S: {\"ok\"}", "C: (x)", "S: [1]"]),
    ] {
        let imported = whole(page);
        assert_eq!(said(&imported.text), wanted, "{page}{}", imported.text);
        assert_plays(&imported.text);
    }
    // The page's own text is no part of a session.
    assert_eq!(said(&whole("C: a\nS: hi\n\nThe server then closes.\n").text), ["C: a", "S: hi"]);
}

#[test]
fn who_only_does_something_is_not_taken_for_who_asks() {
    for direction in ["<waits for a connection>", "(opens the mailbox)", "{is ready}"] {
        let page = format!("Bob->Alice: {direction}\nBob->Alice: 220 hi\nAlice->Bob: HELO a\nBob->Alice: 250 ok\n");
        let imported = whole(&page);
        assert_eq!(said(&imported.text), ["S: 220 hi", "C: HELO a", "S: 250 ok"], "{}", imported.text);
        assert_plays(&imported.text);
    }
    for direction in ["(connects)", "{connects to port 25}"] {
        let imported = whole(&format!("Alice->Bob: {direction}\nBob->Alice: hi\nAlice->Bob: bye\n"));
        assert_eq!(said(&imported.text), ["S: hi", "C: bye"], "{}", imported.text);
    }
}

#[test]
fn who_is_the_client_can_be_told_of_every_layout() {
    for (page, client, expected) in [
        ("A: a\nB: b\nA: c\n", "B", "S: a|C: b|S: c"),
        ("A: a\nB: b\nA: c\n", "a:", "C: a|S: b|C: c"),
        ("C: a\nS: b\n", "S", "S: a|C: b"),
        ("Bob->Alice: 220 hi\nAlice->Bob: EHLO\n", "Bob", "C: 220 hi|S: EHLO"),
        ("Bob->Alice: 220 hi\nAlice->Bob: EHLO\n", "alice", "S: 220 hi|C: EHLO"),
    ] {
        let imported = import(page, Import { client: Some(client), ..Import::default() }).expect("there is a session");
        assert_eq!(said(&imported.text).join("|"), expected, "{page} {client}");
    }
    // Who is greeted with a code asks, also between arrows.
    assert_eq!(said(&whole("Bob->Alice: 220 hi\nAlice->Bob: EHLO\n").text), ["S: 220 hi", "C: EHLO"]);
    for page in ["A: a\nB: b\nA: c\n", "C: a\nS: b\n", "X->Y: a\nY->X: b\n"] {
        assert_eq!(import(page, Import { client: Some("Z"), ..Import::default() }), None, "{page}");
        assert!(why_none(page, Some("Z")).contains("no line is marked as said by `Z`"), "{page}");
    }
}

/// Who is the client is told by directions too, and then nothing may be left that either side says.
#[test]
fn a_page_on_which_neither_side_says_anything_has_no_session() {
    for (page, client) in [
        ("Alice->Bob: (connects)\nCarol->Dave: hi\n", None),
        ("Alice->Bob: (connects)\nAlice->Bob: (waits)\nCarol->Dave: hi\nCarol->Dave: bye\n", None),
        ("Alice->Bob: (waits)\nCarol->Dave: hi\nDave->Carol: bye\n", Some("Alice")),
    ] {
        assert_eq!(import(page, Import { client, ..Import::default() }), None, "{page}");
    }
    assert_eq!(said(&whole("S: <tls>\nI: hi\n").text), ["S: <tls>", "C: hi"]);
    // The other two speak.
    assert_eq!(said(&whole("Alice->Bob: (waits)\nCarol->Dave: hi\nDave->Carol: bye\n").text), ["C: hi", "S: bye"]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever stands on a page, what comes of it plays from both ends.
    #[test]
    fn every_import_plays(lines in prop::collection::vec(
        prop_oneof!["[ ]{0,4}(C|S|R|C & S|C->S|Client): {0,4}[ -~]{0,20}", "[ ]{0,8}[ -~]{0,20}", "\\PC{0,12}",
            Just(String::new()), Just("\u{c}".to_owned()), "(C|S): <[a-z ]{0,12}(tls|close)[a-z ]{0,4}>",
            "(A|B|U|[AB]>|\\[[AB]\\]): {0,4}[ -~]{0,20}"], 0..30),
        session in 1..3_usize, starttls: bool, told in prop::option::of("[ABCSZ]"),
    ) {
        let page = lines.join("\n");
        if let Some(imported) = import(&page, Import { session, starttls, client: told.as_deref() }) {
            assert_plays(&imported.text);
        }
    }
}
