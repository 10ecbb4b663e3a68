//! The rest of a line that whoever printed the page has folded, told from a remark that stands below it.

use super::label::names_speaker;
use super::line::is_answer;

/// A line this wide reached the edge of the page: what did not fit stands below it, also in the column of the mark.
const FULL: usize = 60;

/// Whether a line without a mark, in the column of the mark above it, is the rest of what was `said` there. `width` is that of the
/// line above. What stands further in is.
pub(super) fn goes_on_beside(rest: &str, said: &str, width: usize) -> bool {
    let word = rest.split([' ', '\t']).next().unwrap_or_default();
    let in_capitals = |word: &str| {
        word.bytes().filter(u8::is_ascii_uppercase).count() > 1 && !word.bytes().any(|byte| byte.is_ascii_lowercase())
    };
    // `NOTE that` is prose below what has no such word itself.
    let is_upper = in_capitals(word) && (is_answer(said) || said.split([' ', '\t']).any(in_capitals));
    !names_speaker(rest)
        && (rest.starts_with('"')
            || rest.starts_with("(\"")
            || is_upper
            || is_base64(rest)
            || width + 1 + word.chars().count() > FULL && word.contains(char::is_alphanumeric))
}

/// What is longer than this is no word.
const LONGEST_WORD: usize = 16;
/// What is longer than this is no name either.
const LONGEST_NAME: usize = 40;

/// Whether a word is part of something long that was cut where the page ended.
fn is_base64(word: &str) -> bool {
    word.len() > LONGEST_WORD && has_base64(word)
}

fn has_base64(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte))
}

/// Whether a line and its rest are one word, as base64 is: then no space stood between them. Of a very long line its end tells.
pub(super) fn is_one_word(line: &str, rest: &str) -> bool {
    const ENOUGH: usize = 64;
    let word = line.bytes().rev().take_while(|byte| !b" \"'".contains(byte)).take(ENOUGH).collect::<Vec<u8>>();
    let Ok(word) = std::str::from_utf8(&word) else { return false };
    let rest = rest.strip_suffix(['"', '\'']).unwrap_or(rest);
    // The last piece may be short: `Zg==`. Behind a short word it may be a word.
    is_base64(word) && (is_base64(rest) || !rest.is_empty() && has_base64(rest) && word.len() > LONGEST_NAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_the_column_of_its_mark_goes_on_if_it_looks_so() {
        for said in ["* CAPABILITY", "a1 OK done", "250-SIZE", "a1 LOGIN x", "AUTH=PLAIN"] {
            assert!(goes_on_beside("NOTE that", said, 20), "{said}");
        }
        for said in ["b", "", "hello there", "So I say", "A"] {
            assert!(!goes_on_beside("NOTE that", said, 20), "{said}");
        }
        for (rest, width) in [
            ("LOGINDISABLED", 20),
            ("AUTH=PLAIN x", 20),
            ("\"b\" c", 20),
            ("(\"b\" NIL)", 20),
            ("dGhpcyBpcyBsb25nIGFu", 20),
            ("words", 60),
            ("That", 70),
        ] {
            assert!(goes_on_beside(rest, "* OK", width), "{rest}");
        }
        for (rest, width) in [
            ("That ends the session.", 20),
            ("words", 20),
            ("### Next", 20),
            ("---", 70),
            ("</pre>", 20),
            ("@enduml", 20),
            ("A word", 20),
            ("P: what", 70),
            ("Client (subscriber): b", 70),
        ] {
            assert!(!goes_on_beside(rest, "* OK", width), "{rest}");
        }
    }

    #[test]
    fn what_was_cut_inside_a_word_is_joined_without_a_space() {
        let long = "dGVzdAB0ZXN0AHRlc3Q";
        let longer = format!("{long}{long}{long}");
        for (line, rest) in [
            (format!("AUTH {long}="), format!("{long}==")),
            (format!("AUTH {longer}"), "Zg==".to_owned()),
            (format!("X \"{longer}"), "Zg==\"".to_owned()),
            (format!("-{}", "a".repeat(64)), long.to_owned()),
        ] {
            assert!(is_one_word(&line, &rest), "{line} {rest}");
        }
        for (line, rest) in [
            ("AUTH short".to_owned(), long),
            ("abcdefghijklmnop".to_owned(), long),
            (format!("{long} x"), long),
            (format!("{long}-x"), long),
            (format!("{}-a", "a".repeat(64)), long),
            (format!("AUTH {long}"), "word"),
            (format!("AUTH {longer}"), "a word"),
            (String::new(), long),
        ] {
            assert!(!is_one_word(&line, rest), "{line} {rest}");
        }
    }
}
