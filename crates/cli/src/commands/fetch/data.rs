//! The text of a form, from what was typed and the files it names, as curl puts it together.

use std::fmt::Write;

use sockeye::verb::fetch::download::TransferError;
use sockeye::verb::fetch::{Body, percent_encoded};

use super::input::{stdin, text_or_file, unreadable};
use crate::flags::{Data, Datum};

/// As a body: with & between the parts. Files are read while they are sent.
pub(super) fn body(data: &Data, mut body: Body) -> Result<Body, TransferError> {
    for (index, datum) in data.parts.iter().enumerate() {
        if index > 0 {
            body = body.with("&");
        }
        body = match datum {
            Datum::Plain(text) => text_or_file(body, text)?,
            other => body.with(bytes(other)?),
        };
    }
    Ok(body)
}

/// As a query. What cannot stand in one is encoded; what can is left as it was typed, for it may be encoded already.
pub(super) fn query(data: &Data) -> Result<String, TransferError> {
    let parts: Result<Vec<Vec<u8>>, _> = data.parts.iter().map(bytes).collect();
    let mut query = String::new();
    for byte in parts?.join(&b'&') {
        match byte {
            b'!'..=b'~' => query.push(char::from(byte)),
            _ => {
                let _ = write!(query, "%{byte:02X}");
            }
        }
    }
    Ok(query)
}

fn bytes(datum: &Datum) -> Result<Vec<u8>, TransferError> {
    match datum {
        Datum::Plain(text) => text_or_contents(text),
        Datum::Lines(text) => {
            let mut bytes = text_or_contents(text)?;
            if text.starts_with('@') {
                bytes.retain(|byte| !matches!(byte, b'\r' | b'\n' | 0));
            }
            Ok(bytes)
        }
        Datum::Raw(text) => Ok(text.clone().into_bytes()),
        Datum::Encoded(text) => encoded(text),
    }
}

/// What stands in front of the first = or @ is a name, and is sent as it is. A space is a plus, as in any form.
fn encoded(text: &str) -> Result<Vec<u8>, TransferError> {
    let (name, value) = match text.find(['=', '@']) {
        None => ("", text.as_bytes().to_vec()),
        Some(at) if text.as_bytes()[at] == b'=' => (&text[..at], text.as_bytes()[at + 1..].to_vec()),
        Some(at) => (&text[..at], contents(&text[at + 1..])?),
    };
    let equals = if name.is_empty() { "" } else { "=" };
    Ok(format!("{name}{equals}{}", percent_encoded(&value).replace("%20", "+")).into_bytes())
}

fn text_or_contents(text: &str) -> Result<Vec<u8>, TransferError> {
    text.strip_prefix('@').map_or_else(|| Ok(text.as_bytes().to_vec()), contents)
}

fn contents(path: &str) -> Result<Vec<u8>, TransferError> {
    if path == "-" { stdin() } else { std::fs::read(path).map_err(|error| unreadable(path, &error)) }
}
