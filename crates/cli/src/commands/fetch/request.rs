//! What is asked: the method, the body and who asks, from what was typed and the files it names.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use sockeye::file::read_secret;
use sockeye::verb::fetch::download::TransferError;
use sockeye::verb::fetch::range::Range;
use sockeye::verb::fetch::{Body, Credentials, Form, Request, Url, netrc, percent_encoded};

use super::data;
use super::input::{input, secret_line, stdin, text_or_file, unreadable, usage};
use crate::flags::{Fetch, User};
use crate::sys::closed_standard_streams;

pub(super) fn request(flags: &Fetch, url: &Url) -> Result<Request, TransferError> {
    let with_name;
    let (body, url) = if flags.data.get {
        (None, &url.with_query(&data::query(&flags.data)?))
    } else if let Some(path) = &flags.upload_file {
        with_name = named_after(url, path)?;
        (Some(upload(path)?), &with_name)
    } else {
        (body(flags)?, url)
    };
    let credentials = credentials(flags, url)?;
    let credentials = if flags.digest { in_digests(credentials, url)? } else { credentials };
    let usual = match (&body, flags.head) {
        (_, true) => "HEAD",
        (Some(_), _) if flags.upload_file.is_some() => "PUT",
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
        jar: None,
        range: flags.range.map(|bytes| Range { bytes, if_still: None }),
    })
}

/// What is put there; a pipe or a terminal as it comes.
fn upload(path: &Path) -> Result<Body, TransferError> {
    let (shown, name) = match path.as_os_str() == "-" {
        true => ("standard input".to_owned(), None),
        false => (path.display().to_string(), Some(path)),
    };
    let open = || match name {
        Some(path) => File::open(path),
        None if closed_standard_streams().stdin_is_missing() => Err(io::Error::other("it is closed")),
        None => Ok(File::from(io::stdin().as_fd().try_clone_to_owned()?)),
    };
    // Its type is not known here, and so none is said, as by curl.
    let body = open().and_then(|file| Body::new("").with_stream(file, &shown));
    body.map_err(|error| unreadable(&shown, &error))
}

/// In a folder a file gets its own name.
fn named_after(url: &Url, path: &Path) -> Result<Url, TransferError> {
    let (place, query) =
        url.target.split_once('?').map_or((url.target.as_str(), None), |(place, query)| (place, Some(query)));
    let (true, Some(name)) = (place.ends_with('/') && path.as_os_str() != "-", path.file_name()) else {
        return Ok(url.clone());
    };
    let query = query.map_or_else(String::new, |query| format!("?{query}"));
    let target = format!("{place}{}{query}", percent_encoded(name.as_bytes()));
    Ok(Url { target, ..url.clone() })
}

/// The same user, whose password is not to be shown.
fn in_digests(credentials: Option<Credentials>, url: &Url) -> Result<Option<Credentials>, TransferError> {
    match (credentials, &url.credentials) {
        (Some(Credentials::Basic(user, password)), _) => {
            Ok(Some(Credentials::Digest(user.into_bytes(), password.into_bytes())))
        }
        (None, Some((user, password))) => Ok(Some(Credentials::Digest(user.clone(), password.clone()))),
        (Some(other), _) => Ok(Some(other)),
        (None, None) => Err(usage("--digest needs a user: --user, --netrc, or http://ME:PASSWORD@HOST")),
    }
}

fn body(flags: &Fetch) -> Result<Option<Body>, TransferError> {
    // What a form in a page sends, as all tools of this kind do.
    const FORM: &str = "application/x-www-form-urlencoded";
    if flags.data.is_body() {
        return data::body(&flags.data, Body::new(FORM)).map(Some);
    }
    if let Some(data) = &flags.data_json {
        if !data.starts_with('@') {
            let checked: Result<serde_json::Value, _> = serde_json::from_str(data);
            checked.map_err(|error| usage(format!("--data-json is no JSON: {error}")))?;
        }
        return text_or_file(Body::new("application/json"), data).map(Some);
    }
    if flags.form.is_empty() {
        return Ok(None);
    }
    if flags.form.iter().filter(|(_, value)| is_stdin(value)).count() > 1 {
        return Err(usage("standard input is there for one --form only"));
    }
    flags.form.iter().try_fold(Form::new(), filled_in).map(|form| Some(form.finish()))
}

/// Whether a value of a form is what comes from standard input.
pub(super) fn is_stdin(value: &str) -> bool {
    file_and_type(value).is_some_and(|(path, _)| path == "-")
}

/// What `@FILE;type=TYPE` names.
fn file_and_type(value: &str) -> Option<(&str, &str)> {
    let file = value.strip_prefix('@')?;
    Some(file.rsplit_once(";type=").unwrap_or((file, "application/octet-stream")))
}

fn filled_in(form: Form, (name, value): &(String, String)) -> Result<Form, TransferError> {
    let Some((path, kind)) = file_and_type(value) else { return Ok(form.text(name, value.as_bytes())) };
    if kind.is_empty() || !kind.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
        return Err(usage(format!("`{kind}` in --form {name} is no type such as text/plain")));
    }
    if path == "-" {
        return Ok(form.bytes(name, path, stdin()?, kind));
    }
    form.file(name, Path::new(path), kind).map_err(|error| unreadable(path, &error))
}

/// Who asks: what was typed, then what the URL says, then what a file has for its host.
fn credentials(flags: &Fetch, url: &Url) -> Result<Option<Credentials>, TransferError> {
    match (&flags.user, &flags.bearer) {
        (Some(User::Given(user, password)), _) => Ok(Some(Credentials::Basic(user.clone(), password.clone()))),
        (Some(User::In(path)), _) => {
            let line = first_line(path)?;
            let wrong = || input(format!("the first line of {path} is not USER:PASSWORD"));
            let (user, password) = line.split_once(':').ok_or_else(wrong)?;
            Ok(Some(Credentials::Basic(user.to_owned(), password.to_owned())))
        }
        (None, Some(token)) => {
            let token = token.strip_prefix('@').map_or_else(|| Ok(token.clone()), first_line)?;
            Ok(Some(Credentials::Bearer(token)))
        }
        (None, None) => match &url.credentials {
            // Who it is stands in the URL, and the password elsewhere.
            Some((user, password)) if password.is_empty() => of_netrc(flags, url, std::str::from_utf8(user).ok()),
            Some(_) => Ok(None),
            None => of_netrc(flags, url, None),
        },
    }
}

/// The first line of a file, where other users do not see it as they do in a command line.
fn first_line(path: &str) -> Result<String, TransferError> {
    secret_line(path, "these credentials", io::Error::other).map_err(|error| unreadable(path, &error))
}

fn of_netrc(flags: &Fetch, url: &Url, user: Option<&str>) -> Result<Option<Credentials>, TransferError> {
    let path = match (&flags.netrc_file, flags.netrc) {
        (Some(path), _) => path.clone(),
        (None, true) => {
            let home = std::env::home_dir().filter(|home| !home.as_os_str().is_empty());
            home.ok_or_else(|| input("--netrc: there is no home folder".to_owned()))?.join(".netrc")
        }
        (None, false) => return Ok(None),
    };
    let shown = path.display().to_string();
    let bytes = read_secret(&path, "these passwords").map_err(|error| unreadable(&shown, &error))?;
    // What is wrong with the bytes of another entry, or of a comment, is nothing to this one.
    let text = String::from_utf8_lossy(&bytes);
    let found = netrc::look_up(&text, &url.host(), user).map_err(|why| input(format!("{shown}: {why}")))?;
    let is_known = |word: &String| !word.contains(char::REPLACEMENT_CHARACTER) || std::str::from_utf8(&bytes).is_ok();
    if let Some((user, password)) = &found
        && !(is_known(user) && is_known(password))
    {
        return Err(input(format!("{shown}: the entry for {} is not UTF-8: save the file so", url.host())));
    }
    Ok(found.map(|(user, password)| Credentials::Basic(user, password)))
}
