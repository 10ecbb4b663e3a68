//! Words of other languages and tools that begin a line, and what to write instead.

use super::duration::nearest_duration;
use super::meant::Instead::{self, BlockIfClosed, End, Nothing, Or};

/// Words of other languages and tools.
pub(super) fn foreign(word: &str, rest: &str) -> Option<(String, Instead)> {
    let lower = word.trim_end_matches([':', ';', '(', ')', '{', ',']).to_ascii_lowercase();
    // `else:` and `wait(1)`.
    let lower = lower.split(['(', '{']).next().unwrap_or_default();
    pause(word, lower, rest)
        .or_else(|| block(word, lower, rest))
        .or_else(|| line(word, lower, rest))
        .or_else(|| connection(word, lower, rest))
        .or_else(|| value(word, lower, rest))
        .or_else(|| file_or_setting(lower))
        .or_else(|| mark(word, rest))
}

/// Whether a word of another language begins, parts or ends a block.
pub(super) fn begins_block(word: &str, rest: &str) -> bool {
    block(word, &word.to_ascii_lowercase(), rest).is_some()
}

/// `if {x} == a`, `switch {x}`, `Choose {x}`, `choose({x})`: the name that decides, and the value of the first way.
pub(super) fn decides_by_name<'a>(text: &'a str, word: &str) -> Option<(&'a str, Option<&'a str>)> {
    let head = &word[..word.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(word.len())];
    if !["if", "switch", "match", "select", "choose", "when"].contains(&head.to_ascii_lowercase().as_str()) {
        return None;
    }
    let behind = text[head.len()..].trim_start_matches([' ', '\t', '(', ':', '"']);
    let inside = behind.strip_prefix("${").or_else(|| behind.strip_prefix(['{', '$']));
    let inside = inside.or_else(|| head.eq_ignore_ascii_case("choose").then_some(behind))?;
    let length = inside.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(inside.len());
    let (name, rest) = inside.split_at(length);
    if name.is_empty() || name == "_" || name.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let rest = rest.trim_start_matches(['}', '"', ' ', '\t']);
    let compared = ["===", "==", "=", "eq ", "is ", "equals "].iter().find_map(|sign| rest.strip_prefix(sign));
    let is_bare = rest.trim_end_matches([')', ':', '{', ' ', '\t', ';']).is_empty() || rest == "of" || rest == "in";
    match compared {
        Some(value) => Some((name, Some(value_of_way(value)).filter(|value| !value.is_empty()))),
        None => is_bare.then_some((name, None)),
    }
}

/// The value in `if b`, `is b:`, `{x} == "b"`, behind the word that begins a way of a choice.
pub(super) fn value_of_way(rest: &str) -> &str {
    let words = ["if ", "is ", "when ", "case ", "on "];
    let mut value = rest.trim();
    while let Some(behind) = words.iter().find_map(|word| value.strip_prefix(word)) {
        value = behind.trim_start();
    }
    if value.starts_with(['{', '$', '(', '"'])
        && let Some((_, behind)) = value.split_once("==")
    {
        value = behind.trim_start_matches('=').trim_start();
    }
    let value = value.trim_end_matches([':', '{', ' ', '\t']);
    let value = if value.contains('(') { value } else { value.trim_end_matches(')').trim_end() };
    let value = value.strip_suffix(" then").unwrap_or(value);
    ['"', '\''].iter().find_map(|&quote| value.strip_prefix(quote)?.strip_suffix(quote)).unwrap_or(value)
}

/// Whether a line of a `choose` begins a way of it in the words of other languages.
pub(super) fn is_case(word: &str, rest: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    let has_value = matches!(lower.as_str(), "case" | "when" | "if" | "elif" | "elsif" | "=" | "==" | "value");
    if rest.is_empty() { is_for_all_others(word) && word != "else" } else { has_value }
}

/// `otherwise`, `default`: the way for all other values.
pub(super) fn is_for_all_others(word: &str) -> bool {
    let bare = word.trim_end_matches(':').to_ascii_lowercase();
    matches!(bare.as_str(), "otherwise" | "default" | "others" | "else" | "_" | "*")
}

fn says(help: &str, instead: Instead) -> Option<(String, Instead)> {
    Some((help.to_owned(), instead))
}

/// Waiting.
fn pause(word: &str, lower: &str, rest: &str) -> Option<(String, Instead)> {
    match lower {
        "wait" | "waits" | "sleep" | "delay" | "pause" | "usleep" | "sleeps" | "delays" => {
            let time = nearest_duration(rest)
                .or_else(|| nearest_duration(word.split_once('(')?.1.trim_end_matches([')', ';'])));
            let time = time.unwrap_or_else(|| "1s".to_owned());
            Some((format!("write `S waits {time}` or `C waits {time}`: the side that pauses stands first"), Nothing))
        }
        _ => None,
    }
}

/// Choices, loops, their ends, and what may or must not come.
fn block(word: &str, lower: &str, rest: &str) -> Option<(String, Instead)> {
    match lower {
        "choose" => says("write `choose {key}`, with a name that has a value by then", BlockIfClosed),
        "if" | "switch" | "match" | "select" | "choice" | "when" | "unless" | "alt" => says(
            "what the other side says decides: write the ways as `either`, `or` and `end`, each with a line of that side first",
            BlockIfClosed,
        ),
        "case" if rest.to_ascii_lowercase().starts_with("insens") => says("write `ignore case`", Nothing),
        "else" | "elif" | "elsif" | "elseif" | "case" | "default" | "otherwise" | "|" | "||" => {
            says("a choice is written `either`, `or`, `end`: each way begins with a line of the same side", Or)
        }
        "and" => says("what stands below each other needs no word between: leave `and` out", Or),
        "while" | "loop" | "for" | "foreach" | "forever" | "do" | "until" | "times" => {
            let count = rest.split_ascii_whitespace().next().and_then(|word| word.parse::<u32>().ok());
            let repeat = count.map_or("repeat".to_owned(), |count| format!("repeat {count}"));
            Some((
                format!("a loop is written `{repeat}` and `end`; the line below `end` says when an open one ends"),
                BlockIfClosed,
            ))
        }
        "endif" | "endrepeat" | "endwhile" | "endloop" | "endfor" | "end_repeat" | "end-repeat" | "endeither"
        | "fi" | "done" | "esac" | "}" | "};" | "wend" | "next" | "ends" | ""
            if !word.is_empty() && (word.starts_with('}') || !lower.is_empty()) =>
        {
            says("a block is closed by `end`", End)
        }
        "break" | "continue" | "goto" | "return" => {
            says("a loop ends when the line below its `end` is said: write that line there", Nothing)
        }
        "any" | "unordered" if rest.is_empty() || rest.trim_end_matches(':') == "order" => {
            says("write `in any order`", BlockIfClosed)
        }
        "in" if !word.ends_with(':') => says("write `in any order`", BlockIfClosed),
        "parallel" | "concurrently" | "simultaneously" | "par" => says(
            "what one side says in an order that is not known stands between `in any order` and `end`",
            BlockIfClosed,
        ),
        "optional" | "optionally" | "perhaps" | "possibly" | "opt" => {
            says("what may be left out stands between `maybe` and `end`", BlockIfClosed)
        }
        "anytime" | "always" | "whenever" | "async" | "background" | "on" | "upon" | "handler" | "every" => {
            says("what may come whenever it likes stands between `at any time` and `end`", BlockIfClosed)
        }
        "group" | "section" | "block" | "test" | "scenario" | "try" | "once" | "begin"
            if !rest.eq_ignore_ascii_case("tls")
                && !word.ends_with(':')
                && (rest.is_empty() || !matches!(lower, "begin" | "once")) =>
        {
            Some((format!("lines need no block around them: leave `{lower}` and its `end` out"), BlockIfClosed))
        }
        "datagram" | "packet" => {
            says("what one datagram holds stands between `together` and `end`, a line each", BlockIfClosed)
        }
        "never" | "forbid" | "reject" | "refuse" | "deny" => {
            says("a line that must not come is written `not S: text` or `not C: text`", Nothing)
        }
        _ => None,
    }
}

/// What is said and heard, and who says it.
fn line(word: &str, lower: &str, rest: &str) -> Option<(String, Instead)> {
    match lower {
        "send" | "say" | "print" | "echo" | "write" | "reply" | "respond" | "puts" | "output" | "request"
        | "answer" => says(
            "what is said stands behind its side: `C: text` if the client says it, `S: text` if the server does",
            Nothing,
        ),
        "recv" | "receive" | "expect" | "read" | "hear" | "assert" | "input" | "response" | "get" => says(
            "what is heard is the other side's line, and is checked by itself: `C: text` or `S: text`, with {name} for what may vary",
            Nothing,
        ),
        "quit" | "exit" | "bye" => {
            Some((format!("a word that is said is `C: {word}`; a client that just leaves is `C closes`"), Nothing))
        }
        "raw" | "hex" | "file" => Some((format!("the side stands first: `C {lower}: …` or `S {lower}: …`"), Nothing)),
        "server" | "client" | "c" | "s" | "alice" | "bob" if !rest.is_empty() && !rest.contains("://") => {
            says("the sides are `C` and `S`: `C: text` if the client says it, `S: text` if the server does", Nothing)
        }
        _ => None,
    }
}

/// The connection: how it ends, where it goes, TLS.
fn connection(word: &str, lower: &str, rest: &str) -> Option<(String, Instead)> {
    match lower {
        "close" | "closes" | "disconnect" | "shutdown" | "hangup" | "fin" | "eof" => {
            says("write `S closes` or `C closes`: the side that closes stands first", Nothing)
        }
        "reset" | "resets" | "rst" | "abort" => {
            says("write `S resets` or `C resets`: the side that resets stands first", Nothing)
        }
        "stop" | "stops" | "ends" if rest.eq_ignore_ascii_case("tls") => says("where TLS ends and clear text goes on, write `stoptls`", Nothing),
        "stops" | "stop" => says("write `C stops sending` or `S stops sending`", Nothing),
        "connect" | "dial" | "open" | "listen" | "bind" | "host" | "port" | "address" | "server" | "client" | "url"
        | "udp" | "tcp" | "proto" | "protocol" | "carrier"
            // `Host: x` is a line of HTTP that has lost its side.
            if !word.ends_with(':') || word.starts_with(|c: char| c.is_ascii_lowercase()) =>
        {
            says(
            "an address is `at tcp://HOST:PORT`, `at udp://…` or `at unix:PATH`; or it is given on the command line",
            Nothing,
        )
        }
        "stop-tls" | "stop_tls" | "stops-tls" | "endtls" | "end-tls" | "unwrap" | "close_notify" | "cleartext" => says("where TLS ends and clear text goes on, write `stoptls`", Nothing),
        "tls" | "ssl" | "starttls" | "starttls()" | "start-tls" | "start_tls" | "starts-tls" | "upgrade" | "handshake" => says("where TLS begins, write `starttls`", Nothing),
        "start" | "starts" | "begin" if rest.eq_ignore_ascii_case("tls") => says("where TLS begins, write `starttls`", Nothing),
        _ => None,
    }
}

/// Values, and what a hole takes.
fn value(word: &str, lower: &str, rest: &str) -> Option<(String, Instead)> {
    match lower {
        // `Date: x` and `local: x` have lost their side.
        _ if word.ends_with(':') => None,
        "def" if rest.ends_with([':', '{']) || rest.contains('(') => file_or_setting("function"),
        "random" | "rand" | "uuid" => says("a random value is given a name by `let id = random 16 hex`", Nothing),
        "time" | "now" | "date" | "clock" => says("the time is given a name by `let now = time HTTP`", Nothing),
        "var" | "const" | "define" | "variable" | "export" | "assign" | "local" | "def" => {
            says("a value is given a name by `set name = value`", Nothing)
        }
        "regex" | "regexp" | "pattern" | "matches" | "like" => says(
            "a pattern stands in a hole: `{name:/[0-9]+/=25}`, or `{_:/[0-9]+/=25}` if its value is not needed",
            Nothing,
        ),
        _ => None,
    }
}

/// Other files, comments, and settings of the whole file.
fn file_or_setting(lower: &str) -> Option<(String, Instead)> {
    match lower {
        "import" | "require" | "source" | "use" | "includes" | "load" => {
            says("another file is put here by `include login.talk`", Nothing)
        }
        "call" | "function" | "exec" | "run" => says(
            "a transcript runs no program and has no functions: write its lines here, or `include login.talk`",
            Nothing,
        ),
        "version" => says("write `transcript 1`", Nothing),
        "log" | "comment" | "note" | "title" | "description" | "info" | "remark" => {
            says("a comment begins with #", Nothing)
        }
        "ignorecase" | "ignore-case" | "ignore_case" | "nocase" | "case-insensitive" | "icase" | "caseless" => {
            says("write `ignore case`", Nothing)
        }
        "crlf" | "lf" | "newline" | "line" | "ending" => says("write `eol crlf` or `eol lf`", Nothing),
        _ => None,
    }
}

/// Signs of comments, speakers and quotes.
fn mark(word: &str, rest: &str) -> Option<(String, Instead)> {
    let is_arrow = word.len() > 1
        && word.contains(['<', '>', '→', '←'])
        && word.trim_matches(['<', '>', '-', '=', '~', '→', '←']).is_empty();
    match word {
        // Alone, `-->` ends a comment of other languages.
        _ if is_arrow && !(word == "-->" && rest.is_empty()) => {
            says("who speaks stands first: `C: text` if the client says it, `S: text` if the server does", Nothing)
        }
        _ if ["//", "--", ";", "/*", "*/", "%", "<!--", "\"\"\"", "'''", "==", "**", "__", "rem", "!", "~~"]
            .iter()
            .any(|mark| word.to_ascii_lowercase().starts_with(mark) && (*mark != "rem" || word.len() == 3)) =>
        {
            says("a comment begins with #", Nothing)
        }
        _ if word.starts_with("```") => {
            says("leave the fence out: only the lines between the two are the transcript", Nothing)
        }
        _ if ["->", "<-", "=>", "<=", ">", "<", "→", "←", ">>", "<<", "»", "«", "$", "+", "*", "-"].contains(&word)
            || word.len() > 1 && word.starts_with(['>', '<']) && !word.ends_with('>') =>
        {
            says("who speaks stands first: `C: text` if the client says it, `S: text` if the server does", Nothing)
        }
        _ if word.starts_with(['“', '”', '‘', '’', '"', '\'']) => {
            says("what is said stands behind its side, without quotes: `C: text` or `S: text`", Nothing)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::Transcript;

    /// The first mistake that a file with this line has, and what to write instead.
    fn told(line: &str) -> String {
        let text = format!("C: a\nS: b\n{line}\nC: c\n");
        let why = Transcript::parse("x", text.as_bytes(), &[]).expect_err(line);
        let finding =
            why.findings.iter().find(|finding| finding.line == 3).unwrap_or_else(|| panic!("{line}: {why:?}"));
        format!("{}; {}", finding.message, finding.help.clone().unwrap_or_default())
    }

    #[test]
    fn a_word_of_another_language_is_answered_with_ours() {
        for (line, words) in [
            ("Server says: hello", "write `S: hello`"),
            ("client sends hello", "write `C: hello`"),
            ("S sends hello", "write `S: hello`"),
            ("C says: hello", "write `C: hello`"),
            ("Request: x", "write `C: x`"),
            ("Response: x", "write `S: x`"),
            ("0x01 0x02", "`C hex: 01 02`"),
            ("\\x01\\xff", "`S hex: 01 ff`"),
            ("01 02 ff", "`S hex: 01 02 ff`"),
            ("start tls", "write `starttls`"),
            ("S starttls", "write `starttls`"),
            ("stop tls", "write `stoptls`"),
            ("S stoptls", "write `stoptls`"),
            ("C ends tls", "write `stoptls`"),
            ("unwrap", "write `stoptls`"),
            ("upgrade tls", "write `starttls`"),
            ("S closes the connection", "write `S closes`"),
            ("S resets connection", "write `S resets`"),
            ("C half-closes", "write `C stops sending`"),
            ("S half closes", "write `S stops sending`"),
            ("C half closed", "write `C stops sending`"),
            ("S eof", "write `S closes`"),
            ("ignore-case", "write `ignore case`"),
            ("case insensitive", "write `ignore case`"),
            ("log hello", "a comment begins with #"),
            ("regex /x/", "a pattern stands in a hole"),
            ("optional", "between `maybe` and `end`"),
            ("never S: x", "write `not S: x`"),
            ("import other.talk", "`include login.talk`"),
            ("anytime", "write `at any time`"),
            ("mabye", "did you mean `maybe`?"),
            ("inculde x.talk", "did you mean `include`?"),
            ("Host: x", "a line is said by the client, `C:`"),
            ("In: x", "`C:`"),
            ("A: x", "a line is said by the client, `C:`, or by the server, `S:`"),
            ("X: hello", "a line is said by the client, `C:`, or by the server, `S:`"),
            ("S\u{a0}: hello", "write `S: hello`"),
            ("set x y", "write `set x = y`"),
            ("set x: y", "write `set x = y`"),
            ("set user-name = y", "write `user_name`"),
            ("let n = length({x})", "write `let n = length {x}`"),
            ("let n = len {x}", "did you mean `length`?"),
            ("let x = y", "`set x = y`"),
            ("C: {x:4bytes}", "write `{x:4 bytes}`"),
            ("C: {x:integer}", "write `{x:int}`"),
            ("C: {x:int|5}", "write `{x:int=5}`"),
            ("C: {x:string}", "has no pattern: `{x}`"),
            ("C: {x:[0-9]+}", "write `{x:/[0-9]+/}`"),
            ("C: {x:=5}", "no pattern stands behind the colon"),
        ] {
            let told = told(line);
            assert!(told.contains(words), "{line}: {told}");
        }
    }

    #[test]
    fn every_word_of_another_language_is_answered_with_the_statement_that_does_it() {
        let cases: &[(&[&str], &str)] = &[
            (&["wait 1s", "Sleep(1s)", "delay 1s", "pause: 1s", "usleep 1s", "sleeps 1s", "delays 1s"], "`S waits 1s`"),
            (&["sleep", "wait()"], "`C waits 1s`"),
            (&["sleep(250ms);", "wait 250ms"], "`S waits 250ms`"),
            (
                &["if x", "switch (x) {", "match x", "select", "choice", "when x", "unless x"],
                "write the ways as `either`, `or` and `end`",
            ),
            (&["case insensitive", "case: Insensitive"], "write `ignore case`"),
            (
                &["else", "elif x", "elsif x", "elseif x", "case x", "default:", "otherwise", "|", "||"],
                "a choice is written `either`, `or`, `end`",
            ),
            (
                &["while x", "loop {", "for x", "foreach x", "forever", "do", "until x"],
                "a loop is written `repeat` and",
            ),
            (&["loop 3", "for 3 rounds", "times 3"], "a loop is written `repeat 3` and `end`"),
            (
                &["endif", "endrepeat", "endwhile", "endloop", "endfor", "end_repeat", "end-repeat", "endeither", "fi"],
                "a block is closed by `end`",
            ),
            (&["done", "esac", "}", "};", "}),", "wend", "next", "ends"], "a block is closed by `end`"),
            (
                &["break", "continue", "goto x", "return", "break;", "return;"],
                "a loop ends when the line below its `end` is said",
            ),
            (&["any", "any: order", "Any order:", "unordered", "unordered:"], "write `in any order`"),
            (&["in parallel", "in no order"], "write `in any order`"),
            (&["parallel", "concurrently", "simultaneously"], "stands between `in any order` and `end`"),
            (&["optional", "optionally x", "perhaps", "possibly"], "stands between `maybe` and `end`"),
            (&["anytime S", "always", "whenever", "async", "background"], "stands between `at any time` and `end`"),
            (&["never", "forbid x", "reject", "refuse", "deny"], "is written `not S: text` or `not C: text`"),
            (
                &["send x", "say", "print(x)", "echo x", "write", "reply", "respond", "puts", "output", "answer"],
                "what is said stands behind its side",
            ),
            (
                &["recv", "receive x", "expect x", "read", "hear", "assert x", "input", "response", "get x"],
                "what is heard is the other side's line",
            ),
            (&["quit"], "a word that is said is `C: quit`"),
            (&["Exit"], "a word that is said is `C: Exit`"),
            (&["bye"], "a client that just leaves is `C closes`"),
            (&["raw: x"], "`C raw: …` or `S raw: …`"),
            (&["Hex 0a"], "`C hex: …` or `S hex: …`"),
            (&["file x"], "`C file: …` or `S file: …`"),
            (&["server hello", "client x", "c x", "alice: hi", "Bob: hi"], "the sides are `C` and `S`"),
            // Alone, or before an address, they say where it is.
            (
                &["server", "client", "server tcp://a:1", "connect a 1", "dial a", "open a", "listen 80", "bind a"],
                "an address is `at tcp://HOST:PORT`",
            ),
            (
                &["host: a", "port 80", "address a", "url a", "udp", "tcp 80", "proto udp", "protocol x", "carrier x"],
                "an address is `at tcp://HOST:PORT`",
            ),
            (
                &["close", "closes", "disconnect", "shutdown", "hangup", "fin", "eof", "close();"],
                "write `S closes` or `C closes`",
            ),
            (&["reset", "resets", "rst", "abort"], "write `S resets` or `C resets`"),
            (&["stop sending", "stops"], "write `C stops sending` or `S stops sending`"),
            (
                &["stop TLS", "stops tls", "stop-tls", "stop_tls", "endtls", "end-tls", "unwrap", "close_notify"],
                "write `stoptls`",
            ),
            (&["cleartext", "stops-tls"], "write `stoptls`"),
            (
                &[
                    "tls",
                    "ssl",
                    "STARTTLS",
                    "starttls()",
                    "start-tls",
                    "start_tls",
                    "starts-tls",
                    "upgrade",
                    "handshake",
                ],
                "where TLS begins, write `starttls`",
            ),
            (&["start tls", "starts TLS", "begin tls"], "where TLS begins, write `starttls`"),
            (&["random 16", "rand", "uuid"], "by `let id = random 16 hex`"),
            (&["time", "now", "date", "clock"], "by `let now = time HTTP`"),
            (&["var x", "const x", "define", "variable", "export x", "assign", "local", "def x"], "`set name = value`"),
            (&["regex x", "regexp", "pattern", "matches x", "like x"], "a pattern stands in a hole"),
            (&["import x", "require", "source x", "use x", "includes x", "load x"], "by `include login.talk`"),
            (&["call x", "function x", "exec x", "run x"], "a transcript runs no program"),
            (&["version 1"], "write `transcript 1`"),
            (&["log x", "comment", "note: x", "title x", "description", "info", "remark x"], "a comment begins with #"),
            (
                &["ignorecase", "ignore-case", "ignore_case", "nocase", "case-insensitive", "icase", "caseless"],
                "write `ignore case`",
            ),
            (&["crlf", "lf", "newline", "line", "ending"], "write `eol crlf` or `eol lf`"),
            (&["// x", "-- x", "; x", "/* x", "*/", "% x", "<!-- x", "rem x", "REM", "! x"], "a comment begins with #"),
            (&["```", "```text"], "leave the fence out"),
            (
                &["-> x", "<- x", "=> x", "> x", "< x", "→ x", "← x", ">> x", "»", "$ x", "+ x", "* x", "- x"],
                "who speaks",
            ),
            (&["\u{201c}x\u{201d}", "\"x\"", "'x'"], "without quotes"),
        ];
        for (lines, words) in cases {
            for line in *lines {
                let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
                let told = super::foreign(word, rest).map(|(help, _)| help).unwrap_or_default();
                assert!(told.contains(words), "{line}: {told}");
            }
        }
        for line in ["hello", "any other", "start", "begin x", "Host: a", "remains", "in: x", ""] {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            assert_eq!(super::foreign(word, rest).map(|(help, _)| help), None, "{line}");
        }
    }
}
