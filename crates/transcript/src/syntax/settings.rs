//! Statements that say nothing: what holds for the whole file, and `set` and `let`.

use super::duration::{duration, nearest_duration};
use super::line::Line;
use super::nearest::nearest;
use super::parse::Parser;
use super::setting_meant::{address_meant, counted_on, ending_meant, giving, is_name, setting_meant};
use super::template::{self, At as Origin};
use super::{At, Eol, StatementKind, Template};
use crate::diagnostic::Span;
use crate::function::Function;
use crate::made::{Format, Kind, MOST_RANDOM, Made};
use crate::number::is_digits;

impl Parser<'_> {
    /// A setting; `first` says that no statement stands above it.
    pub(super) fn setting(&mut self, line: Line<'_>, word: &str, rest: &str, first: bool) {
        let (name, rest) = match word {
            "transcript" => ("transcript", rest),
            "at" => ("at", rest),
            "eol" => ("eol", rest),
            "gap" => ("gap", rest),
            "timeout" => ("timeout", rest),
            _ => ("ignore case", rest),
        };
        // A file that is included says for itself what holds for it: that is nothing new where it holds anyway.
        if self.source.has_others() && self.holds_anyway(line, name, rest) {
            return;
        }
        if self.seen.message || !self.open.is_empty() || self.blocks_outside > 0 {
            self.error(line.place, format!("`{name}` stands before the first message"), "move it to the top");
        } else if self.seen.settings.contains(&name) {
            self.error(line.place, format!("`{name}` is given twice"), "keep one of them");
        } else if name == "transcript" && !first {
            self.error(line.place, "`transcript 1` is the first statement, if it is there", "move it to the top");
        }
        self.seen.settings.push(name);
        let place = if rest.is_empty() { line.place } else { line.place_of(rest) };
        match name {
            "transcript" if matches!(rest, "1" | "1.1") => {}
            "transcript" if rest.is_empty() => {
                self.error(place, "`transcript` names a version", "write `transcript 1` or `transcript 1.1`");
            }
            "transcript" => {
                self.error(place, format!("version `{rest}` is not known"), "write `transcript 1` or `transcript 1.1`")
            }
            "at" if rest.is_empty() => self.error(place, "`at` names an address", "write `at tcp://127.0.0.1:9999`"),
            "at" if let Some(address) = address_meant(rest) => {
                self.error(place, "an address is one word", format!("write `at {address}`"));
            }
            "at" => self.settings.at = Some(At { place, address: rest.to_owned() }),
            "ignore case" if rest == "case" => self.settings.ignore_case = true,
            "ignore case" => self.error(place, format!("`{}` is not a statement", line.text), "write `ignore case`"),
            "eol" => self.eol(place, rest),
            _ => self.time(line, name, place, rest),
        }
        if self.settings.gap.is_some()
            && matches!(self.settings.eol, Eol::Lf | Eol::CrLf)
            && matches!(name, "gap" | "eol")
        {
            self.error(line.place, "a gap needs `eol any` or `eol none`", "leave one of the two out");
        }
    }

    /// Whether a setting changes nothing.
    fn holds_anyway(&mut self, line: Line<'_>, name: &str, rest: &str) -> bool {
        if name == "transcript" {
            return matches!(rest, "1" | "1.1") && !self.inside.is_empty();
        }
        if !self.seen.settings.contains(&name) && name != "eol" || name == "at" {
            return false;
        }
        let (before, findings) = (self.settings.clone(), self.findings.len());
        let place = if rest.is_empty() { line.place } else { line.place_of(rest) };
        match name {
            "ignore case" => self.settings.ignore_case = true,
            "eol" => self.eol(place, rest),
            _ => self.time(line, name, place, rest),
        }
        let is_same = self.settings == before && self.findings.len() == findings;
        self.settings = before;
        self.findings.truncate(findings);
        is_same
    }

    fn eol(&mut self, place: Span, rest: &str) {
        match rest {
            "any" => self.settings.eol = Eol::Any,
            "lf" => self.settings.eol = Eol::Lf,
            "crlf" => self.settings.eol = Eol::CrLf,
            "none" => self.settings.eol = Eol::None,
            _ => {
                let help = match ending_meant(rest) {
                    Some(near) => format!("write `eol {near}`"),
                    None => "write any, lf, crlf or none".to_owned(),
                };
                let message = match rest {
                    "" => "`eol` names no line ending".to_owned(),
                    _ => format!("`{rest}` is not a line ending"),
                };
                self.error(place, message, help);
            }
        }
    }

    fn time(&mut self, line: Line<'_>, name: &str, place: Span, rest: &str) {
        match duration(rest) {
            Some(time) if time.is_zero() => {
                let help = format!("leave `{name}` out, or write `{name} 100ms`");
                self.error(place, format!("a {name} of nothing"), help);
            }
            Some(time) if name == "gap" => self.settings.gap = Some(time),
            Some(time) => self.settings.timeout = Some(time),
            None if rest.is_empty() => {
                self.error(place, format!("`{name}` has no duration"), format!("write `{name} 100ms`"));
            }
            None => self.bad_duration(line, rest),
        }
    }

    /// Part of a line is no duration.
    pub(super) fn bad_duration(&mut self, line: Line<'_>, written: &str) {
        let place = line.place_of(written);
        let before = line.text.strip_suffix(written).unwrap_or_default();
        let message = if is_digits(written) {
            format!("`{written}` has no unit: a duration is `{written}s` or `{written}ms`")
        } else if is_too_long(written) {
            format!("`{written}` is longer than a duration may be")
        } else if written.is_empty() {
            "a duration is missing".to_owned()
        } else {
            format!("`{written}` is not a duration")
        };
        let is_gap = before.starts_with("gap") && written.bytes().all(|byte| byte.is_ascii_digit());
        let near = if is_gap { nearest_duration(&format!("{written}ms")) } else { nearest_duration(written) };
        let help = match near {
            Some(near) => format!("write `{before}{near}`"),
            None if is_too_long(written) => format!("the longest is a year: `{before}31536000s`"),
            None => "write a whole number and a unit, as in `100ms` or `5s`".to_owned(),
        };
        self.error(place, message, help);
    }

    /// `set name = value`.
    pub(super) fn set(&mut self, line: Line<'_>, rest: &str) {
        let Some((name, value)) = self.given(line, rest, "a `set` gives a name a value", "write `set name = value`")
        else {
            return;
        };
        let template = self.value(line, value);
        self.push(line.place, StatementKind::Set { name, template });
    }

    /// `let name = function value`, with the name of a key between the two for a keyed digest.
    pub(super) fn let_(&mut self, line: Line<'_>, rest: &str) {
        let shape = "write `let name = length {value}`";
        let Some((name, formula)) = self.given(line, rest, "a `let` gives a name what a function makes", shape) else {
            return;
        };
        let (word, mut value) = next_word(formula);
        if matches!(word, "random" | "time") {
            return self.fresh(line, name, word, value);
        }
        let Some(function) = Function::named(word) else {
            let place = if word.is_empty() { line.place } else { line.place_of(word) };
            if word.is_empty() {
                let help = format!("write `let {name} = length {{text}}`; a value of nothing is `set {name} =`");
                return self.error(place, "no function stands behind the `=`", help);
            }
            let help = function_meant(&name, word, value);
            return self.error(place, format!("`{word}` is no function"), help);
        };
        let mut key = None;
        if function.takes_key() {
            let (written, after) = next_word(value);
            value = after;
            if !is_name(written) || written == "_" {
                let place = if written.is_empty() { line.place } else { line.place_of(written) };
                let help = format!("write `let {name} = {function} secret {{text}}`, with the key in `set secret = …`");
                return self.error(place, format!("`{function}` needs the name that holds its key"), help);
            }
            // A use like any other: the same as a hole with that name.
            let place = line.place_of(written);
            let hole = format!("{{{written}}}");
            let at = Origin { line: place.line, column: place.column };
            let mut template = template::text(&hole, at, &mut self.expressions, &mut self.findings);
            template.parts.iter_mut().for_each(|part| part.place = place);
            key = Some(template);
        }
        if value.is_empty() {
            let key = key.as_ref().map_or("", |_| " secret");
            let help = format!(
                "write `let {name} = {function}{key} {{text}}`; for the {function} of nothing, `set` a name to nothing and use that"
            );
            return self.error(line.place, format!("`{function}` is given nothing to work on"), help);
        }
        let template = self.value(line, value);
        self.push(line.place, StatementKind::Let { name, function, key, template });
    }

    /// `let name = random 16 hex`, `let name = time HTTP`.
    fn fresh(&mut self, line: Line<'_>, name: String, word: &str, rest: &str) {
        let rest = rest.trim_end_matches([' ', '\t']);
        let place = if rest.is_empty() { line.place } else { line.place_of(rest) };
        let made = match word {
            "time" => match rest {
                "RFC3339" => Ok(Made::Time(Format::Rfc3339)),
                "HTTP" => Ok(Made::Time(Format::Http)),
                "unix" => Ok(Made::Time(Format::Unix)),
                _ => {
                    let near = match rest.to_ascii_lowercase().replace(['-', ' ', '_'], "").as_str() {
                        "rfc3339" | "iso" | "iso8601" | "utc" => "RFC3339",
                        "http" | "httpdate" | "imf" | "rfc1123" | "rfc7231" | "rfc9110" | "gmt" => "HTTP",
                        _ => "unix",
                    };
                    let message = if rest.is_empty() {
                        "no format stands behind `time`".to_owned()
                    } else {
                        format!("`{rest}` is no format of a time")
                    };
                    Err((message, format!("write `let {name} = time {near}`; the formats are RFC3339, HTTP and unix")))
                }
            },
            _ if rest == "uuid" => Ok(Made::Uuid),
            _ => {
                let (count, kind) = next_word(rest);
                let kind = match kind {
                    "hex" => Some(Kind::Hex),
                    "digits" => Some(Kind::Digits),
                    "letters" => Some(Kind::Letters),
                    "bytes" => Some(Kind::Bytes),
                    _ => None,
                };
                match (count.parse::<u16>().ok().filter(|count| (1..=MOST_RANDOM).contains(count)), kind) {
                    (Some(count), Some(kind)) => Ok(Made::Random(kind, count)),
                    (None, Some(_)) if count.parse::<u64>().is_ok() => Err((
                        format!("a random value has between 1 and {MOST_RANDOM} characters"),
                        format!("write `let {name} = random 16 hex`"),
                    )),
                    _ => {
                        let message = if rest.is_empty() {
                            "`random` says how many, and of what".to_owned()
                        } else {
                            format!("`{rest}` is no kind of random value")
                        };
                        Err((
                            message,
                            format!(
                                "write `let {name} = random 16 hex`, or digits, letters or bytes; or `random uuid`"
                            ),
                        ))
                    }
                }
            }
        };
        match made {
            Ok(made) => self.push(line.place, StatementKind::Fresh { name, made }),
            Err((message, help)) => self.error(place, message, help),
        }
    }

    /// The name that stands before the sign, and what stands behind it.
    fn given<'a>(&mut self, line: Line<'_>, rest: &'a str, what: &str, shape: &str) -> Option<(String, &'a str)> {
        let Some((name, value)) = rest.split_once('=') else {
            let split = rest.trim().split_once([' ', ':', '\t']);
            let setting = split.and_then(|(name, value)| setting_meant(name, value));
            let help = match split {
                Some(_) if let Some(setting) = setting => {
                    format!("write `{setting}`: a setting has no `{}` before it", &shape[7..10])
                }
                Some((name, value)) if shape.contains("set") && is_name(name) => {
                    // `set x to 1`.
                    let value = value.trim();
                    let bare = value.strip_prefix("to ").or_else(|| value.strip_prefix("as ")).unwrap_or(value);
                    format!("write `set {name} = {}`", bare.trim_start())
                }
                Some((name, value))
                    if is_name(name)
                        && Function::named(value.trim().split(' ').next().unwrap_or_default()).is_some() =>
                {
                    format!("write `let {name} = {}`", value.trim())
                }
                None if is_name(rest.trim()) => shape.replace("name", rest.trim()),
                _ => shape.to_owned(),
            };
            self.error(line.place, what, help);
            return None;
        };
        let name = name.trim_matches([' ', '\t']);
        if name.is_empty() {
            let help = match value.trim() {
                "" => shape.to_owned(),
                value => format!("write `{} name = {value}`", giving(&shape[7..10], value)),
            };
            self.error(line.place, "no name stands before the `=`", help);
            return None;
        }
        // `set x := 1`, `set n += 1`.
        let bare = name.trim_end_matches([':', '?', '+', '-', ' ', '\t']);
        if is_name(bare) && bare != "_" && bare != name {
            let help = match counted_on(rest.trim()) {
                Some((name, function, value)) => format!("write `let {name} = {function} {{{name}}} {value}`"),
                None => format!("write `{} {bare} = {}`", giving(&shape[7..10], value.trim()), value.trim()),
            };
            let sign = line.place_of(&name[bare.len()..]);
            self.error(sign, "one space and a `=` stand behind the name", help);
            return None;
        }
        if !is_name(name) || name == "_" {
            let place = line.place_of(name);
            let tidy: String = name.trim_matches(['"', '\'', '$', '{', '}', ' ', ':']).replace(['-', '.', ' '], "_");
            let near = if is_name(&tidy) && tidy != "_" { format!("; write `{tidy}`") } else { String::new() };
            let help = format!("a name is letters, digits and _, and does not begin with a digit{near}");
            self.error(place, format!("`{name}` cannot be a name"), help);
            return None;
        }
        // The grammar puts one space after the sign; the rest is the value, verbatim.
        Some((name.to_owned(), value.strip_prefix(' ').unwrap_or(value)))
    }

    fn value(&mut self, line: Line<'_>, value: &str) -> Template {
        let at = Origin { line: line.place.line, column: line.place_of(value).column };
        let template = template::text(value, at, &mut self.expressions, &mut self.findings);
        self.size.template(&template);
        template
    }
}

/// What was meant by a word that is no function; `name` is to have its value, and `rest` stands behind it.
fn function_meant(name: &str, word: &str, rest: &str) -> String {
    // `md5(x)`, and what other languages call them.
    let (bare, inside) = word.split_once('(').unwrap_or((word, ""));
    let inside = format!("{inside} {rest}");
    let inside = inside.trim().trim_end_matches(')').trim();
    let bare = bare.to_ascii_lowercase();
    let known = match bare.as_str() {
        "len" | "strlen" | "size" | "sizeof" | "count" => Some("length"),
        "base64encode" | "b64" | "b64encode" | "base64_encode" | "btoa" | "tobase64" => Some("base64"),
        "base64decode" | "b64decode" | "base64_decode" | "atob" | "frombase64" | "base64d" => Some("unbase64"),
        "hexdecode" | "fromhex" | "unhexlify" | "decodehex" => Some("unhex"),
        "hexencode" | "tohex" | "hexlify" | "encodehex" => Some("hex"),
        "random" => return format!("write `let {name} = random 16 hex`, or `random uuid`"),
        "time" => return format!("write `let {name} = time unix`; the formats are RFC3339, HTTP and unix"),
        _ if word.starts_with('{') && rest.trim_start().starts_with(['+', '-']) => {
            let rest = rest.trim_start();
            let function = if rest.starts_with('+') { "sum" } else { "difference" };
            return format!("write `let {name} = {function} {word} {}`", rest[1..].trim());
        }
        "add" | "plus" | "+" => Some("sum"),
        "sub" | "subtract" | "minus" | "-" => Some("difference"),
        "crc" | "crc-32" | "crc32b" => Some("crc32"),
        "crc-16" | "crc16modbus" => Some("crc16"),
        "checksum" => Some("sum8"),
        "xor" | "bcc" => Some("xor8"),
        "sha" => Some("sha1"),
        _ if let Some(others) = outside_the_language(name, &bare) => return others,
        "sha2" | "sha-256" | "sha_256" => Some("sha256"),
        "sha-1" | "sha_1" => Some("sha1"),
        "md-5" => Some("md5"),
        "hmac" | "hmac-sha2" | "hmacsha256" | "hmac_sha256" => Some("hmac-sha256"),
        _ => Function::names().find(|known| *known == bare).or_else(|| nearest(&bare, Function::names())),
    };
    let all = || format!("the functions are {}", Function::names().collect::<Vec<_>>().join(", "));
    match known {
        Some(near) if word.contains('(') => {
            let key = if near.starts_with("hmac") { "secret " } else { "" };
            format!("write `let {name} = {near} {key}{inside}`")
        }
        Some(near) => format!("did you mean `{near}`?"),
        // `let x = y`.
        None if matches!(bare.as_str(), "now" | "date" | "timestamp" | "clock" | "today") => {
            format!("write `let {name} = time HTTP`, or `time RFC3339` or `time unix`")
        }
        None if matches!(bare.as_str(), "rand" | "uuid" | "guid" | "nonce" | "randint" | "urandom") => {
            let what = if bare.ends_with("uid") { "uuid" } else { "16 hex" };
            format!("write `let {name} = random {what}`")
        }
        None if rest.is_empty() => format!("a value as it stands is `set {name} = {word}`; {}", all()),
        None => all(),
    }
}

/// What is said to the name of a function that there is not, and that no other one can stand for: its result differs.
fn outside_the_language(name: &str, word: &str) -> Option<String> {
    let plain: String = word.chars().filter(char::is_ascii_alphanumeric).collect();
    let plain = ["encode", "decode"].iter().find_map(|end| plain.strip_suffix(end)).unwrap_or(&plain);
    let (what, ours) = match plain.strip_prefix("hmac").unwrap_or(plain) {
        "sha224" | "sha384" | "sha512" | "sha512256" | "sha512224" | "sha3" | "sha3224" | "sha3256" | "sha3384"
        | "sha3512" | "md2" | "md4" | "ripemd" | "ripemd160" | "blake2" | "blake2b" | "blake2s" | "blake3" => {
            ("digests", "md5, sha1 and sha256, and the same with hmac- before them")
        }
        "crc8" | "crc24" | "crc32c" | "crc64" | "adler32" | "fletcher16" | "fletcher32" => {
            ("checksums", "crc32, crc16, sum8 and xor8")
        }
        "base32" | "base36" | "base45" | "base58" | "base62" | "base64url" | "base85" | "ascii85" | "urlencode" => {
            ("encodings", "hex and base64, and back unhex and unbase64")
        }
        _ => return None,
    };
    Some(format!("the {what} are {ours}; what another one gives is made outside, and given with --set {name}=value"))
}

/// Whether it is a whole number and a unit, and more than there may be.
fn is_too_long(written: &str) -> bool {
    let number = written.strip_suffix("ms").or_else(|| written.strip_suffix('s')).unwrap_or_default();
    is_digits(number) && duration(written).is_none()
}

/// The first word of a text, and what follows the one space behind it.
fn next_word(text: &str) -> (&str, &str) {
    text.split_once(' ').unwrap_or((text, &text[text.len()..]))
}

#[cfg(test)]
mod tests {
    use crate::Transcript;

    /// The one mistake that a file with this line at its top has, and what to write instead.
    fn told(line: &str) -> String {
        let why = Transcript::parse("x", format!("{line}\nC: a\n").as_bytes(), &[]).expect_err(line);
        assert_eq!(why.findings.len(), 1, "{line}: {why}");
        format!("{}; {}", why.findings[0].message, why.findings[0].help.clone().unwrap_or_default())
    }

    #[test]
    fn a_value_without_its_sign_is_answered_with_the_shape_of_its_statement() {
        for (line, words) in [
            ("set x y", "write `set x = y`"),
            ("set x: y", "write `set x = y`"),
            ("set x", "write `set x = value`"),
            ("set x to 1", "write `set x = 1`"),
            ("set x as a b", "write `set x = a b`"),
            ("set x total", "write `set x = total`"),
            ("set 1x y", "write `set name = value`"),
            ("let n length {x}", "write `let n = length {x}`"),
            ("let n: md5 {x}", "write `let n = md5 {x}`"),
            ("let n", "write `let n = length {value}`"),
        ] {
            let told = told(line);
            assert!(told.ends_with(words), "{line}: {told}");
        }
    }

    #[test]
    fn a_word_that_is_no_function_is_answered_with_what_was_meant() {
        for (line, words) in [
            ("let x = lenght a", "did you mean `length`?"),
            ("let x = MD5(a)", "write `let x = md5 a`"),
            ("let x = hmac(a)", "write `let x = hmac-sha256 secret a`"),
            ("let x = uuid", "; write `let x = random uuid`"),
            ("let x = guid", "; write `let x = random uuid`"),
            ("let x = nonce", "; write `let x = random 16 hex`"),
            ("let x = urandom 16", "; write `let x = random 16 hex`"),
            ("let x = now", "; write `let x = time HTTP`"),
            // What stands alone may be the value itself.
            ("let x = frobnicate", "; a value as it stands is `set x = frobnicate`; the functions are"),
            ("let x = frobnicate a", "`frobnicate` is no function; the functions are"),
            ("let x = zz {y} a", "`zz` is no function; the functions are"),
        ] {
            let told = told(line);
            assert!(told.contains(words), "{line}: {told}");
        }
    }

    #[test]
    fn what_another_function_gives_is_not_given_by_one_with_a_similar_name() {
        for (words, ours) in [
            (
                "sha512 sha384 SHA-512 md4 sha3_256 hmac-sha512 hmacSHA384 blake2b",
                "the digests are md5, sha1 and sha256",
            ),
            ("crc8 crc-32c crc64 adler32", "the checksums are crc32, crc16, sum8 and xor8"),
            ("base32 base58 base64url base32encode", "the encodings are hex and base64"),
        ] {
            for word in words.split(' ') {
                let told = told(&format!("let x = {word} abc"));
                assert!(told.contains(ours) && told.ends_with("given with --set x=value"), "{word}: {told}");
            }
        }
    }

    #[test]
    fn what_is_missing_is_not_shown_as_nothing_in_quotes() {
        for (line, words) in [
            ("let x =", "no function stands behind the `=`; write `let x = length {text}`"),
            ("let x = ", "no function stands behind the `=`; write `let x = length {text}`"),
            ("eol", "`eol` names no line ending; write any, lf, crlf or none"),
            ("let x = time", "no format stands behind `time`"),
            ("let x = unhex", "`unhex` is given nothing to work on"),
            ("C waits", ""),
        ] {
            let told = told(line);
            assert!(told.starts_with(words) && !told.contains("``"), "{line}: {told}");
        }
    }

    #[test]
    fn a_time_that_is_none_is_told_from_one_that_is_missing() {
        for setting in ["gap", "timeout"] {
            for (time, words) in [
                ("", format!("`{setting}` has no duration; write `{setting} 100ms`")),
                (" soon", "`soon` is not a duration; write a whole number and a unit".to_owned()),
                (" 1.5s", format!("`1.5s` is not a duration; write `{setting} 1500ms`")),
                (
                    " 1000000000s",
                    format!(
                        "`1000000000s` is longer than a duration may be; the longest is a year: `{setting} 31536000s`"
                    ),
                ),
                (" 99999999999999999999ms", "`99999999999999999999ms` is longer than a duration may be".to_owned()),
                (" 31536001s", "`31536001s` is longer than a duration may be".to_owned()),
                (" 0s", format!("a {setting} of nothing; leave `{setting}` out")),
            ] {
                let told = told(&format!("{setting}{time}"));
                assert!(told.starts_with(&words), "{setting}{time}: {told}");
            }
        }
    }

    #[test]
    fn every_name_of_a_function_in_another_language_is_answered_with_ours() {
        for (words, function) in [
            ("len strlen size sizeof count LEN", "length"),
            ("base64encode b64 b64encode base64_encode btoa tobase64", "base64"),
            ("base64decode b64decode base64_decode atob frombase64 base64d", "unbase64"),
            ("hexdecode fromhex unhexlify decodehex", "unhex"),
            ("hexencode tohex hexlify encodehex", "hex"),
            ("add plus +", "sum"),
            ("sub subtract minus -", "difference"),
            ("crc crc-32 crc32b", "crc32"),
            ("crc-16 crc16modbus", "crc16"),
            ("checksum", "sum8"),
            ("xor bcc", "xor8"),
            ("sha sha-1 sha_1", "sha1"),
            ("sha2 sha-256 sha_256", "sha256"),
            ("md-5 MD5", "md5"),
            ("hmac hmac-sha2 hmacsha256 hmac_sha256", "hmac-sha256"),
        ] {
            for word in words.split(' ') {
                assert_eq!(super::function_meant("x", word, "a"), format!("did you mean `{function}`?"), "{word}");
                let key = if function.starts_with("hmac") { "secret " } else { "" };
                let called = format!("{word}(a)");
                assert_eq!(super::function_meant("x", &called, ""), format!("write `let x = {function} {key}a`"));
            }
        }
        for (word, rest, meant) in [
            ("random", "16", "write `let x = random 16 hex`, or `random uuid`"),
            ("time", "", "write `let x = time unix`; the formats are RFC3339, HTTP and unix"),
            ("{a}", "+ {b}", "write `let x = sum {a} {b}`"),
            ("{a}", "- 1", "write `let x = difference {a} 1`"),
            ("today", "", "write `let x = time HTTP`, or `time RFC3339` or `time unix`"),
            ("timestamp", "", "write `let x = time HTTP`, or `time RFC3339` or `time unix`"),
            ("randint", "", "write `let x = random 16 hex`"),
            ("guid", "", "write `let x = random uuid`"),
        ] {
            assert_eq!(super::function_meant("x", word, rest), meant, "{word} {rest}");
        }
    }
}
