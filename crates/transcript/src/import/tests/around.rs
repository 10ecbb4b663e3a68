//! What a terminal, a logger or a mail program puts around marked lines: no line is lost without a word.

use super::{guesses, said, whole};

const SAID: [&str; 4] = ["S: 220 hi", "C: EHLO a", "S: 250 ok", "C: QUIT"];

#[test]
fn what_stands_around_all_lines_is_left_out() {
    let plain = "S: 220 hi\nC: EHLO a\nS: 250 ok\nC: QUIT\n";
    let each = |around: fn(&str) -> String| plain.lines().map(around).collect::<String>();
    for page in [
        format!("\u{feff}{plain}"),
        format!("\u{feff}\u{c}{plain}"),
        format!("\u{c}{plain}"),
        each(|line| format!("\u{c}{line}\n")),
        each(|line| format!("{line}\u{c}\n")),
        each(|line| format!("{line}\r\n")),
        each(|line| format!("\u{1b}[32m{line}\u{1b}[0m\n")),
        each(|line| format!("  \u{1b}[1;31m{}\u{1b}[0m{}\n", &line[..2], &line[2..])),
        each(|line| format!("\u{1b}[32m{line}\n\u{1b}[0m")),
        each(|line| format!("12:00:01.5 {line}\n")),
        each(|line| format!("> {line}\n")),
        each(|line| format!(">{line}\n")),
    ] {
        assert_eq!(said(&whole(&page).text), SAID, "{page:?}");
    }
    assert_eq!(said(&whole("\u{feff}A: a\nB: b\nA: c\n").text), ["C: a", "S: b", "C: c"]);
}

#[test]
fn a_prefix_that_some_lines_have_is_left_out_and_told() {
    for prefix in
        ["> ", "* ", "- ", "12:00:01 ", "[12:00:01.250] ", "2024-01-02T12:00:01Z ", "Nov 29 19:07:47 ", "> > "]
    {
        for which in [&[0][..], &[1], &[2, 3], &[0, 3], &[0, 1, 2, 3]] {
            let lines = SAID.iter().enumerate();
            let page: String =
                lines.map(|(at, line)| format!("{}{line}\n", if which.contains(&at) { prefix } else { "" })).collect();
            assert_eq!(said(&whole(&page).text), SAID, "{page}");
            let told = format!("{} what stands before a mark is left out, as `{}`", which[0] + 1, prefix.trim_end());
            assert!(guesses(&page).contains(&told), "{page}{:?}", guesses(&page));
        }
    }
    // Where all lines are plain, nothing is told.
    let page = SAID.join("\n");
    assert!(!guesses(&page).iter().any(|guess| guess.contains("left out")));
}

#[test]
fn a_line_with_a_mark_inside_is_a_comment_and_told() {
    for (page, line, comment) in [
        ("log S: 220 hi\nC: EHLO a\nS: 250 ok\nC: QUIT\n", 1, "log S: 220 hi"),
        ("C: EHLO a\nlog S: 250 ok\nC: QUIT\nS: 221 bye\n", 2, "log S: 250 ok"),
        ("C: STARTTLS\n[a b] S: 220 TLS\nC: QUIT\nS: 221 bye\n", 2, "[a b] S: 220 TLS"),
        ("C: EHLO a\nS: 250 ok\nlog|C: QUIT\n", 3, "log|C: QUIT"),
        ("C: EHLO a\nS: 250 ok\n\nlog C: QUIT\n", 4, "log C: QUIT"),
    ] {
        let imported = whole(page);
        assert!(imported.text.lines().any(|line| line == format!("# {comment}")), "{page}{}", imported.text);
        let told = format!("{line} `{comment}` is a comment: a mark stands in it, and not at its beginning");
        assert!(guesses(page).contains(&told), "{page}{:?}", guesses(page));
        assert!(!said(&imported.text).iter().any(|line| line.contains("log")), "{}", imported.text);
    }
    // Prose above a session, and the rest of a folded line, are none.
    for page in [
        "Here C: and S: are the sides.\n\nC: a\nS: b\n",
        "As C: does\nmany things\nC: a\nS: b\n",
        "C: a\n   with S: c\nS: b\n",
    ] {
        assert!(!guesses(page).iter().any(|guess| guess.contains("a mark stands in it")), "{page}{:?}", guesses(page));
    }
}

#[test]
fn colours_and_form_feeds_that_are_said_stay() {
    for (page, expected) in [
        ("C: a\nS: \u{1b}[32mgreen\u{1b}[0m\n", ["C: a", "S: {0x1b}[32mgreen{0x1b}[0m"]),
        ("C: a\u{c}b\nS: b\n", ["C: a{0x0c}b", "S: b"]),
    ] {
        assert_eq!(said(&whole(page).text), expected, "{page:?}");
    }
    assert!(
        guesses("\u{1b}[1mC: a\u{1b}[m\nS: b\n")
            .contains(&"1 colours are left out where a line begins with one".to_owned())
    );
}
