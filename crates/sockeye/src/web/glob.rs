//! Patterns of paths, as `.gitignore` has them: `*` and `?` within a name, `**` across names.

/// A pattern. One without a slash, or with one at its end alone, is about names in any folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Glob {
    tokens: Vec<Token>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Byte(u8),
    /// Any byte but a slash.
    One,
    /// Any number of them.
    Many,
    /// Any bytes at all.
    All,
    /// Nothing, or any bytes that end with a slash.
    Folders,
}

impl Glob {
    pub(crate) fn new(pattern: &str) -> Self {
        let inside = pattern.trim_end_matches('/');
        let mut tokens = Vec::new();
        if !inside.contains('/') {
            tokens.push(Token::Folders);
        }
        let mut rest = inside.trim_start_matches('/').as_bytes();
        while let [first, behind @ ..] = rest {
            let (token, used) = match rest {
                [b'*', b'*', b'/', ..] => (Token::Folders, 3),
                [b'*', b'*', ..] => (Token::All, 2),
                [b'*', ..] => (Token::Many, 1),
                [b'?', ..] => (Token::One, 1),
                [b'\\', byte, ..] => (Token::Byte(*byte), 2),
                _ => (Token::Byte(*first), 1),
            };
            tokens.push(token);
            rest = &behind[used - 1..];
        }
        // A folder stands for what is in it.
        if pattern.ends_with('/') {
            tokens.extend([Token::Byte(b'/'), Token::All]);
        }
        Self { tokens }
    }

    /// Whether it is about this path, which has no slash at either end. One pass, however many stars there are.
    pub(crate) fn fits(&self, path: &[u8]) -> bool {
        let end = self.tokens.len();
        let mut here = vec![false; end + 1];
        self.come_to(0, &mut here);
        for &byte in path {
            let mut next = vec![false; end + 1];
            for at in (0..end).filter(|&at| here[at]) {
                match self.tokens[at] {
                    Token::Byte(wanted) if byte == wanted => self.come_to(at + 1, &mut next),
                    Token::One if byte != b'/' => self.come_to(at + 1, &mut next),
                    Token::Many if byte != b'/' => self.come_to(at, &mut next),
                    Token::All => self.come_to(at, &mut next),
                    Token::Folders => {
                        next[at] = true;
                        if byte == b'/' {
                            self.come_to(at + 1, &mut next);
                        }
                    }
                    Token::Byte(_) | Token::One | Token::Many => {}
                }
            }
            here = next;
        }
        here[end]
    }

    /// Notes a place in the pattern, and those behind it that are reached by what may stand for nothing.
    fn come_to(&self, mut at: usize, here: &mut [bool]) {
        here[at] = true;
        while let Some(Token::Many | Token::All | Token::Folders) = self.tokens.get(at) {
            at += 1;
            here[at] = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_as_in_gitignore() {
        for (pattern, path, fits) in [
            ("*.js", "a.js", true),
            ("*.js", "x/y/a.js", true),
            ("*.js", "a.jsx", false),
            ("*.js", "a.js/b", false),
            ("a.js", "xa.js", false),
            ("/a.js", "a.js", true),
            ("/a.js", "x/a.js", false),
            ("x/*.js", "x/a.js", true),
            ("x/*.js", "x/y/a.js", false),
            ("x/**/*.js", "x/a.js", true),
            ("x/**/*.js", "x/y/z/a.js", true),
            ("x/**/a", "x/ya", false),
            ("assets/**", "assets/a/b", true),
            ("/assets/**", "assets", false),
            ("assets/", "assets/a/b", true),
            ("assets/", "b/assets/a", true),
            ("assets/", "assets", false),
            ("**", "a/b", true),
            ("**/b", "a/b", true),
            ("**/b", "b", true),
            ("**/b", "a/xb", false),
            ("a?c", "abc", true),
            ("a?c", "a/c", false),
            ("a?c", "ac", false),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("*", "", true),
            ("*-*.??", "app-1a2b.js", true),
        ] {
            assert_eq!(Glob::new(pattern).fits(path.as_bytes()), fits, "{pattern} {path}");
        }
        let many = "*a".repeat(60);
        assert!(!Glob::new(&many).fits("a".repeat(59).as_bytes()));
    }
}
