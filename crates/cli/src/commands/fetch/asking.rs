//! What is asked: the method, the body and who asks, from what was typed and the files it names.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use sockeye::verb::fetch::range::Range;
use sockeye::verb::fetch::{Body, Credentials, Form, Request, Url, netrc};

use super::place::Refused;
use crate::exit::Exit;
use crate::flags::{Fetch, User};

pub(super) fn request(flags: &Fetch, url: &Url) -> Result<Request, Refused> {
    let body = body(flags)?;
    let credentials = credentials(flags, url)?;
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
        cookies: flags.cookie.clone(),
        range: flags.range.map(|bytes| Range { bytes, if_still: None }),
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

/// Who asks: what was typed, then what the URL says, then what a file has for its host.
fn credentials(flags: &Fetch, url: &Url) -> Result<Option<Credentials>, Refused> {
    match (&flags.user, &flags.bearer) {
        (Some(User::Given(user, password)), _) => Ok(Some(Credentials::Basic(user.clone(), password.clone()))),
        (Some(User::In(path)), _) => {
            let line = first_line(path)?;
            let wrong = || (Exit::CannotRead, format!("the first line of {path} is not USER:PASSWORD"));
            let (user, password) = line.split_once(':').ok_or_else(wrong)?;
            Ok(Some(Credentials::Basic(user.to_owned(), password.to_owned())))
        }
        (None, Some(token)) => {
            let token = token.strip_prefix('@').map_or_else(|| Ok(token.clone()), first_line)?;
            Ok(Some(Credentials::Bearer(token)))
        }
        (None, None) if url.credentials.is_some() => Ok(None),
        (None, None) => of_netrc(flags, url),
    }
}

/// The first line of a file, where other users do not see it as they do in a command line.
fn first_line(path: &str) -> Result<String, Refused> {
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(path, &error))?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

fn of_netrc(flags: &Fetch, url: &Url) -> Result<Option<Credentials>, Refused> {
    let path = match (&flags.netrc_file, flags.netrc) {
        (Some(path), _) => path.clone(),
        (None, true) => {
            let home = std::env::home_dir().filter(|home| !home.as_os_str().is_empty());
            home.ok_or_else(|| (Exit::CannotRead, "--netrc: there is no home folder".to_owned()))?.join(".netrc")
        }
        (None, false) => return Ok(None),
    };
    let shown = path.display().to_string();
    let mut file = File::open(&path).map_err(|error| unreadable(&shown, &error))?;
    // Asked of the open file: by its name it could be another one by now.
    let found = file.metadata().map_err(|error| unreadable(&shown, &error))?;
    if found.mode() & 0o004 != 0 {
        return Err((Exit::CannotRead, format!("{shown}: everybody may read these passwords: chmod o-r")));
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(|error| unreadable(&shown, &error))?;
    let found = netrc::look_up(&text, &url.host()).map_err(|why| (Exit::CannotRead, format!("{shown}: {why}")))?;
    Ok(found.map(|(user, password)| Credentials::Basic(user, password)))
}
