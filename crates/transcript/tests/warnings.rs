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

#[test]
fn a_comment_behind_what_is_said_is_told_and_a_prompt_or_a_number_is_none() {
    let told = " a comment stands on a line of its own: this one is said";
    each_is_told(&[
        ("hello # greet", told),
        ("QUIT  # and go", told),
        ("a // b", told),
        ("a\t# b", told),
        ("a /* b */", told),
        ("a # b # c", "2:6 a comment"),
        ("a # b // c", "or write `{0x23}` for a # that is meant"),
        ("a // b # c", "put it on the line above behind a #, or write `{0x2f}/` for a // that is meant"),
    ]);
    none_is_told(&[
        "/ # ls",
        "~ # ls",
        "] # x",
        "a> # x",
        "$ # x",
        "a: # x",
        "number # 3",
        "a # (b)",
        "\"a # b\"",
        "a #b",
        "a# b",
        "# a",
        "// a",
        "a //b",
        "a// b",
        "http://a",
        "/* a */",
        "a /*b */",
        "\"a /* b */ c\"",
    ]);
}

#[test]
fn what_cannot_be_seen_is_told_with_its_number_and_its_bytes() {
    each_is_told(&[
        (
            "a ",
            "2:5 a space that cannot be seen stands at the end; leave it out, or write `{0x20}` so that it can be seen",
        ),
        ("a\t", "a tab that cannot be seen stands at the end; leave it out, or write `{0x09}`"),
        (
            "a \t ",
            "3 spaces that cannot be seen stand at the end; leave them out, or write `{0x200920}` so that they can",
        ),
        ("a\u{a0}b", "a no-break space (U+00A0) stands in what is said; write a plain space, or `{0xc2a0}`"),
        ("a\u{202f}b", "a no-break space (U+202F) stands in what is said; write a plain space"),
        ("a\u{ad}b", "a character that cannot be seen (U+00AD) stands in what is said; leave it out, or `{0xc2ad}`"),
        ("a\u{200b}b", "a character that cannot be seen (U+200B)"),
        ("a\u{2060}b", "a character that cannot be seen (U+2060)"),
        ("a\u{feff}b", "a character that cannot be seen (U+FEFF)"),
        ("a\rb", "a carriage return (U+000D)"),
        ("a\0b", "a control character (U+0000)"),
        ("a\u{8}b", "a control character (U+0008)"),
        ("a\u{b}b", "a control character (U+000B)"),
        ("a\u{1f}b", "a control character (U+001F)"),
        ("a\u{7f}b", "a control character (U+007F)"),
        ("a\u{9f}b", "a control character (U+009F)"),
        ("a\u{2028}b", "a control character (U+2028)"),
        ("a\u{2029}b", "a control character (U+2029)"),
        // The first of several.
        ("a\u{200b}b\u{a0}c", "2:5 a character that cannot be seen"),
    ]);
    none_is_told(&["a\tb", "a\u{a1}b", "a\u{e9}b", "a\u{200d}b", "a b", "a{0xc2a0}b"]);
}

#[test]
fn a_line_ending_that_is_spelled_out_at_the_end_is_told() {
    for ending in [
        "%0d%0a",
        "%0D%0A",
        "%0a",
        "%0A",
        "&#13;&#10;",
        "&#xD;&#xA;",
        "&#10;",
        "<CRLF>",
        "<CR><LF>",
        "<crlf>",
        "<cr><lf>",
        "[CRLF]",
        "<LF>",
        "^M",
        "␍␊",
        "␤",
        "↵",
        "¶",
    ] {
        let said = format!("hello{ending}");
        each_is_told(&[(&said, &format!("2:9 `{ending}` is said as it stands; leave it out"))]);
        let raw = warned(&format!("C: a\nS raw: {said}\n"));
        assert!(raw.len() == 1 && raw[0].ends_with("; write `{0x0d0a}`"), "{said}: {raw:?}");
        none_is_told(&[&format!("hello{ending} there")]);
    }
    none_is_told(&["a/b%0d%0a", "a?b%0a", "a=b%0A", "a&b%0D%0A", "354 end with <CRLF>.<CRLF>", "<CR> and <LF>"]);
}

#[test]
fn a_pattern_or_bytes_in_braces_without_a_name_are_told_with_the_hole_that_they_may_be() {
    for (inside, hole) in [
        ("*", "{_}"),
        (".*", "{_}"),
        (".+", "{_}"),
        ("?", "{_}"),
        ("\\w+", "{_}"),
        ("\\w*", "{_}"),
        ("%s", "{_}"),
        ("\\d+", "{_:int}"),
        ("\\d*", "{_:int}"),
        ("[0-9]+", "{_:int}"),
        ("%d", "{_:int}"),
        (":int", "{_:int}"),
        (":word", "{_:word}"),
        (":4 bytes", "{_:4 bytes}"),
        ("=x", "{_=x}"),
        ("4 bytes", "{_:4 bytes}"),
        ("/[a-z]/", "{_:/[a-z]/}"),
        ("0X41", "{0x41}"),
        ("U+41", "{0x41}"),
        ("0d", "{0x0d}"),
        ("0d 0A", "{0x0d0a}"),
        ("0d0a0d0a", "{0x0d0a0d0a}"),
    ] {
        each_is_told(&[(&format!("a{{{inside}}}b"), &format!("write `{hole}`; for text that is meant"))]);
    }
    none_is_told(&["{:frob}", "{=}", "{//}", "{/}", "{12}", "{0d0}", "{0d0a0d0a0d}", "{0g}", "{}", "{ }", "{$1}"]);
}

#[test]
fn signs_and_braces_around_a_name_are_told_of_names_that_there_are() {
    let told = |said: &str| warned(&format!("C: {{name=Ann}}\nS: {{name}} {said}\n"));
    for said in [
        "{@name}", "{#name}", "{$name}", "{%name}", "{::name}", "{.name}", "{&name}", "{>name}", "{name", "a {name!",
        "$name", "$(name)", "%name%", "%(name)s", "<name>", "[[name]]",
    ] {
        let told = told(said);
        assert!(told.len() == 1 && told[0].contains("write `{name}`"), "{said}: {told:?}");
    }
    for said in [
        "{!name}",
        "{@other}",
        "$other",
        "$names",
        "$(name",
        "%name",
        "%(name)",
        "<name",
        "<other>",
        "<name></name>",
        "[[name]",
        "[name]]",
        "[[other]]",
        "a{other",
        "{o",
        "{other!",
        "a%s",
        "%sx",
        "%s%",
        "\"%s\"",
        "printf %s",
        "date +%s",
    ] {
        assert_eq!(told(said), Vec::<String>::new(), "{said}");
    }
    for said in ["{other", "a %s", "%d b"] {
        assert_eq!(told(said).len(), 1, "{said}");
    }
}
