//! A command's words, as a shell splits them (POSIX.1-2024, XCU 2.2), and nothing else that a shell does.

use super::ProgramError;

/// Characters that mean something to a shell where they are not quoted, and nothing here.
const SHELL_ONLY: &[u8] = b"|&;<>$`";

/// The words; and the first character that only a shell would understand, if there is one.
pub(super) fn split(command: &str) -> Result<(Vec<Vec<u8>>, Option<char>), ProgramError> {
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut shell_only = None;
    let mut bytes = command.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b' ' | b'\t' | b'\n' => words.extend(word.take()),
            b'\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match bytes.next().ok_or(ProgramError::OpenQuote('\''))? {
                        b'\'' => break,
                        byte => word.push(byte),
                    }
                }
            }
            b'"' => {
                let word = word.get_or_insert_default();
                let mut next = || bytes.next().ok_or(ProgramError::OpenQuote('"'));
                loop {
                    match next()? {
                        b'"' => break,
                        b'\\' => match next()? {
                            b'\n' => {}
                            byte @ (b'"' | b'\\' | b'$' | b'`') => word.push(byte),
                            byte => word.extend([b'\\', byte]),
                        },
                        byte => {
                            if matches!(byte, b'$' | b'`') {
                                shell_only.get_or_insert(char::from(byte));
                            }
                            word.push(byte);
                        }
                    }
                }
            }
            b'\\' => match bytes.next().ok_or(ProgramError::Backslash)? {
                b'\n' => {}
                byte => word.get_or_insert_default().push(byte),
            },
            byte => {
                if SHELL_ONLY.contains(&byte) {
                    shell_only.get_or_insert(char::from(byte));
                }
                word.get_or_insert_default().push(byte);
            }
        }
    }
    words.extend(word);
    Ok((words, shell_only))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn words_are_those_of_a_shell() {
        for command in [
            "cat",
            "  cat \t -u\n x ",
            "a 'b c' d",
            r#"a "b c" "d 'e' f""#,
            r#"a\ b "c\"d" "e\\f" "g\h" 'i\j'"#,
            r#"'' "" x''y "a"'b'c"#,
            "caf\u{e9} '\u{1f41f} fish'",
            "a\\\nb \"c\\\nd\"",
            r#"\$HOME "\$HOME" '$HOME' \`id\`"#,
            "a#b",
        ] {
            let script = format!("for word in {command}\ndo printf '%s\\0' \"$word\"; done");
            let script = if command.contains('\n') {
                format!("set -- $(:) {}\nprintf '%s\\0' \"$@\"", command.trim().replace("\n x", " x"))
            } else {
                script
            };
            let output = Command::new("sh").arg("-c").arg(script).output().unwrap();
            let shell: Vec<&[u8]> = output.stdout.strip_suffix(b"\0").unwrap().split(|byte| *byte == 0).collect();
            assert_eq!(split(command).unwrap().0, shell, "{command}");
        }
    }

    #[test]
    fn nothing_is_expanded() {
        let (words, first) = split("echo $(id) `id` *.rs ~ a|b \"$HOME\" '|'").unwrap();
        let words: Vec<String> = words.into_iter().map(|word| String::from_utf8(word).unwrap()).collect();
        assert_eq!(words, ["echo", "$(id)", "`id`", "*.rs", "~", "a|b", "$HOME", "|"]);
        assert_eq!(first, Some('$'));
        assert_eq!(split("a '|' \\| \"&;\"").unwrap().1, None);
    }

    #[test]
    fn what_has_no_end_is_refused() {
        assert_eq!(split("a 'b"), Err(ProgramError::OpenQuote('\'')));
        assert_eq!(split("a \"b\\"), Err(ProgramError::OpenQuote('"')));
        assert_eq!(split("a\\"), Err(ProgramError::Backslash));
        assert_eq!(split(" "), Ok((vec![], None)));
    }
}
