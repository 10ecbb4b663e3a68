//! Patterns as other languages and tools write them, and how they are written here.

use crate::number::{self, Number};
use crate::pattern::Regex;

/// What stands between the words that are given with the first of them: `write …`.
struct Meant<'a> {
    name: &'a str,
    /// `=`, and the defaults, as they are written.
    default: &'a str,
    /// Whether a hole is one that may stand there.
    takes: &'a dyn Fn(&str) -> bool,
}

impl Meant<'_> {
    fn hole(&self, pattern: &str, default: &str) -> String {
        let colon = if pattern.is_empty() { "" } else { ":" };
        format!("{{{}{colon}{pattern}{default}}}", self.name)
    }

    /// The first of these patterns that the default fits; if it fits none, the first of them without it.
    fn one_of(&self, patterns: &[&str]) -> String {
        let with_default = patterns.iter().map(|pattern| self.hole(pattern, self.default));
        match with_default.into_iter().find(|hole| (self.takes)(hole)) {
            Some(hole) => format!("write `{hole}`"),
            None if self.default.is_empty() => format!("write `{}`", self.hole(patterns[0], "")),
            None => format!("write `{}`, with a default that fits", self.hole(patterns[0], "")),
        }
    }

    fn says(&self, pattern: &str) -> Option<String> {
        Some(self.one_of(&[pattern]))
    }

    fn anything(&self) -> Option<String> {
        Some(format!("what takes anything has no pattern: `{}`", self.hole("", self.default)))
    }
}

/// What was probably meant by something that is no pattern. `default` is what stands behind it, and `takes` says
/// whether a hole is well formed there.
pub(super) fn pattern_meant(name: &str, written: &str, default: &str, takes: impl Fn(&str) -> bool) -> Option<String> {
    let meant = Meant { name, default, takes: &takes };
    let lower = written.trim().to_ascii_lowercase();
    if lower.starts_with(['!', '¬']) || lower.starts_with("not ") {
        let hole = meant.hole("", default);
        return Some(format!("a pattern says what fits, and not what does not: write `{hole}` for anything"));
    }
    if let Some(pattern) =
        ["~", "re:", "regex:", "regexp:", "pattern:"].iter().find_map(|sign| lower.strip_prefix(sign))
    {
        let written = written.trim();
        let pattern = written[written.len() - pattern.len()..].trim();
        let is_known = pattern.starts_with('/') || matches!(pattern, "int" | "word" | "hex");
        if is_known && takes(&meant.hole(pattern, "")) {
            return meant.says(pattern);
        }
        return regex_or_anything(&meant, pattern);
    }
    range(&meant, &lower)
        .or_else(|| counted(&meant, &lower))
        .or_else(|| with_default(&meant, written.trim()))
        .or_else(|| by_name(&meant, &lower))
        .or_else(|| number_meant(&meant, &lower))
        .or_else(|| regex_or_anything(&meant, written.trim()))
}

/// The digits of a text, if they stand together: what stands apart is no one number.
fn one_number(text: &str) -> Option<&str> {
    let is_digit = |c: char| c.is_ascii_digit();
    let begin = text.find(is_digit)?;
    let digits = &text[begin..];
    let (digits, behind) = digits.split_at(digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len()));
    (!behind.contains(is_digit)).then_some(digits)
}

/// `hex{2,4}`, `bytes(1,3)`, `digits {2,}`: between so many and so many.
fn range(meant: &Meant<'_>, lower: &str) -> Option<String> {
    let (first, last) = lower.split_once(',').filter(|(_, last)| !last.contains(','))?;
    let (begin, end) = (first.find(['{', '(', '<', '['])?, last.find(['}', ')', '>', ']'])?);
    let (least, most) = (first[begin + 1..].trim(), last[..end].trim());
    let is_count = |count: &str| count.bytes().all(|byte| byte.is_ascii_digit());
    if !is_count(least) || !is_count(most) || least.is_empty() && most.is_empty() || !last[end + 1..].trim().is_empty()
    {
        return None;
    }
    let class = match first[..begin].trim() {
        "hex" | "x" => "[0-9a-fA-F]",
        "digits" | "digit" | "d" => "[0-9]",
        word if is_text(word) => ".",
        _ => return None,
    };
    let least = if least.is_empty() { "0" } else { least };
    let regex = format!("{class}{{{least},{most}}}");
    if Regex::new(&regex).is_ok() { meant.says(&format!("/{regex}/")) } else { None }
}

/// What other languages call bytes and text.
fn is_text(word: &str) -> bool {
    matches!(
        word,
        "bytes"
            | "byte"
            | "octets"
            | "octet"
            | "b"
            | "chars"
            | "char"
            | "characters"
            | "character"
            | "string"
            | "str"
            | "text"
            | "raw"
            | "binary"
            | "blob"
            | "letters"
            | "letter"
    )
}

/// `8hex`, `hex 4`, `4 digits`, `bytes[8]`, `8 chars`, `8`, `{size} bytes`.
fn counted(meant: &Meant<'_>, lower: &str) -> Option<String> {
    let digits = one_number(lower).unwrap_or_default();
    let letters: String = lower.chars().filter(char::is_ascii_alphabetic).collect();
    let signs = [' ', '*', '{', '}', '(', ')', '<', '>', ','];
    let is_counted = lower.len() == digits.len() + letters.len() + lower.matches(signs).count();
    // `[8]byte`, `bytes[8]`: brackets around the digits, and no class of a regex.
    let is_indexed = !digits.is_empty() && lower.contains(&format!("[{digits}]"));
    let number = digits.parse::<u64>().ok().filter(|number| (is_counted || is_indexed) && *number > 0);
    let is_hex = matches!(letters.as_str(), "hex" | "x");
    match (letters.as_str(), number) {
        // What is counted has a bound; beyond it text does.
        (_, Some(1..=16)) if is_hex && !is_indexed => return meant.says(&format!("{digits} hex")),
        (_, Some(_)) if is_hex && !is_indexed => return meant.says(&format!("/[0-9a-fA-F]{{{digits}}}/")),
        ("digits" | "digit" | "d", Some(_)) if !is_indexed => return meant.says(&format!("/[0-9]{{{digits}}}/")),
        (word, Some(_)) if is_text(word) => return meant.says(&format!("{digits} bytes")),
        ("", Some(8 | 16 | 24 | 32 | 64)) if digits == lower => {
            let (bytes, number) = (format!("{digits} bytes"), format!("u{digits}"));
            // A default tells which of the two is meant.
            if !meant.default.is_empty() {
                return Some(meant.one_of(&[&bytes, &number]));
            }
            let (bytes, number) = (meant.hole(&bytes, ""), meant.hole(&number, ""));
            return Some(format!("write `{bytes}`, or `{number}` for a number of {digits} bits"));
        }
        ("", Some(_)) if digits == lower => return meant.says(&format!("{digits} bytes")),
        _ if letters.len() == lower.len() && matches!(lower, "hex" | "varint" | "int" | "word") => {
            return meant.says(lower);
        }
        _ => {}
    }
    // `{size} bytes`, `bytes size`, `size octets`.
    let bare = lower.replace(['{', '}', '$', '(', ')'], " ");
    let unit = |word: &str| matches!(word, "bytes" | "byte" | "octets" | "octet" | "chars");
    match bare.split_ascii_whitespace().collect::<Vec<_>>()[..] {
        [count, word] if unit(word) => Some(count),
        [word, count] if unit(word) => Some(count),
        _ => None,
    }
    .filter(|count| count.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'))
    .and_then(|count| meant.says(&format!("{count} bytes")))
}

/// `int:5`, `word|a`, `int(5)`, `int|word`: what stands behind a good pattern is its default, or another pattern.
fn with_default(meant: &Meant<'_>, written: &str) -> Option<String> {
    let at = written.find(['|', ':', '('])?;
    let (pattern, behind) = (written[..at].trim(), &written[at + 1..]);
    let expression = |pattern: &str| match pattern.trim() {
        "int" => Some("-?[0-9]+"),
        "word" => Some("[^ \\t]+"),
        "hex" => Some("[0-9a-fA-F]+"),
        _ => None,
    };
    if written[at..].starts_with('|')
        && let Some(either) = written.split('|').map(expression).collect::<Option<Vec<_>>>()
    {
        return meant.says(&format!("/{}/", either.join("|")));
    }
    let behind = if written[at..].starts_with('(') { behind.strip_suffix(')')? } else { behind };
    let hole = meant.hole(pattern, &format!("={behind}"));
    let is_pattern = matches!(pattern, "int" | "word") || Number::named(pattern).is_some();
    if !is_pattern {
        return None;
    }
    if meant.default.is_empty() && (meant.takes)(&hole) { Some(format!("write `{hole}`")) } else { meant.says(pattern) }
}

/// What other languages call a pattern.
fn by_name(meant: &Meant<'_>, lower: &str) -> Option<String> {
    match lower {
        _ if lower.starts_with("random ") || lower == "random" || lower == "uuid" => {
            let (name, what) = (meant.name, lower.strip_prefix("random ").unwrap_or("uuid"));
            Some(format!("write `let {name} = random {what}` above, and `{{{name}}}` here"))
        }
        "" | "string" | "str" | "text" | "any" | "*" | ".*" | "all" | "line" | "char" | "chars" | "binary" => {
            meant.anything()
        }
        "integer" | "number" | "num" | "digits" | "digit" | "uint" | "long" | "decimal" | "\\d+" | "\\d*" | "d"
        | "port" | "int+" | "int*" | "int?" | "<int>" | "[int]" | "(int)" => meant.says("int"),
        "float" | "double" | "real" => meant.says(r"/-?[0-9]+\.[0-9]+/"),
        "ip" | "ipv4" | "ip4" | "ipaddr" => meant.says(r"/[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+/"),
        "ipv6" | "ip6" => meant.says("/[0-9a-fA-F:.]+/"),
        "bool" | "boolean" => meant.says("/true|false/"),
        "hexadecimal" | "x" | "0x" | "%x" | "hex digits" | "0 hex" | "hex 0" => meant.says("hex"),
        "leb128" | "uleb128" | "vlq" | "vint" | "uvarint" | "varuint" | "var_int" => meant.says("varint"),
        "words" | "token" | "\\w+" | "\\s+" | "ident" | "identifier" | "host" | "hostname" | "url" | "uri" => {
            meant.says("word")
        }
        "bytes" | "byte" => meant.says("8 bytes"),
        _ => None,
    }
}

/// `[0-9]+`, `r"\d+"`, and `?` alone, which stands for anything elsewhere.
fn regex_or_anything(meant: &Meant<'_>, written: &str) -> Option<String> {
    let is_regex = written.contains(['[', '+', '*', '\\', '^', '$', '(', '?', '|', '.']);
    let quoted = |quote| written.trim_start_matches('r').strip_prefix(quote)?.strip_suffix(quote);
    let regex = ['"', '\''].into_iter().find_map(quoted).unwrap_or(written);
    if is_regex && !written.contains('/') && Regex::new(regex).is_ok() {
        return meant.says(&format!("/{regex}/"));
    }
    let is_sign = written.bytes().all(|byte| byte.is_ascii_punctuation()) || written == "%s";
    if is_sign { meant.anything() } else { None }
}

/// What was meant by a regex and what stands behind it up to the hole's end: `/…/i=5`, `/…/ =5`, `/…/|5`, `/a/b/`.
pub(super) fn regex_meant(name: &str, written: &str, behind: &str) -> String {
    let (flags, rest) = behind.split_at(behind.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(behind.len()));
    let is_flags = flags.bytes().all(|byte| b"gimsuxy".contains(&byte));
    let default = rest.trim_start().strip_prefix(['=', '|', ':']).map(|default| format!("={default}"));
    let hole = if is_flags && (rest.trim().is_empty() || default.is_some()) {
        // Those that an expression has inside itself; the others mean nothing where all of a hole is matched, once.
        let inside: String = flags.chars().filter(|flag| "imsx".contains(*flag)).collect();
        let inside = if inside.is_empty() { inside } else { format!("(?{inside})") };
        Some((format!("{inside}{written}"), default.unwrap_or_default()))
    } else {
        // The last slash in front of the default ends it.
        let whole = format!("{written}/{behind}");
        let end = whole.find("/=").or_else(|| whole.ends_with('/').then(|| whole.len() - 1));
        end.map(|end| (whole[..end].replace("\\/", "\\x2f").replace('/', "\\x2f"), whole[end + 1..].to_owned()))
    };
    let slash = "a slash inside a regex is written \\x2f";
    match hole {
        Some((regex, default)) if Regex::new(&regex).is_ok() => {
            format!("write `{{{name}:/{regex}/{default}}}`; {slash}")
        }
        _ => slash.to_owned(),
    }
}

/// The number that is meant by what other languages call it.
fn number_meant(meant: &Meant<'_>, lower: &str) -> Option<String> {
    let is_low = lower.contains("le") || lower.starts_with('<');
    let bare = one_number(lower)?;
    let kind: String = lower.chars().filter(|c| c.is_ascii_alphabetic()).collect();
    let kind = kind.trim_end_matches("be").trim_end_matches("le");
    let is_kind = matches!(kind, "u" | "i" | "s" | "int" | "uint" | "intt" | "uintt" | "");
    let bits: u32 = bare.parse().ok().filter(|_| is_kind)?;
    let wanted = if is_low && bits > 8 { format!("u{bits}le") } else { format!("u{bits}") };
    let word = number::WORDS.into_iter().find(|word| *word == wanted)?;
    let said = meant.one_of(&[word]);
    let has_sign = matches!(kind, "i" | "s" | "int" | "intt");
    let largest = u64::MAX >> (64 - bits.min(64));
    Some(if has_sign { format!("{said}, which has no sign: -1 is {largest}") } else { said })
}

#[cfg(test)]
mod tests {
    /// What is said of `{x:…}`, with this behind its colon.
    fn meant(written: &str) -> Option<String> {
        super::pattern_meant("x", written, "", |_| true)
    }

    #[test]
    fn a_pattern_in_the_words_of_another_tool_is_answered_with_ours() {
        for (written, meant) in [
            ("8hex", "write `{x:8 hex}`"),
            ("hex 4", "write `{x:4 hex}`"),
            ("Hex{2}", "write `{x:2 hex}`"),
            ("x*6", "write `{x:6 hex}`"),
            ("Hex", "write `{x:hex}`"),
            ("0x", "write `{x:hex}`"),
            ("0 hex", "write `{x:hex}`"),
            ("16 hex", "write `{x:16 hex}`"),
            ("hex 20", "write `{x:/[0-9a-fA-F]{20}/}`"),
            ("32 hex", "write `{x:/[0-9a-fA-F]{32}/}`"),
            ("INT", "write `{x:int}`"),
            ("x", "write `{x:hex}`"),
            ("4 digits", "write `{x:/[0-9]{4}/}`"),
            ("digits", "write `{x:int}`"),
            ("uint16_t", "write `{x:u16}`"),
            ("8 octets", "write `{x:8 bytes}`"),
            // Its digits count nothing.
            ("[0-9]hex", "write `{x:/[0-9]hex/}`"),
            ("[0-9]x", "write `{x:/[0-9]x/}`"),
        ] {
            assert_eq!(self::meant(written).as_deref(), Some(meant), "{written}");
        }
    }

    #[test]
    fn what_is_made_anew_is_no_pattern_and_is_answered_with_a_let() {
        for (written, made) in [
            ("random 16 hex", "random 16 hex"),
            ("Random 4 bytes", "random 4 bytes"),
            ("random", "random uuid"),
            ("uuid", "random uuid"),
            ("UUID", "random uuid"),
        ] {
            let expected = format!("write `let x = {made}` above, and `{{x}}` here");
            assert_eq!(meant(written), Some(expected), "{written}");
        }
        assert_eq!(meant("randomness"), None);
    }

    #[test]
    fn every_word_for_a_pattern_that_there_is_is_answered_with_it() {
        let anything = "what takes anything has no pattern: `{x}`";
        let words = [
            ("string str text any * .* all line char chars binary", anything),
            ("integer number num digit uint long decimal \\d+ \\d* d", "write `{x:int}`"),
            ("float double real", "write `{x:/-?[0-9]+\\.[0-9]+/}`"),
            ("hexadecimal %x", "write `{x:hex}`"),
            ("leb128 uleb128 vlq vint uvarint varuint var_int varint", "write `{x:varint}`"),
            ("words token \\w+ \\s+ ident identifier", "write `{x:word}`"),
            ("bytes byte", "write `{x:8 bytes}`"),
            ("4bytes 4byte 4octets 4octet 4b", "write `{x:4 bytes}`"),
            ("u16be uint16", "write `{x:u16}`"),
            ("i16 int16 s16", "write `{x:u16}`, which has no sign: -1 is 65535"),
            ("u32le <u32 uint32_le", "write `{x:u32le}`"),
            ("int32le", "write `{x:u32le}`, which has no sign: -1 is 4294967295"),
            ("u8le", "write `{x:u8}`"),
            ("i8 int8 s8", "write `{x:u8}`, which has no sign: -1 is 255"),
            ("8", "write `{x:8 bytes}`, or `{x:u8}` for a number of 8 bits"),
            ("[a-z] a+ ^a a$ (a) a? a|b a.b", ""),
        ];
        for (all, meant) in words {
            for written in all.split(' ') {
                let regex = format!("write `{{x:/{written}/}}`");
                let meant = if meant.is_empty() { regex.as_str() } else { meant };
                assert_eq!(self::meant(written).as_deref(), Some(meant), "{written}");
            }
        }
        for (written, meant) in [
            ("", anything),
            ("hex digits", "write `{x:hex}`"),
            ("int:5", "write `{x:int=5}`"),
            ("int|5", "write `{x:int=5}`"),
            ("word:a", "write `{x:word=a}`"),
            ("word|a", "write `{x:word=a}`"),
            ("n bytes", "write `{x:n bytes}`"),
        ] {
            assert_eq!(self::meant(written).as_deref(), Some(meant), "{written}");
        }
        for written in ["u12", "u13le", "kbytes", "frob", "a/b*"] {
            assert_eq!(meant(written), None, "{written}");
        }
    }
}
