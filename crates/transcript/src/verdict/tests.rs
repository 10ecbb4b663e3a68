use super::*;

fn verdict(fault: Fault, received: &[u8], byte: Option<usize>, secret: &str) -> Verdict {
    Verdict {
        fault,
        side: Side::Server,
        place: Span { line: 1, column: 4, width: 1 },
        source: Arc::new(Source::new("a.talk", "S: ok\n")),
        sent: None,
        expected: vec![Expected { awaited: Awaited::Message, line: 1, text: "ok".to_owned(), matched: 0 }],
        received: received.to_vec(),
        byte,
        name: String::new(),
        secrets: Arc::new([Secret { name: "token".to_owned(), value: secret.into() }]),
        held: vec![],
        fold: false,
        refused: None,
        unfinished: None,
    }
}

#[test]
fn an_empty_line_is_told_from_nothing() {
    assert_eq!(verdict(Fault::Differs, b"", Some(1), "x").received_text(), Some(String::new()));
    assert_eq!(verdict(Fault::ClosedEarly, b"", None, "x").received_text(), None);
    let text = verdict(Fault::Differs, b"no\x00 {ok} ", Some(1), "x").received_text();
    assert_eq!(text.as_deref(), Some("no{0x00} {0x7b}ok}{0x20}"));
}

#[test]
fn no_part_of_a_secret_is_told_wherever_it_is_cut() {
    for before in TOLD - 8..=TOLD + 1 {
        let received = [&vec![b'-'; before][..], b"hunter2", &[b'-'; 100]].concat();
        let text = verdict(Fault::Differs, &received, Some(1), "hunter2").received_text().unwrap();
        assert!(!text.contains('h') || text.contains("{token}"), "{before}");
        assert!(text.trim_start_matches('-').is_empty() || text.trim_matches('-') == "{token}", "{before}");
    }
}

#[test]
fn the_caret_stands_under_the_byte_that_differs() {
    let long = format!("{}ok", "\n".repeat(1233));
    for (source, line, received, byte, pointed) in [
        ("S: ok\n", 1, &b"oh"[..], 2, 'h'),
        ("S: ok\n", 1, b"no", 1, 'n'),
        ("\n\nS: 220 mail.example is ready for you\n", 3, b"220 mail.example is away", 21, 'a'),
        ("S: as long as a line can be that is shown whole, and then some\n", 1, b"as short", 4, 's'),
        (&format!("{}S: ok\n", "\n".repeat(99)), 100, b"oh", 2, 'h'),
        (&long, 1234, b"oh", 2, 'h'),
        // What is written in another way than it came is counted as it is shown.
        ("S: ok\n", 1, b"\x00\x00Z", 3, 'Z'),
        ("S: ok\n", 1, b"o Z", 3, 'Z'),
        ("S: ok\n", 1, "ä\u{20ac}Z".as_bytes(), 6, 'Z'),
    ] {
        let mut verdict = verdict(Fault::Differs, received, Some(byte), "secret");
        verdict.source = Arc::new(Source::new("a.talk", source));
        verdict.place.line = line;
        verdict.expected[0].line = line;
        verdict.sent = Some((1, b"hello".to_vec()));
        for sent in [true, false] {
            verdict.sent.take_if(|_| !sent);
            let text = verdict.details("");
            let lines: Vec<&str> = text.lines().collect();
            let [.., above, below] = &lines[..] else { panic!("{text}") };
            let at = below.chars().position(|letter| letter == '^').unwrap();
            assert_eq!(above.chars().nth(at), Some(pointed), "{text}");
            assert!(below.ends_with(&format!("^ byte {byte} of the line")), "{text}");
            // The bars stand above each other, and so do the texts.
            let column = |line: &str, word| line.split_once(word).map(|(before, _)| before.chars().count());
            let bars: Vec<_> = lines[1..].iter().map(|line| column(line, "|")).collect();
            assert!(bars.iter().all(|bar| *bar == bars[0] && bar.is_some()), "{text}");
            let expected = lines.iter().find_map(|line| column(line, "expected  ")).unwrap();
            assert_eq!(column(above, "received  "), Some(expected), "{text}");
        }
    }
}

#[test]
fn what_came_is_cut_around_the_difference_and_the_caret_goes_with_it() {
    let received = [&[b'x'; SHOWN][..], b"Z", &[b'y'; SHOWN]].concat();
    let (text, caret) = verdict(Fault::Differs, &received, Some(SHOWN + 1), "secret").received_row();
    assert_eq!(text, format!("…{}Z{}…", "x".repeat(SHOWN / 2), "y".repeat(SHOWN / 2 - 1)));
    assert_eq!(caret, Some((SHOWN / 2 + 1, format!("byte {} of the line", SHOWN + 1))));
    let (text, caret) = verdict(Fault::Differs, &received, Some(1), "secret").received_row();
    assert_eq!(text, format!("{}…", "x".repeat(SHOWN / 2)));
    assert_eq!(caret.unwrap().0, 0);
    // Behind all that came, and where nothing says at which byte.
    let (text, caret) = verdict(Fault::Differs, b"short", Some(6), "secret").received_row();
    assert_eq!((text.as_str(), caret.unwrap().0), ("short", 5));
    assert_eq!(verdict(Fault::Differs, b"short", None, "secret").received_row(), ("short".to_owned(), None));
    // Under a name that stands for a secret a caret would point at nothing.
    let hidden = verdict(Fault::Differs, b"no secret", Some(4), "secret").received_row();
    assert_eq!(hidden, ("no {token}".to_owned(), None));
}

#[test]
fn where_nothing_came_it_is_said_what_happened_instead() {
    for (fault, byte, told) in [
        (Fault::Differs, Some(1), "(an empty line)"),
        (Fault::Differs, None, "(nothing)"),
        (Fault::NothingCame { waited: Duration::from_secs(5) }, None, "(nothing)"),
        (Fault::Reset, None, "(a reset)"),
        (Fault::ClosedEarly, None, "(the end)"),
        (Fault::WrongEnding, None, "(the end)"),
    ] {
        let verdict = verdict(fault, b"", byte, "secret");
        assert_eq!(verdict.received_row(), (told.to_owned(), None));
        assert!(verdict.render("").contains(&format!("received  {told}\n")), "{}", verdict.render(""));
    }
}

#[test]
fn what_looks_the_same_is_told_apart() {
    for (expected, received, byte, row, note) in [
        // Spaces that are none of ASCII.
        ("a b", "a\u{a0}b", 2, "a{0xc2a0}b", ""),
        ("a b", "a\u{2003}b", 2, "a{0xe28083}b", ""),
        ("a\u{3000}b", "a b", 2, "a b", ""),
        // Letters of other alphabets, and what is put together of two.
        ("pass", "p\u{430}ss", 2, "p\u{430}ss", ": {0xd0b0} and not {0x61}"),
        ("p\u{430}ss", "pass", 2, "pass", ": {0x61} and not {0xd0b0}"),
        ("caf\u{e9}", "cafe\u{301}", 4, "cafe\u{301}", ": {0x65} and not {0xc3a9}"),
        ("cafe\u{301}", "caf\u{e9}", 4, "caf\u{e9}", ": {0xc3a9} and not {0x65}"),
        // The second byte of a letter differs: the letter is shown whole.
        ("\u{43f}\u{440}\u{430}", "\u{43f}\u{440}\u{432}", 6, "\u{43f}\u{440}\u{432}", ": {0xd0b2} and not {0xd0b0}"),
        // Nothing is added to what everybody sees.
        ("Hello", "Hullo", 2, "Hullo", ""),
        ("a{b}", "ac", 2, "ac", ""),
        // A hole is no letter.
        ("{n:int}", "\u{e9}", 1, "\u{e9}", ""),
        ("ab {name}", "ab \u{e9}", 4, "ab \u{e9}", ""),
        ("\u{e9}{2 bytes}", "\u{e9}\u{20ac}", 3, "\u{e9}\u{20ac}", ""),
        ("\u{e9}a", "\u{e9}", 3, "\u{e9}", ""),
        ("a", "\u{200b}a", 1, "{0xe2808b}a", ""),
    ] {
        let mut verdict = verdict(Fault::Differs, received.as_bytes(), Some(byte), "secret");
        verdict.expected[0].text = expected.to_owned();
        let (text, caret) = verdict.received_row();
        assert_eq!((text.as_str(), caret.unwrap().1), (row, format!("byte {byte} of the line{note}")), "{expected}");
        let account = verdict.details("");
        let shown = |label| account.lines().find_map(|line| line.split_once(label)).unwrap().1.to_owned();
        assert!(shown("expected  ") != shown("received  ") || !note.is_empty(), "{account}");
    }
}

#[test]
fn a_value_of_nothing_is_told_as_one_and_not_as_the_end() {
    for fault in [Fault::NoSuchValue, Fault::NoFit, Fault::NotAPort, Fault::NotEncoded] {
        let mut verdict = verdict(fault, b"", None, "secret");
        verdict.name = "n".to_owned();
        let text = verdict.render("");
        assert!(text.contains("received  (an empty value)\n") && !text.contains("``"), "{text}");
        assert_eq!(verdict.received_text(), Some(String::new()));
    }
}
