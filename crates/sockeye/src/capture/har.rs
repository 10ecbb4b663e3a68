//! HTTP archives (HAR 1.2), as browsers and proxies write them: what was asked and answered, without the connections. Each server's
//! part becomes one conversation of HTTP/1.1.

use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use transcript::{Carrier, Side};
use url::Url;

use super::{Conversation, Event};

#[derive(Deserialize)]
struct File {
    log: Log,
}

#[derive(Deserialize)]
struct Log {
    /// Each is read by itself: one that is odd spoils no other.
    entries: Vec<Value>,
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
    #[serde(default, deserialize_with = "or_default")]
    headers: Vec<Field>,
    post_data: Option<PostData>,
    #[serde(default, deserialize_with = "or_default")]
    body_size: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PostData {
    #[serde(default, deserialize_with = "or_default")]
    mime_type: String,
    #[serde(default, deserialize_with = "or_default")]
    text: String,
    #[serde(default, deserialize_with = "or_default")]
    params: Vec<Param>,
    encoding: Option<String>,
}

#[derive(Deserialize)]
struct Param {
    name: String,
    #[serde(default, deserialize_with = "or_default")]
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    #[serde(default, deserialize_with = "or_default")]
    status: i64,
    #[serde(default, deserialize_with = "or_default")]
    status_text: String,
    #[serde(default, deserialize_with = "or_default")]
    headers: Vec<Field>,
    #[serde(default, deserialize_with = "or_default")]
    content: Content,
}

#[derive(Deserialize)]
struct Field {
    name: String,
    #[serde(default, deserialize_with = "or_default")]
    value: String,
}

#[derive(Default, Deserialize)]
struct Content {
    #[serde(default, deserialize_with = "or_default")]
    size: i64,
    text: Option<String>,
    encoding: Option<String>,
}

/// What is `null` is not there.
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(value: D) -> Result<T, D::Error> {
    Option::<T>::deserialize(value).map(Option::unwrap_or_default)
}

/// Why a file is no archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoArchive(String);

impl fmt::Display for NoArchive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
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
    let file: File =
        serde_json::from_slice(bytes).map_err(|error| NoArchive(format!("it is no HTTP archive (HAR): {error}")))?;
    let mut archives: Vec<Archive> = vec![];
    let mut of_none = vec![];
    for (number, entry) in file.log.entries.into_iter().enumerate() {
        let url = entry.pointer("/request/url").and_then(Value::as_str).and_then(|url| Url::parse(url).ok());
        let Some((origin, at, url)) = url.and_then(server) else {
            of_none.push(format!("entry {} is no request over HTTP, and is left out", number + 1));
            continue;
        };
        let place = archives.iter().position(|archive| archive.origin == origin).unwrap_or_else(|| {
            let events = if origin.starts_with("https") { vec![Event::Secured] } else { vec![] };
            let conversation = Conversation { carrier: Carrier::Stream, at, notes: vec![], is_cut: false, events };
            archives.push(Archive { origin, requests: 0, conversation });
            archives.len() - 1
        });
        match serde_json::from_value(entry) {
            Ok(entry) => archives[place].take(&entry, &url),
            Err(error) => archives[place].left_out(&format!("entry {} is left out: {error}", number + 1)),
        }
    }
    if archives.iter().all(|archive| archive.requests == 0) {
        let notes = archives.into_iter().flat_map(|archive| archive.conversation.notes);
        let why: Vec<String> = std::iter::once("it has no request over HTTP that was answered".to_owned())
            .chain(notes.chain(of_none).take(MOST_REASONS))
            .collect();
        return Err(NoArchive(why.join("\n  ")));
    }
    archives.retain(|archive| archive.requests > 0);
    for archive in &mut archives {
        archive.conversation.events.push(Event::Ended(Side::Client));
    }
    Ok(archives)
}

/// Reasons that are told where nothing is left of an archive.
const MOST_REASONS: usize = 8;

/// Scheme, host and port of who is asked, and the address, if that is over HTTP.
fn server(url: Url) -> Option<(String, String, Url)> {
    let scheme = match url.scheme() {
        "https" | "wss" => "https",
        "http" | "ws" => "http",
        _ => return None,
    };
    let (host, port) = (url.host_str()?, url.port_or_known_default()?);
    Some((format!("{scheme}://{host}:{port}"), format!("tcp://{host}:{port}"), url))
}

impl Archive {
    fn take(&mut self, entry: &Entry, url: &Url) {
        let Entry { request, response } = entry;
        let place = format!("{} {}", request.method, url.path());
        if request.method == "CONNECT" {
            return self.left_out(&format!("{place} asks a proxy for a tunnel, and is left out"));
        }
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
fn fields(fields: &[Field], length: Option<usize>, head: &mut String) {
    let mut to_say = length;
    for Field { name, value } in fields {
        let lower = name.to_ascii_lowercase();
        let is_of_version_2 = name.starts_with(':');
        let is_of_coding = matches!(lower.as_str(), "content-encoding" | "transfer-encoding" | "keep-alive");
        let ends = lower == "connection" || lower == "proxy-connection";
        if is_of_version_2 || ends || name.is_empty() || is_of_coding && length.is_some() {
            continue;
        }
        if lower == "content-length" && length.is_some() {
            // Once, however often it stands there.
            if let Some(length) = to_say.take() {
                *head += &format!("{name}: {length}\r\n");
            }
            continue;
        }
        // Several of one name are one field in some archives, with a line for each.
        for value in value.split('\n') {
            *head += &format!("{name}: {}\r\n", value.trim_end_matches('\r'));
        }
    }
    if let Some(length) = to_say {
        *head += &format!("Content-Length: {length}\r\n");
    }
}

impl PostData {
    fn bytes(&self) -> Option<Vec<u8>> {
        if self.encoding.as_deref() == Some("base64") {
            return decoded(&self.text);
        }
        // The bounds between the parts of such a form, and its files, are not there.
        if self.text.is_empty() && self.mime_type.starts_with("multipart/") {
            return None;
        }
        if !self.text.is_empty() || self.params.is_empty() {
            return Some(self.text.clone().into_bytes());
        }
        let pairs = self.params.iter().map(|param| (&param.name, &param.value));
        Some(url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish().into_bytes())
    }
}

/// Base64 as it is found in archives: with or without its padding, in lines, or as it stands in URLs.
fn decoded(text: &str) -> Option<Vec<u8>> {
    const LIBERAL: GeneralPurposeConfig = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let letter = |byte: u8| match byte {
        b'-' => b'+',
        b'_' => b'/',
        other => other,
    };
    let letters: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).map(letter).collect();
    GeneralPurpose::new(&alphabet::STANDARD, LIBERAL).decode(letters).ok()
}

impl Content {
    /// What was answered; `None` if the archive does not have it.
    fn bytes(&self) -> Option<Vec<u8>> {
        match (&self.text, self.encoding.as_deref()) {
            (Some(text), Some("base64")) => decoded(text),
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
        for wrong in ["", "[]", "{\"log\":{}}", "{\"log\":{\"entries\":{}}}", "C: a\nS: b\n"] {
            assert!(
                archives(wrong.as_bytes()).unwrap_err().to_string().starts_with("it is no HTTP archive (HAR): "),
                "{wrong}"
            );
        }
    }

    /// An archive of one answer, with these members of its response.
    fn answered(fields: &str, content: &str) -> Result<String, NoArchive> {
        let json = format!(
            r#"{{"log":{{"entries":[{{"request":{{"method":"GET","url":"http://a/","headers":null,"postData":null}},
            "response":{{"status":200,"statusText":null,"headers":[{fields}],"content":{{{content}}}}}}}]}}}}"#
        );
        archives(json.as_bytes()).map(|found| found.into_iter().next().unwrap().conversation.transcript())
    }

    #[test]
    fn what_tells_how_a_body_was_packed_goes_wherever_it_stands() {
        let field = |name: &str, value: &str| format!(r#"{{"name":"{name}","value":"{value}"}}"#);
        let (length, coding) = (field("Content-Length", "999"), field("Content-Encoding", "br"));
        let (chunked, again) = (field("Transfer-Encoding", "chunked"), field("content-length", "7"));
        for fields in [
            [&length, &coding, &chunked],
            [&coding, &chunked, &length],
            [&chunked, &length, &again],
            [&length, &again, &coding],
        ] {
            let fields = fields.map(String::as_str).join(",");
            let text = answered(&fields, r#""size":3,"text":"hi!""#).unwrap();
            assert_eq!(text.to_lowercase().matches("content-length: 3\n").count(), 1, "{text}");
            assert!(!text.contains("999") && !text.contains("oding") && !text.contains(": 7"), "{text}");
        }
    }

    #[test]
    fn base64_is_read_as_it_is_written() {
        for text in ["aGVsbG8/Pw==", "aGVsbG8/Pw", "aGVs\\nbG8/\\r\\nPw==\\n", "aGVsbG8_Pw==", " aGVsbG8_Pw"] {
            let answer = answered("", &format!(r#""size":7,"encoding":"base64","text":"{text}""#)).unwrap();
            assert!(answer.contains("S raw: hello??\n"), "{text}: {answer}");
        }
        let why = answered("", r#""encoding":"base64","text":"a!""#).unwrap_err().to_string();
        assert!(why.contains("\n  GET / is left out: the archive does not have its content"), "{why}");
    }

    #[test]
    fn one_odd_entry_spoils_no_other_and_is_told() {
        let entry = |method: &str, url: &str, post: &str, response: &str| {
            format!(r#"{{"request":{{"method":"{method}","url":"{url}","headers":[]{post}}},"response":{response}}}"#)
        };
        let good = r#"{"status":200,"statusText":"OK","headers":[],"content":{"size":1,"text":"x"}}"#;
        let form =
            r#","postData":{"mimeType":"multipart/form-data; boundary=x","params":[{"name":"a","fileName":"b"}]}"#;
        let odd = [
            (entry("GET", "http://a/1", "", "null"), "entry 1 is left out: invalid type: null"),
            (entry("GET", "http://a/1", "", r#"{"status":"200"}"#), "entry 1 is left out: invalid type: string"),
            (entry("GET", "http://a/1", "", r#"{"status":200,"headers":{"a":"b"}}"#), "entry 1 is left out: "),
            (entry("CONNECT", "http://a:80", "", good), "CONNECT / asks a proxy for a tunnel, and is left out"),
            (entry("POST", "http://a/1", form, good), "POST /1 is left out: the archive does not have its content"),
        ];
        for (odd, why) in odd {
            let found = text(&format!(r#"{{"log":{{"entries":[{odd},{}]}}}}"#, entry("GET", "http://a/2", "", good)));
            let (_, requests, _, notes) = &found[0];
            assert!(*requests == 1 && notes.len() == 1 && notes[0].starts_with(why), "{notes:?}");
        }
        let json = format!(r#"{{"log":{{"entries":[{}]}}}}"#, entry("GET", "data:,x", "", good));
        let why = archives(json.as_bytes()).unwrap_err().to_string();
        assert!(why.ends_with("\n  entry 1 is no request over HTTP, and is left out"), "{why}");
    }
}
