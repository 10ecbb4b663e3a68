//! What may be asked of the control API, as toxiproxy 2 has it: a method and a path, and what comes of it.

use serde_json::{Map, Value, json};

use super::proxies::Proxies;
use super::refusal::Refusal;
use crate::wire::http::percent_decoded;
use crate::wire::http::request::Request;
use crate::wire::http::status::Status;

/// The version of toxiproxy whose API this is: clients ask for it.
const VERSION: &str = "2.12.0";

/// What is answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: Status,
    /// JSON, or nothing.
    pub(super) content: Vec<u8>,
    /// Methods that there are, where another was asked for.
    pub(super) allow: Option<&'static str>,
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        Self { status: refusal.status, content: refusal.told(), allow: None }
    }
}

impl Answer {
    fn of(status: Status, told: &Value) -> Self {
        Self { status, content: told.to_string().into_bytes(), allow: None }
    }

    fn nothing() -> Self {
        Self { status: Status::NO_CONTENT, content: vec![], allow: None }
    }
}

/// Whether a client may ask at all: no browser may, whatever page it shows, and no client that takes us for another host.
pub(super) fn admit(request: &Request<'_>, is_local: bool) -> Result<(), Refusal> {
    let agent = request.fields.user_agent.as_deref().unwrap_or_default();
    if agent.starts_with(b"Mozilla/") {
        return Err(Refusal::new(Status::FORBIDDEN, "User agent not allowed: browsers may not steer this"));
    }
    if request.fields.origin.is_some() || request.fields.sec_fetch_site.is_some() {
        return Err(Refusal::new(Status::FORBIDDEN, "Origin not allowed: pages of browsers may not steer this"));
    }
    let host = request.host();
    let is_ours = match host.parse::<std::net::IpAddr>() {
        Ok(ip) => !is_local || ip.to_canonical().is_loopback(),
        // A name that leads here need not be ours (DNS rebinding).
        Err(_) => !is_local || host.is_empty() || host.eq_ignore_ascii_case("localhost"),
    };
    if is_ours {
        return Ok(());
    }
    Err(Refusal::new(Status::FORBIDDEN, format!("Host not allowed: ask 127.0.0.1 or localhost, not {host}")))
}

/// Does what is asked.
pub(super) fn answer(request: &Request<'_>, content: &[u8], proxies: &mut Proxies) -> Answer {
    let Some(path) = request.path.strip_prefix('/') else { return not_found() };
    let names: Vec<Vec<u8>> = path.split('/').map(percent_decoded).collect();
    let Ok(names) = names.iter().map(|name| std::str::from_utf8(name)).collect::<Result<Vec<_>, _>>() else {
        return not_found();
    };
    if names.iter().any(|name| name.is_empty()) {
        return not_found();
    }
    let asked = act(request.method_text, &names, content, proxies);
    asked.unwrap_or_else(Answer::from)
}

fn act(method: &str, names: &[&str], content: &[u8], proxies: &mut Proxies) -> Result<Answer, Refusal> {
    let ok = |told: Value| Answer::of(Status::OK, &told);
    Ok(match (names, method) {
        (["version"], "GET") => ok(json!({ "version": VERSION })),
        (["proxies"], "GET") => ok(proxies.told()),
        (["proxies"], "POST") => Answer::of(Status::CREATED, &proxies.create(&object(content)?)?),
        (["populate"], "POST") => populate(content, proxies),
        (["reset"], "POST") => {
            proxies.reset()?;
            Answer::nothing()
        }
        (["proxies", name], "GET") => ok(proxies.show(name)?),
        (["proxies", name], "POST" | "PATCH") => {
            proxies.show(name)?;
            ok(proxies.change(name, &object(content)?)?)
        }
        (["proxies", name], "DELETE") => {
            proxies.remove(name)?;
            Answer::nothing()
        }
        (["proxies", name, "toxics"], "GET") => ok(proxies.toxics(name)?),
        (["proxies", name, "toxics"], "POST") => {
            proxies.show(name)?;
            ok(proxies.add_toxic(name, &object(content)?)?)
        }
        (["proxies", name, "toxics", toxic], "GET") => ok(proxies.toxic(name, toxic)?),
        (["proxies", name, "toxics", toxic], "POST" | "PATCH") => {
            proxies.toxic(name, toxic)?;
            ok(proxies.change_toxic(name, toxic, &object(content)?)?)
        }
        (["proxies", name, "toxics", toxic], "DELETE") => {
            proxies.remove_toxic(name, toxic)?;
            Answer::nothing()
        }
        (["version"], _) => not_allowed("GET"),
        (["proxies"] | ["proxies", _, "toxics"], _) => not_allowed("GET, POST"),
        (["populate"] | ["reset"], _) => not_allowed("POST"),
        (["proxies", _] | ["proxies", _, "toxics", _], _) => not_allowed("GET, POST, PATCH, DELETE"),
        _ => not_found(),
    })
}

fn populate(content: &[u8], proxies: &mut Proxies) -> Answer {
    let (told, refusal) = match value(content) {
        Ok(Value::Array(wanted)) => proxies.populate(&wanted),
        Ok(_) => (vec![], Some(Refusal::body("a list of proxies is needed"))),
        Err(refusal) => (vec![], Some(refusal)),
    };
    match refusal {
        None => Answer::of(Status::CREATED, &json!({ "proxies": told })),
        Some(Refusal { status, why }) => {
            Answer::of(status, &json!({ "error": why, "status": status.code(), "proxies": told }))
        }
    }
}

fn not_found() -> Answer {
    Refusal::new(Status::NOT_FOUND, "404 page not found").into()
}

fn not_allowed(methods: &'static str) -> Answer {
    let refusal = Refusal::new(Status::METHOD_NOT_ALLOWED, format!("method not allowed: there are {methods}"));
    Answer { allow: Some(methods), ..refusal.into() }
}

/// The first value of the content: what follows it is passed over.
fn value(content: &[u8]) -> Result<Value, Refusal> {
    let mut values = serde_json::Deserializer::from_slice(content).into_iter::<Value>();
    match values.next() {
        Some(Ok(value)) => Ok(value),
        Some(Err(error)) => Err(Refusal::body(&error.to_string())),
        None => Err(Refusal::body("EOF")),
    }
}

fn object(content: &[u8]) -> Result<Map<String, Value>, Refusal> {
    match value(content)? {
        Value::Object(fields) => Ok(fields),
        Value::Null => Ok(Map::new()),
        _ => Err(Refusal::body("an object is needed")),
    }
}
