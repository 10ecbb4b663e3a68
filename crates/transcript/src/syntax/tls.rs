//! `starttls`, with the protocols that are spoken inside or without, and `stoptls`.

use super::line::Line;
use super::parse::Parser;
use super::{StatementKind, Tls};

/// The longest name of a protocol (RFC 7301, section 3.1).
const NAME: usize = 255;

impl Parser<'_> {
    pub(super) fn tls(&mut self, line: Line<'_>, word: &str, rest: &str) {
        let tls = if word == "stoptls" { Tls::Stop } else { Tls::Start { alpn: Vec::new() } };
        self.seen.message = true;
        let tls = match (tls, rest) {
            (tls, "") => tls,
            (Tls::Start { .. }, rest) => Tls::Start { alpn: self.alpn(line, rest) },
            (tls, rest) => {
                self.something_follows(line, word, rest);
                tls
            }
        };
        self.push_on(line.place, self.connection, StatementKind::Tls(tls));
    }

    /// `alpn h2 http/1.1`: the protocols that are offered, the most wanted first.
    fn alpn(&mut self, line: Line<'_>, rest: &str) -> Vec<String> {
        let place = line.place_of(rest);
        let names = match rest.split_once([' ', '\t']).unwrap_or((rest, "")) {
            ("alpn", names) => names.trim_matches([' ', '\t']),
            (first, more) => {
                let mark = first.trim_end_matches(['=', ':', ',']);
                let help = match mark.strip_prefix("alpn").map(|name| name.trim_start_matches(['=', ':'])) {
                    Some(name) => format!("write `starttls alpn {}`", format!("{name} {more}").trim()),
                    None if is_version(first) || is_version(&format!("{first}{more}")) => {
                        "write `starttls` alone: the two ends agree on the version".to_owned()
                    }
                    None if more.is_empty() && first.contains(|c: char| c == '/' || c.is_ascii_digit()) => format!(
                        "put the statement on a line below; what is spoken inside is named so: `starttls alpn {first}`"
                    ),
                    None => "put the statement on a line below".to_owned(),
                };
                self.error(place, "nothing follows `starttls` on its line", help);
                return Vec::new();
            }
        };
        if names.is_empty() {
            self.error(place, "`alpn` names what is spoken inside", "write `starttls alpn h2`");
        }
        if names.contains(',') {
            let help = format!("write spaces between them: `starttls alpn {}`", names.replace(',', " "));
            self.error(place, "a comma is no part of a protocol's name", help);
        }
        let names: Vec<String> = names.split_ascii_whitespace().map(str::to_owned).collect();
        if names.iter().any(|name| name.len() > NAME) {
            self.error(
                place,
                format!("a protocol's name has at most {NAME} bytes"),
                "write the name that ALPN has for it",
            );
        }
        if let Some(twice) = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name)) {
            self.error(place, format!("`{}` is offered twice", twice.1), "write each protocol once");
        }
        names
    }
}

/// `1.3`, `TLSv1.2`, `v1.3`: a version of TLS, and the name of no protocol inside.
fn is_version(word: &str) -> bool {
    let word = word.to_ascii_lowercase().replace(['_', '-'], "");
    let word = word.strip_prefix("tls").or_else(|| word.strip_prefix("ssl")).unwrap_or(&word);
    matches!(word.strip_prefix('v').unwrap_or(word), "1" | "1.0" | "1.1" | "1.2" | "1.3" | "3" | "3.0")
}
