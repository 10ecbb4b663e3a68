//! Patterns as other languages and tools write them, and how they are written here.

use crate::number;
use crate::pattern::Regex;

/// What was probably meant by something that is no pattern.
pub(super) fn pattern_meant(name: &str, written: &str) -> Option<String> {
    let lower = written.trim().to_ascii_lowercase();
    let says = |pattern: &str| Some(format!("write `{{{name}:{pattern}}}`"));
    let count = |unit: &str| {
        let count = lower.strip_suffix(unit)?.trim();
        (!count.is_empty() && count.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')).then(|| count.to_owned())
    };
    // `8hex`, `hex 4`, `4 digits`, `Hex`.
    let digits: String = lower.chars().filter(char::is_ascii_digit).collect();
    let letters: String = lower.chars().filter(char::is_ascii_alphabetic).collect();
    let is_counted = lower.len() == digits.len() + letters.len() + lower.matches([' ', '*', '{', '}']).count();
    let number = digits.parse::<u64>().ok().filter(|number| is_counted && *number > 0);
    match (letters.as_str(), digits.as_str()) {
        // What is counted has a bound; beyond it text does.
        ("hex" | "x", _) if number.is_some_and(|number| number <= 16) => return says(&format!("{digits} hex")),
        ("hex" | "x", _) if number.is_some() => return says(&format!("/[0-9a-fA-F]{{{digits}}}/")),
        ("digits" | "digit" | "d", _) if number.is_some() => return says(&format!("/[0-9]{{{digits}}}/")),
        ("hex", "") | ("varint", "") | ("int", "") | ("word", "") => return says(&letters),
        _ => {}
    }
    match lower.as_str() {
        _ if lower.starts_with("random ") || lower == "random" || lower == "uuid" => {
            let what = lower.strip_prefix("random ").unwrap_or("uuid");
            Some(format!("write `let {name} = random {what}` above, and `{{{name}}}` here"))
        }
        "" | "string" | "str" | "text" | "any" | "*" | ".*" | "all" | "line" | "char" | "chars" | "binary" => {
            Some(format!("what takes anything has no pattern: `{{{name}}}`"))
        }
        "integer" | "number" | "num" | "digits" | "digit" | "uint" | "long" | "decimal" | "\\d+" | "\\d*" | "d" => {
            says("int")
        }
        "float" | "double" | "real" => says(r"/-?[0-9]+\.[0-9]+/"),
        "hexadecimal" | "x" | "0x" | "%x" | "hex digits" | "0 hex" | "hex 0" => says("hex"),
        "leb128" | "uleb128" | "vlq" | "vint" | "uvarint" | "varuint" | "var_int" => says("varint"),
        _ if number_meant(&lower).is_some() => says(number_meant(&lower)?),
        "words" | "token" | "\\w+" | "\\s+" | "ident" | "identifier" => says("word"),
        "bytes" | "byte" => says("8 bytes"),
        _ if lower.starts_with("int:") || lower.starts_with("int|") => {
            Some(format!("write `{{{name}:int={}}}`", &written.trim()[4..]))
        }
        _ if lower.starts_with("word:") || lower.starts_with("word|") => {
            Some(format!("write `{{{name}:word={}}}`", &written.trim()[5..]))
        }
        _ => {
            if let Some(count) = ["bytes", "byte", "octets", "octet", "b"].iter().find_map(|unit| count(unit))
                && (count.bytes().all(|b| b.is_ascii_digit()) || lower.contains(' '))
            {
                return says(&format!("{count} bytes"));
            }
            regex_or_anything(name, written.trim())
        }
    }
}

/// `[0-9]+`, `r"\d+"`, and `?` alone, which stands for anything elsewhere.
fn regex_or_anything(name: &str, written: &str) -> Option<String> {
    let is_regex = written.contains(['[', '+', '*', '\\', '^', '$', '(', '?', '|', '.']);
    let quoted = |quote| written.trim_start_matches('r').strip_prefix(quote)?.strip_suffix(quote);
    let regex = ['"', '\''].into_iter().find_map(quoted).unwrap_or(written);
    if is_regex && !written.contains('/') && Regex::new(regex).is_ok() {
        return Some(format!("write `{{{name}:/{regex}/}}`"));
    }
    let is_sign = written.bytes().all(|byte| byte.is_ascii_punctuation()) || written == "%s";
    is_sign.then(|| format!("what takes anything has no pattern: `{{{name}}}`"))
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
fn number_meant(lower: &str) -> Option<&'static str> {
    let is_low = lower.contains("le") || lower.starts_with('<');
    let bare: String = lower.chars().filter(char::is_ascii_digit).collect();
    let kind: String = lower.chars().filter(|c| c.is_ascii_alphabetic()).collect();
    let kind = kind.trim_end_matches("be").trim_end_matches("le");
    let is_kind = matches!(kind, "u" | "i" | "s" | "int" | "uint" | "intt" | "uintt" | "");
    let bits: u32 = bare.parse().ok().filter(|_| is_kind)?;
    let wanted = if is_low && bits > 8 { format!("u{bits}le") } else { format!("u{bits}") };
    number::WORDS.into_iter().find(|word| *word == wanted)
}

#[cfg(test)]
mod tests {
    use super::pattern_meant;

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
            assert_eq!(pattern_meant("x", written).as_deref(), Some(meant), "{written}");
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
            assert_eq!(pattern_meant("x", written), Some(expected), "{written}");
        }
        assert_eq!(pattern_meant("x", "randomness"), None);
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
            ("u16be i16 int16 uint16 s16", "write `{x:u16}`"),
            ("u32le <u32 int32le uint32_le", "write `{x:u32le}`"),
            ("u8le i8 8", "write `{x:u8}`"),
            ("[a-z] a+ ^a a$ (a) a? a|b a.b", ""),
        ];
        for (all, meant) in words {
            for written in all.split(' ') {
                let regex = format!("write `{{x:/{written}/}}`");
                let meant = if meant.is_empty() { regex.as_str() } else { meant };
                assert_eq!(pattern_meant("x", written).as_deref(), Some(meant), "{written}");
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
            assert_eq!(pattern_meant("x", written).as_deref(), Some(meant), "{written}");
        }
        for written in ["u12", "u13le", "kbytes", "frob", "a/b*"] {
            assert_eq!(pattern_meant("x", written), None, "{written}");
        }
    }
}
