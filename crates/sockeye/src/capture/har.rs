//! HTTP archives (HAR 1.2), as browsers and proxies write them: what was asked and answered, without the connections. Each server's
//! part becomes one conversation of HTTP/1.1.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use transcript::{Carrier, Side};
use url::Url;

use super::{Conversation, Event};

#[derive(Deserialize)]
struct File {
    log: Log,
}

#[derive(Deserialize)]
struct Log {
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    request: Request,
    response: Response,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    method: String,
    url: String,
    #[serde(default)]
    headers: Vec<Field>,
    post_data: Option<PostData>,
    #[serde(default)]
    body_size: i64,
}

#[derive(Deserialize)]
struct PostData {
    #[serde(default)]
    text: String,
    #[serde(default)]
    params: Vec<Param>,
    encoding: Option<String>,
}

#[derive(Deserialize)]
struct Param {
    name: String,
    #[serde(default)]
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    #[serde(default)]
    status: i64,
    #[serde(default)]
    status_text: String,
    #[serde(default)]
    headers: Vec<Field>,
    #[serde(default)]
    content: Content,
}

#[derive(Deserialize)]
struct Field {
    name: String,
    #[serde(default)]
    value: String,
}

#[derive(Default, Deserialize)]
struct Content {
    #[serde(default)]
    size: i64,
    text: Option<String>,
    encoding: Option<String>,
}

/// Why a file is no archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoArchive(String);

impl fmt::Display for NoArchive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it is no HTTP archive (HAR): {}", self.0)
    }
}

impl std::error::Error for NoArchive {}

/// What an archive has of one server.
#[derive(Debug)]
pub struct Archive {
    /// Scheme, host and port.
    pub origin: String,
    /// How many requests.
    pub requests: usize,
    /// All of them, one after another.
    pub conversation: Conversation,
}

/// Reads an archive: what it has of each server, in the order in which they were asked first.
///
/// # Errors
/// It is none.
pub fn archives(bytes: &[u8]) -> Result<Vec<Archive>, NoArchive> {
    // Some write a mark of UTF-8 before it.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let file: File = serde_json::from_slice(bytes).map_err(|error| NoArchive(error.to_string()))?;
    let mut archives: Vec<Archive> = vec![];
    for entry in file.log.entries {
        let Ok(url) = Url::parse(&entry.request.url) else { continue };
        let is_secure = matches!(url.scheme(), "https" | "wss");
        let (true, Some(host), Some(port)) =
            (is_secure || matches!(url.scheme(), "http" | "ws"), url.host_str(), url.port_or_known_default())
        else {
            continue;
        };
        let scheme = if is_secure { "https" } else { "http" };
        let origin = format!("{scheme}://{host}:{port}");
        let at = archives.iter().position(|archive| archive.origin == origin).unwrap_or_else(|| {
            let events = if is_secure { vec![Event::Secured] } else { vec![] };
            let at = format!("tcp://{host}:{port}");
            let conversation = Conversation { carrier: Carrier::Stream, at, notes: vec![], is_cut: false, events };
            archives.push(Archive { origin, requests: 0, conversation });
            archives.len() - 1
        });
        archives[at].take(&entry, &url);
    }
    archives.retain(|archive| archive.requests > 0);
    for archive in &mut archives {
        archive.conversation.events.push(Event::Ended(Side::Client));
    }
    Ok(archives)
}

impl Archive {
    fn take(&mut self, entry: &Entry, url: &Url) {
        let Entry { request, response } = entry;
        let place = format!("{} {}", request.method, url.path());
        if !(200..=599).contains(&response.status) {
            self.left_out(&match response.status {
                101 => format!("{place} went over to another protocol, and is left out"),
                status if status <= 0 => format!("{place} got no answer, and is left out"),
                status => format!("{place} was answered with status {status}, and is left out"),
            });
            return;
        }
        let sent = match (&request.post_data, request.body_size) {
            (Some(data), _) => data.bytes(),
            (None, 1..) => None,
            (None, _) => Some(vec![]),
        };
        let has_none = request.method == "HEAD" || matches!(response.status, 204 | 304);
        let heard = if has_none { Some(vec![]) } else { response.content.bytes() };
        let (Some(sent), Some(heard)) = (sent, heard) else {
            self.left_out(&format!("{place} is left out: the archive does not have its content"));
            return;
        };
        self.requests += 1;
        let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
        let mut head = format!("{} {target} HTTP/1.1\r\n", request.method);
        if !has(&request.headers, "host") {
            let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
            head += &format!("Host: {host}\r\n");
        }
        let length = (!sent.is_empty() || has(&request.headers, "content-length")).then_some(sent.len());
        fields(&request.headers, length, &mut head);
        self.said(Side::Client, &head, sent);

        let mut head = format!("HTTP/1.1 {} {}\r\n", response.status, response.status_text);
        // Where there is no content, what its length would be stays as it was told.
        fields(&response.headers, (!has_none).then_some(heard.len()), &mut head);
        self.said(Side::Server, &head, heard);
    }

    fn left_out(&mut self, why: &str) {
        self.conversation.notes.push(why.to_owned());
        self.conversation.is_cut = true;
    }

    fn said(&mut self, side: Side, head: &str, body: Vec<u8>) {
        let mut bytes = head.as_bytes().to_vec();
        bytes.extend_from_slice(b"\r\n");
        self.conversation.events.push(Event::Said(side, bytes));
        if !body.is_empty() {
            self.conversation.events.push(Event::Said(side, body));
        }
    }
}

fn has(fields: &[Field], name: &str) -> bool {
    fields.iter().any(|field| field.name.eq_ignore_ascii_case(name))
}

/// Writes the fields of a head. Bodies stand in archives unpacked and in one piece, so what says otherwise goes, and their length
/// is that of what is there.
fn fields(fields: &[Field], mut length: Option<usize>, head: &mut String) {
    for Field { name, value } in fields {
        let lower = name.to_ascii_lowercase();
        let is_of_version_2 = name.starts_with(':');
        let is_of_coding = matches!(lower.as_str(), "content-encoding" | "transfer-encoding" | "keep-alive");
        let ends = lower == "connection" || lower == "proxy-connection";
        if is_of_version_2 || ends || name.is_empty() || is_of_coding && length.is_some() {
            continue;
        }
        if lower == "content-length"
            && let Some(length) = length.take()
        {
            *head += &format!("{name}: {length}\r\n");
            continue;
        }
        // Several of one name are one field in some archives, with a line for each.
        for value in value.split('\n') {
            *head += &format!("{name}: {}\r\n", value.trim_end_matches('\r'));
        }
    }
    if let Some(length) = length {
        *head += &format!("Content-Length: {length}\r\n");
    }
}

impl PostData {
    fn bytes(&self) -> Option<Vec<u8>> {
        if self.encoding.as_deref() == Some("base64") {
            return STANDARD.decode(&self.text).ok();
        }
        if !self.text.is_empty() || self.params.is_empty() {
            return Some(self.text.clone().into_bytes());
        }
        let pairs = self.params.iter().map(|param| (&param.name, &param.value));
        Some(url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish().into_bytes())
    }
}

impl Content {
    /// What was answered; `None` if the archive does not have it.
    fn bytes(&self) -> Option<Vec<u8>> {
        match (&self.text, self.encoding.as_deref()) {
            (Some(text), Some("base64")) => STANDARD.decode(text).ok(),
            (Some(text), _) => Some(text.clone().into_bytes()),
            (None, _) => (self.size <= 0).then(Vec::new),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(json: &str) -> Vec<(String, usize, String, Vec<String>)> {
        let archives = archives(json.as_bytes()).unwrap();
        let text = |archive: Archive| {
            let Archive { origin, requests, conversation } = archive;
            (origin, requests, conversation.transcript(), conversation.notes)
        };
        archives.into_iter().map(text).collect()
    }

    #[test]
    fn an_archive_is_a_conversation_for_each_server() {
        let json = r#"{"log":{"entries":[
            {"request":{"method":"GET","url":"http://a.example/x?y=1#z","headers":[{"name":"Host","value":"a.example"}]},
             "response":{"status":200,"statusText":"OK","headers":[{"name":"Content-Encoding","value":"gzip"},
                {"name":"content-length","value":"999"},{"name":"Connection","value":"close"}],"content":{"size":3,"text":"hi!"}}},
            {"request":{"method":"POST","url":"https://b.example/","headers":[{"name":":authority","value":"b.example"}],
                "postData":{"params":[{"name":"a b","value":"c"}]}},
             "response":{"status":200,"headers":[{"name":"set-cookie","value":"a=1\nb=2"}],"content":{"size":2,"encoding":"base64","text":"AP8="}}},
            {"request":{"method":"HEAD","url":"http://a.example/","headers":[]},
             "response":{"status":200,"statusText":"OK","headers":[{"name":"Content-Length","value":"7"}],"content":{"size":0}}},
            {"request":{"method":"GET","url":"http://a.example/gone","headers":[]},
             "response":{"status":0,"headers":[],"content":{"size":0}}},
            {"request":{"method":"GET","url":"http://a.example/big","headers":[]},
             "response":{"status":200,"headers":[],"content":{"size":10}}},
            {"request":{"method":"GET","url":"data:text/plain,x","headers":[]},"response":{"status":200,"headers":[],"content":{"size":1}}}
        ]}}"#;
        let found = text(json);
        assert_eq!(found.len(), 2);
        let (origin, requests, transcript, notes) = &found[0];
        assert_eq!((origin.as_str(), *requests), ("http://a.example:80", 2));
        assert_eq!(
            transcript,
            "transcript 1\nat tcp://a.example:80\neol crlf\nC: GET /x?y=1 HTTP/1.1\nC: Host: a.example\nC:\n\
             S: HTTP/1.1 200 OK\nS: content-length: 3\nS:\nS raw: hi!\n\
             C: HEAD / HTTP/1.1\nC: Host: a.example\nC:\nS: HTTP/1.1 200 OK\nS: Content-Length: 7\nS:\nC closes\n"
        );
        assert_eq!(notes.len(), 2, "{notes:?}");
        let (origin, requests, transcript, notes) = &found[1];
        assert_eq!((origin.as_str(), *requests, notes.len()), ("https://b.example:443", 1, 0));
        assert_eq!(
            transcript,
            "transcript 1\nat tcp://b.example:443\neol crlf\nstarttls\nC: POST / HTTP/1.1\nC: Host: b.example\nC: Content-Length: 5\n\
             C:\nC raw: a+b=c\nS: HTTP/1.1 200{0x20}\nS: set-cookie: a=1\nS: set-cookie: b=2\nS: Content-Length: 2\nS:\nS hex: 00 ff\nC closes\n"
        );
    }

    #[test]
    fn what_is_no_archive_is_told() {
        for wrong in ["", "[]", "{\"log\":{}}", "C: a\nS: b\n"] {
            assert!(
                archives(wrong.as_bytes()).unwrap_err().to_string().starts_with("it is no HTTP archive (HAR): "),
                "{wrong}"
            );
        }
    }
}
