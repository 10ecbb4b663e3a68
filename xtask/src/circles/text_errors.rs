//! Errors that are only text, in the text of a crate: `Result<_, String>`, however the text is kept, wherever it is written outside
//! of tests. Who gets one can do nothing but show it.

use std::collections::BTreeSet;

use super::ModulePath;
use super::source::{Token, code, module_in, test_modules};

/// Each with its file and line, in their order.
pub(super) fn found(files: &[(String, String)]) -> Vec<(String, &'static str)> {
    let of_tests: BTreeSet<ModulePath> = files.iter().flat_map(|(file, text)| test_modules(file, text)).collect();
    let is_for_tests = |file: &str| {
        module_in(file).is_none_or(|module| (1..=module.len()).any(|length| of_tests.contains(&module[..length])))
    };
    let mut found = Vec::new();
    for (file, text) in files.iter().filter(|(file, _)| !is_for_tests(file)) {
        let tokens = code(text);
        for at in 0..tokens.len() {
            if let Some(written) = result_at(&tokens[at..]).or_else(|| associated_at(&tokens[at..])) {
                found.push((file, tokens[at].line, written));
            }
        }
    }
    found.sort();
    found.into_iter().map(|(file, line, written)| (format!("{file}:{line}"), written)).collect()
}

/// The text that a `Result<…, E>` that begins here has for an error.
fn result_at(tokens: &[Token]) -> Option<&'static str> {
    if !begins(tokens, &["Result", "<"]) {
        return None;
    }
    let (mut depth, mut last, mut count) = (1, 2, 0);
    for (at, token) in tokens.iter().enumerate().skip(2) {
        match token.text.as_str() {
            "<" | "(" | "[" => depth += 1,
            // An arrow closes nothing.
            ">" if tokens[at - 1].text == "-" => {}
            ">" | ")" | "]" => depth -= 1,
            // What stands behind the last comma may be nothing.
            "," if depth == 1 && !begins(&tokens[at + 1..], &[">"]) => (last, count) = (at + 1, count + 1),
            // No type: it is compared with something.
            ";" | "{" | "}" if depth == 1 => return None,
            _ => {}
        }
        if depth == 0 {
            let end = if tokens[at - 1].text == "," { at - 1 } else { at };
            return if count == 1 { text_type(&tokens[last..end]) } else { None };
        }
    }
    None
}

/// The text that `type Err = …;` of an implementation names: what its functions return is `Result<Self, Self::Err>`.
fn associated_at(tokens: &[Token]) -> Option<&'static str> {
    if !begins(tokens, &["type", "Err", "="]) && !begins(tokens, &["type", "Error", "="]) {
        return None;
    }
    let length = tokens.iter().skip(3).take_while(|token| token.text != ";").count();
    text_type(&tokens[3..3 + length])
}

/// What a type is called, if it is text.
fn text_type(tokens: &[Token]) -> Option<&'static str> {
    let names: Vec<&str> = tokens.iter().map(|token| token.text.as_str()).collect();
    let path = names.iter().rposition(|&name| name == "::").map_or(0, |last| last + 1);
    match names[path..] {
        ["String"] => Some("a String"),
        // With a lifetime or without.
        ["&", .., "str"] => Some("a str"),
        ["Box" | "Rc" | "Arc", "<", "str", ">"] | ["Cow", "<", .., "str", ">"] => Some("a str"),
        _ => None,
    }
}

fn begins(tokens: &[Token], with: &[&str]) -> bool {
    tokens.len() >= with.len() && tokens.iter().zip(with).all(|(token, text)| token.text == *text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(files: &[(&str, &str)]) -> Vec<String> {
        let files: Vec<(String, String)> =
            files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        found(&files).into_iter().map(|(place, _)| place).collect()
    }

    #[test]
    fn an_error_that_is_only_text_is_found_however_it_is_written() {
        for text in [
            "fn f() -> Result<(), String> {}",
            "fn f() -> Result<Vec<(A, B)>, String> {}",
            "fn f() -> Option<Result<A, std::string::String>> {}",
            "fn f(g: impl Fn(A) -> Result<Box<dyn Fn() -> A>, String>) {}",
            "fn f() -> Result<A, &'static str> {}",
            "fn f<'a>(a: &'a str) -> Result<A, &'a str> {}",
            "fn f() -> Result<A, Box<str>> {}",
            "fn f() -> Result<A, Cow<'static, str>> {}",
            "fn f() -> Result<\n    A,\n    String,\n> {}",
            "struct S { load: Box<dyn FnMut() -> Result<A, String> + Send> }",
            "type Read<T> = Result<T, String>;",
            "impl FromStr for A { type Err = String; }",
            "impl TryFrom<B> for A { type Error = &'static str; }",
        ] {
            assert_eq!(places(&[("a.rs", text)]), ["a.rs:1"], "{text}");
        }
        let two = "fn f() -> Result<Result<A, String>, E> {}\n\nfn g() -> Result<A, String> {}";
        assert_eq!(places(&[("b/c.rs", two), ("a.rs", two)]), ["a.rs:1", "a.rs:3", "b/c.rs:1", "b/c.rs:3"]);
    }

    #[test]
    fn text_that_is_no_error_is_let_be() {
        for text in [
            "fn f() -> io::Result<String> {}",
            "fn f() -> Result<String, E> {}",
            "fn f() -> Result<(A, String), E> {}",
            "fn f() -> Result<A, E<String>> {}",
            "fn f() -> Result<A, (Status, String)> {}",
            "fn f() -> Option<(A, String)> {}",
            "fn f() -> HashMap<A, String> {}",
            "enum Result<A, B> { A(A), B(B) }",
            "// fn f() -> Result<A, String>\nconst A: &str = \"Result<A, String>\";",
            "type Item = String;",
        ] {
            assert_eq!(places(&[("a.rs", text)]), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn tests_may_fail_with_a_sentence() {
        let text = "fn f() -> Result<A, String> {}";
        let inside = format!("#[cfg(test)]\nmod tests {{\n    {text}\n}}\n");
        let apart = [
            ("a.rs", inside.as_str()),
            (
                "b.rs",
                "#[cfg(test)]\n#[allow(x)]\nmod more;\n#[cfg(all(test, feature = \"http\"))]\nmod network;\nmod own;",
            ),
            ("b/tests.rs", text),
            ("b/more.rs", text),
            ("b/more/below.rs", text),
            ("b/network.rs", text),
            ("b/own.rs", text),
        ];
        assert_eq!(places(&apart), ["b/own.rs:1"]);
    }
}
