//! What is done and not said, told from what programs say.

use crate::Side;
use crate::import::{direction_behind, is_an_end, is_connecting, is_direction, is_heading, who};

#[test]
fn a_direction_says_what_happens_and_is_no_word_of_a_program() {
    for said in [
        "<open connection>",
        "(waits for a connection)",
        "[connection established]",
        "{Opens connection}",
        "{...}",
        "{connects}",
        "(closes)",
        "[Closed]",
        "{ waits }",
        "(pauses)",
        "...",
        "***",
        "\u{2026}",
        ". . .",
        "... more lines",
        "more lines ...",
        "<...>",
        "(\u{2026})",
        "[etc.]",
        "- or -",
        "<or>",
        "-- OR --",
    ] {
        assert!(is_direction(said), "{said}");
    }
    for said in [
        "",
        ".",
        "..",
        "hello",
        "<tag>",
        "<a href=\"b\" c>",
        "<br />",
        "<ann@a.example ann>",
        "(\"a\" \"b\")",
        "(hello)",
        "[hello]",
        "{hello}",
        "{\"a\": 1}",
        "{ a: 1; b: 2 }",
        "{1 2}",
        "250 wait ...",
        "or",
        "or else",
        "<a b> <c d>",
        "(a b) c",
        "closes",
    ] {
        assert!(!is_direction(said), "{said}");
    }
}

#[test]
fn a_direction_in_braces_may_stand_behind_what_is_said() {
    for (said, parts) in [
        ("HELO a {Sends a greeting}", Some(("HELO a", "{Sends a greeting}"))),
        ("HELO a {Sends a greeting} ", Some(("HELO a", "{Sends a greeting}"))),
        ("a {b} {closes}", Some(("a {b}", "{closes}"))),
        ("  {Sends a greeting}", None),
        ("HELO a{Sends a greeting}", None),
        ("HELO {a}", None),
        ("HELO {Sends a greeting} b", None),
    ] {
        assert_eq!(direction_behind(said), parts, "{said}");
    }
}

#[test]
fn the_end_the_beginning_and_who_does_it_are_read_from_a_direction() {
    for (direction, ends, connects, side) in [
        ("<Server closes connection>", true, false, Some(Side::Server)),
        ("(client disconnects)", true, false, Some(Side::Client)),
        ("[hangs up]", true, false, None),
        ("(connection terminates)", true, false, None),
        ("(the CLIENT drops the line)", true, false, Some(Side::Client)),
        ("<end of session>", true, false, None),
        ("(connects to port 25)", false, true, None),
        ("<client and server are connected>", false, true, None),
        ("<Connecting>", false, true, None),
        ("<wait for connection>", false, false, None),
        ("(server sends message 1)", false, false, Some(Side::Server)),
    ] {
        assert_eq!(
            (is_an_end(direction), is_connecting(direction), who(direction)),
            (ends, connects, side),
            "{direction}"
        );
    }
}

#[test]
fn a_heading_is_a_number_of_a_section_at_the_very_beginning() {
    for line in ["4.2.  Name", "10. Example", "1 Name", "D.1.  Name", "A. Name", "Appendix A"] {
        assert!(is_heading(line), "{line}");
    }
    for line in [" 4.2.  Name", "4.2.Name", "Name", "DD.1. Name", "C: a", "S 1", "", "appendix A"] {
        assert!(!is_heading(line), "{line}");
    }
}
