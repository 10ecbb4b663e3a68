//! A page that is asked for again and again, over HTTP/1.1.

use std::time::Duration;

use crate::engine::client::InitialLayers;
use crate::engine::load::Request;
use crate::wire::http::{Url, UrlScheme};

/// What is asked.
#[derive(Debug, Clone)]
pub struct Page {
    /// The page.
    pub url: Url,
    /// The method; none: GET, or POST with a body.
    pub method: Option<String>,
    /// Fields, each `Name: value`; they win over our own, and one without a value leaves ours out.
    pub fields: Vec<String>,
    /// The body.
    pub body: Option<Vec<u8>>,
    /// Requests on their way at once over a connection.
    pub pipeline: usize,
    /// The status that answers must have; none: from 200 to 399.
    pub status: Option<u16>,
}

impl Page {
    /// GET, one at a time.
    #[must_use]
    pub fn get(url: Url) -> Self {
        Self { url, method: None, fields: vec![], body: None, pipeline: 1, status: None }
    }

    fn method(&self) -> &str {
        self.method.as_deref().unwrap_or(if self.body.is_some() { "POST" } else { "GET" })
    }

    /// What its exchanges are called.
    pub(super) fn name(&self) -> String {
        format!("{} {}", self.method(), self.url.target)
    }

    pub(super) fn begins(&self) -> InitialLayers {
        InitialLayers::new(self.url.origin.scheme == UrlScheme::Https)
    }

    /// The request, as often as may be on its way.
    pub(super) fn request(&self, reconnects: bool, wait: Duration) -> Request {
        let own = |name: &str| {
            let is_given =
                |field: &String| field.split(':').next().is_some_and(|own| own.trim().eq_ignore_ascii_case(name));
            !self.fields.iter().any(is_given)
        };
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method(), self.url.target);
        let mut add = |name: &str, value: &str| {
            if own(name) {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
        };
        add("Host", &self.url.origin.authority());
        add("User-Agent", concat!("sockeye/", env!("CARGO_PKG_VERSION")));
        add("Accept", "*/*");
        if reconnects {
            add("Connection", "close");
        }
        if let Some(body) = &self.body {
            add("Content-Type", "application/x-www-form-urlencoded");
            add("Content-Length", &body.len().to_string());
        }
        for field in &self.fields {
            if let Some((name, value)) = field.split_once(':')
                && !value.trim().is_empty()
            {
                head.push_str(&format!("{}: {}\r\n", name.trim(), value.trim()));
            } else if let Some(name) = field.strip_suffix(';') {
                head.push_str(&format!("{name}:\r\n"));
            }
        }
        head.push_str("\r\n");
        let one = [head.as_bytes(), self.body.as_deref().unwrap_or_default()].concat();
        let depth = if reconnects { 1 } else { self.pipeline.max(1) };
        Request {
            length: one.len(),
            bytes: one.repeat(depth),
            depth,
            wants_body: self.method() != "HEAD",
            reconnects,
            wait,
            status: self.status,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(page: &Page) -> String {
        let request = page.request(false, Duration::from_secs(1));
        assert_eq!(request.bytes.len(), request.length * request.depth);
        String::from_utf8_lossy(&request.bytes[..request.length]).into_owned()
    }

    #[test]
    fn a_request_says_what_was_asked_for_and_a_field_of_ones_own_wins() {
        let url = Url::parse("http://127.0.0.1:8080/a?b").unwrap_or_else(|error| panic!("{error}"));
        let page = Page::get(url);
        let agent = concat!("sockeye/", env!("CARGO_PKG_VERSION"));
        let plain = format!("GET /a?b HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: {agent}\r\nAccept: */*\r\n\r\n");
        assert_eq!(asked(&page), plain);
        let fields = ["host: x", "Accept:", "X-Y:  z "].map(str::to_owned).to_vec();
        let page = Page { fields, body: Some(b"k=v".to_vec()), pipeline: 3, ..page };
        let expected = format!(
            "POST /a?b HTTP/1.1\r\nUser-Agent: {agent}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 3\r\n\
             host: x\r\nX-Y: z\r\n\r\nk=v"
        );
        assert_eq!(asked(&page), expected);
    }
}
