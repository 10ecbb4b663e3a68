//! What a server wants to know about who asks: the challenges of WWW-Authenticate and Proxy-Authenticate (RFC 9110, section
//! 11.6.1). Several stand in one field or in several, and the commas between them are those between their parameters too.

use super::token::is_of_token;

/// One challenge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Challenge {
    /// In small letters.
    pub(crate) scheme: String,
    parameters: Vec<(String, Vec<u8>)>,
}

impl Challenge {
    /// All of them in a field's value, in their order. What cannot be read is passed over.
    pub(crate) fn all_in(value: &[u8]) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        let mut rest = Rest(value);
        loop {
            rest.skip(b", \t");
            if rest.0.is_empty() {
                return all;
            }
            let word = rest.take_while(is_of_token);
            if word.is_empty() {
                // What is no word begins nothing; the next may follow.
                rest.take_value();
                continue;
            }
            let before = rest.0;
            rest.skip(b" \t");
            let word = String::from_utf8_lossy(word).to_ascii_lowercase();
            match rest.0.first() {
                Some(b'=') => {
                    rest.0 = &rest.0[1..];
                    let value = rest.take_value();
                    if let Some(challenge) = all.last_mut() {
                        challenge.parameters.push((word, value));
                    }
                }
                after => {
                    let is_followed = before.len() > rest.0.len() && after.is_some_and(|&byte| byte != b',');
                    all.push(Self { scheme: word, parameters: vec![] });
                    if is_followed {
                        rest.skip_token68();
                    }
                }
            }
        }
    }

    /// A parameter by its name in small letters; of several the first.
    pub(crate) fn parameter(&self, name: &str) -> Option<&[u8]> {
        self.parameters.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_slice())
    }

    /// Whether a parameter is this word, in any letters.
    pub(crate) fn says(&self, name: &str, word: &str) -> bool {
        self.parameter(name).is_some_and(|value| value.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
    }
}

/// What has not been read yet.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take_while(&mut self, fits: impl Fn(u8) -> bool) -> &'a [u8] {
        let length = self.0.iter().position(|&byte| !fits(byte)).unwrap_or(self.0.len());
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken
    }

    fn skip(&mut self, bytes: &[u8]) {
        self.take_while(|byte| bytes.contains(&byte));
    }

    /// A value in quotes, without its escapes, or one that goes to the next comma: base64 without quotes is common.
    fn take_value(&mut self) -> Vec<u8> {
        self.skip(b" \t");
        if self.0.first() != Some(&b'"') {
            return self.take_while(|byte| byte != b',').trim_ascii().to_vec();
        }
        let mut value = Vec::new();
        let mut bytes = self.0[1..].iter();
        while let Some(&byte) = bytes.next() {
            match byte {
                b'"' => break,
                b'\\' => value.extend(bytes.next()),
                byte => value.push(byte),
            }
        }
        self.0 = bytes.as_slice();
        value
    }

    /// What some schemes have in place of parameters: base64 that ends at a comma.
    fn skip_token68(&mut self) {
        let before = self.0;
        self.take_while(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte));
        self.take_while(|byte| byte == b'=');
        self.skip(b" \t");
        if !matches!(self.0.first(), None | Some(b',')) {
            self.0 = before;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Vec<String> {
        let shown = |challenge: &Challenge| {
            let parameters = challenge.parameters.iter();
            let parameters: Vec<_> =
                parameters.map(|(name, value)| format!("{name}={}", String::from_utf8_lossy(value))).collect();
            format!("{} {}", challenge.scheme, parameters.join(";")).trim_end().to_owned()
        };
        Challenge::all_in(value.as_bytes()).iter().map(shown).collect()
    }

    #[test]
    fn challenges_are_told_from_their_parameters() {
        for (value, expected) in [
            ("Basic", &["basic"][..]),
            ("Basic realm=\"a\", Digest nonce=n", &["basic realm=a", "digest nonce=n"]),
            (
                "Digest realm = \"a, Basic b=c\" ,nonce= n==,\tqop=\"auth,auth-int\"",
                &["digest realm=a, Basic b=c;nonce=n==;qop=auth,auth-int"],
            ),
            ("Negotiate, Digest NONCE=\"\\\"\\\\\"", &["negotiate", "digest nonce=\"\\"]),
            ("Negotiate YWJj==, Newauth realm=x, type=1", &["negotiate", "newauth realm=x;type=1"]),
            ("NTLM abc , ,, Digest\trealm=\"\"", &["ntlm", "digest realm="]),
            ("Digest realm=\"no end", &["digest realm=no end"]),
            ("realm=x, =, Basic", &["basic"]),
            ("\"x\", Digest a=b c=d", &["digest a=b c=d"]),
            ("", &[]),
        ] {
            assert_eq!(read(value), expected, "{value}");
        }
    }

    #[test]
    fn any_bytes_are_read_to_their_end() {
        for first in 0..=255 {
            for second in 0..=255 {
                let _ = Challenge::all_in(&[b'a', first, second, b'"']);
            }
        }
    }
}
