//! What is asked: the method, the body and who asks, from what was typed and the files it names.

use std::io::{self, Read};
use std::path::Path;

use sockeye::verb::fetch::{Body, Form, Request, Url};

use crate::exit::Exit;
use crate::flags::{Fetch, User};

/// Why there is nothing to ask, and how the command ends then.
pub(super) type Refused = (Exit, String);

pub(super) fn request(flags: &Fetch, url: &Url) -> Result<Request, Refused> {
    let body = body(flags)?;
    let credentials = match &flags.user {
        Some(User::Given(user, password)) => Some((user.clone(), password.clone())),
        Some(User::In(path)) => Some(read_user(path).map_err(|why| (Exit::CannotRead, why))?),
        None => None,
    };
    let usual = match (&body, flags.head) {
        (_, true) => "HEAD",
        (Some(_), _) => "POST",
        (None, _) => "GET",
    };
    Ok(Request {
        url: url.clone(),
        method: flags.method.clone().unwrap_or_else(|| usual.to_owned()),
        fields: flags.header.clone(),
        body,
        credentials,
    })
}

fn body(flags: &Fetch) -> Result<Option<Body>, Refused> {
    if let Some(data) = &flags.data {
        // What a form in a page sends, as all tools of this kind do.
        return text_or_file(Body::new("application/x-www-form-urlencoded"), data).map(Some);
    }
    if let Some(data) = &flags.data_json {
        if !data.starts_with('@') {
            let checked: Result<serde_json::Value, _> = serde_json::from_str(data);
            checked.map_err(|error| (Exit::Usage, format!("--data-json is no JSON: {error}")))?;
        }
        return text_or_file(Body::new("application/json"), data).map(Some);
    }
    if flags.form.is_empty() {
        return Ok(None);
    }
    flags.form.iter().try_fold(Form::new(), filled_in).map(|form| Some(form.finish()))
}

/// The words themselves, or what is in a file.
fn text_or_file(body: Body, data: &str) -> Result<Body, Refused> {
    match data.strip_prefix('@') {
        None => Ok(body.with(data)),
        Some("-") => {
            let mut bytes = Vec::new();
            io::stdin()
                .read_to_end(&mut bytes)
                .map_err(|error| (Exit::CannotRead, format!("cannot read standard input: {error}")))?;
            Ok(body.with(bytes))
        }
        Some(path) => body.with_file(Path::new(path)).map_err(|error| unreadable(path, &error)),
    }
}

fn filled_in(form: Form, (name, value): &(String, String)) -> Result<Form, Refused> {
    let Some(file) = value.strip_prefix('@') else { return Ok(form.text(name, value.as_bytes())) };
    let (path, kind) = file.rsplit_once(";type=").unwrap_or((file, "application/octet-stream"));
    if kind.is_empty() || !kind.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
        return Err((Exit::Usage, format!("`{kind}` in --form {name} is no type such as text/plain")));
    }
    form.file(name, Path::new(path), kind).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &str, error: &io::Error) -> Refused {
    (Exit::CannotRead, format!("cannot read {path}: {error}"))
}

/// User and password from the first line of a file, where other users do not see them as they do in a command line.
fn read_user(path: &str) -> Result<(String, String), String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot read {path}: {error}"))?;
    let (user, password) = text
        .lines()
        .next()
        .and_then(|line| line.split_once(':'))
        .ok_or_else(|| format!("the first line of {path} is not USER:PASSWORD"))?;
    Ok((user.to_owned(), password.to_owned()))
}
