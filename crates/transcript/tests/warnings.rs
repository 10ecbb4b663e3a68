//! Text that may be meant as something else: which of it is told, and which is left alone, at the edge between the two.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use transcript::Transcript;

fn warned(text: &str) -> Vec<String> {
    let transcript = Transcript::parse("x", text.as_bytes(), &[]).unwrap_or_else(|why| panic!("{why}\n{text}"));
    let told = transcript.warnings().iter().map(|finding| {
        format!("{}:{} {}; {}", finding.line, finding.column, finding.message, finding.help.clone().unwrap_or_default())
    });
    told.collect()
}

/// The server says each of these, and each has one warning with these words.
fn each_is_told(cases: &[(&str, &str)]) {
    for (said, words) in cases {
        let told = warned(&format!("C: a\nS: {said}\n"));
        assert!(told.len() == 1 && told[0].contains(words), "{said}: {told:?}");
    }
}

fn none_is_told(said: &[&str]) {
    for said in said {
        assert_eq!(warned(&format!("C: a\nS: {said}\n")), Vec::<String>::new(), "{said}");
    }
}

#[test]
fn a_hole_with_the_name_of_a_character_is_told_with_its_bytes() {
    each_is_told(&[
        ("a{CRLF}", "write `{0x0d0a}` for CR and LF; a line ends by itself"),
        ("a{CR}", "write `{0x0d}` for a CR; a line ends by itself"),
        ("a{LF}", "write `{0x0a}` for an LF; a line ends by itself"),
        ("a{NL}", "write `{0x0a}` for an LF"),
        ("a{SP}b", "write `{0x20}` for a space"),
        ("a{sp}b", "this is a hole with the name sp"),
        ("a{TAB}b", "write `{0x09}` for a tab"),
        ("a{ht}b", "write `{0x09}` for a tab"),
        ("a{NUL}", "write `{0x00}` for a zero byte"),
        ("{Esc}[1m", "write `{0x1b}` for an escape character"),
        ("a{x0a}", "write `{0x0a}` for these bytes"),
        ("a{X0D0a}", "write `{0x0d0a}` for these bytes"),
    ]);
    none_is_told(&["a{x}", "a{x0}", "a{x0ag}", "a{xylo}", "a{y0a}", "a{SPACE}", "a{SP=x}", "a{LF:int}"]);
    assert_eq!(warned("C: {SP=x}\nS: {SP}\n"), Vec::<String>::new());
}

#[test]
fn a_sign_before_a_hole_is_a_length_where_it_may_be_a_number_and_stands_alone() {
    none_is_told(&[
        "${x=5}",
        "${x=-1}",
        "${x=5|-1|12}",
        "${x:int=5}",
        "${x:int}",
        "${n}",
        "${len}",
        "${body_length}",
        "${Size2}",
        "${count}",
        "${num}",
        "${number}",
        "${bytes}",
        "%{len=3}",
        "\u{20ac}{x=5}",
    ]);
    each_is_told(&[
        ("${x=a}", "the `$` is said: it does not belong to the hole"),
        ("${x=5|a}", "the `$` is said"),
        ("${x=5.0}", "the `$` is said"),
        ("${x}", "the `$` is said"),
        ("${name}", "the `$` is said"),
        ("a ${n=5}", "the `$` is said"),
        ("${n=5} b", "the `$` is said"),
        ("%{x=a}", "the `%` is said"),
    ]);
}

#[test]
fn braces_in_braces_are_a_template_only_where_both_pairs_stand_close() {
    each_is_told(&[
        ("{{ name }}", "`{{ name }}` is text and no hole: a hole has one brace and no spaces; write `{name}`"),
        ("{{name }}", "`{{name }}` is text and no hole: a hole has one brace"),
        ("{{name } x", "`{name }` is text and no hole: no space stands in a hole before its default; write `{name}`"),
        ("{{name } }", "`{name }` is text and no hole: no space stands"),
        (
            "{{ user-name }}",
            "`{ user-name }` is text and no hole: a name is letters, digits and _; write `{user_name}`",
        ),
        ("{ user-name }", "`{ user-name }` is text and no hole: a name is letters, digits and _; write `{user_name}`"),
    ]);
    none_is_told(&["{ name }}", "{ name }", "{{}}", "{{ }}", "{{1}}"]);
}

#[test]
fn an_escape_is_one_only_where_it_is_whole() {
    each_is_told(&[
        ("a\\0", "write `{0x00}`"),
        ("a\\0.", "write `{0x00}`"),
        ("a\\0 b", "write `{0x00}`"),
        ("a\\001", "write `{0x01}`"),
        ("a\\177b", "write `{0x7f}`"),
        ("a\\e[1m", "write `{0x1b}`"),
        ("a\\x41b", "write `{0x41}`"),
        ("a\\u00e9b", "write `{0xc3a9}`"),
        ("a\\tb", "write `{0x09}`"),
        ("a\\r\\nb", "write each line as a statement of its own, or `{0x0d0a}` on a `raw:` line"),
    ]);
    none_is_told(&[
        "a\\0b",
        "a\\01",
        "a\\018",
        "a\\09x",
        "a\\1",
        "a\\200",
        "a\\277",
        "a\\e",
        "a\\exit",
        "a\\e(",
        "a\\x4",
        "a\\x4g",
        "a\\u00e",
        "a\\ud800b",
        "a\\d",
        "a\\\\n",
    ]);
}

#[test]
fn an_escape_in_quotes_is_a_programs_and_an_apostrophe_is_no_quote() {
    let told = "`\\n` is no escape";
    each_is_told(&[
        ("it's a\\nb, isn't it", told),
        ("don't a\\nb 'x", told),
        ("\"a\\nb", told),
        ("a\" b\\nc", told),
        ("\"a\" b\\nc \"d\"", told),
        ("'a\" b\\nc", told),
    ]);
    none_is_told(&[
        "say \"a\\nb\" now",
        "x\"a\\nb\"",
        "say 'a\\nb' now",
        "'a\\nb'",
        "say `a\\nb`",
        "x`a\\nb`",
        "\"a\" \"b\\nc\"",
    ]);
}
