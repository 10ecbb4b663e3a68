//! Files as what a server does: a folder at every address, over TLS where the scheme says so.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::{Arc, OnceLock};

use super::error::ServeError;
use super::options::{DEFAULT_PORT, Files, Plain, ServeOptions};
use super::roles::Roles;
use crate::address::{Address, AddressError, Scheme};
use crate::engine::{Behaviour, HttpService, Listening};
use crate::event::Name;
use crate::net::listen::Socket;
use crate::web::account::{Access, Accounts};
use crate::web::root::Root;
use crate::web::site::Site;

impl Files {
    /// What who serves may not have meant.
    pub(super) fn notices(&self, sockets: &[Listening]) -> Vec<String> {
        let mut notices = Vec::new();
        let is_wide = |socket: &Socket| match socket.endpoint.name {
            Name::Inet(address) => !address.ip().is_loopback(),
            Name::Path(_) | Name::Unnamed | Name::Local(_) => false,
        };
        let mut wide = sockets.iter().map(|listening| &listening.socket).filter(|socket| is_wide(socket)).peekable();
        let accounts = &self.site.accounts;
        if self.site.upload.is_some() && accounts.is_open(Access::Write) && wide.peek().is_some() {
            notices.push(
                "everybody who reaches this machine may store files: --basic-auth or --write-auth USER:PASSWORD keeps \
                 others out"
                    .to_owned(),
            );
        }
        let is_plain = self.plain == Plain::Served;
        if *accounts != Accounts::default()
            && is_plain
            && wide.any(|socket| socket.endpoint.over == Some(Scheme::Http.name()))
        {
            let flag = if accounts.readers.is_empty() { "--write-auth" } else { "--basic-auth" };
            notices.push(format!("over http:// the password of {flag} can be read on its way: https:// hides it"));
        }
        for (flag, page) in [("--spa", &self.site.fallback), ("--not-found", &self.site.not_found)] {
            let Some(page) = page else { continue };
            let path = self.folder.join(OsStr::from_bytes(page));
            if !path.is_file() {
                notices.push(format!("{flag}: there is no file {} yet", path.display()));
            }
        }
        notices
    }
}

/// Tells the sockets of plain HTTP where HTTPS is spoken.
pub(super) fn lead_to_https(sockets: &[Listening]) -> Result<(), ServeError> {
    let port =
        sockets.iter().find_map(|Listening { socket, behaviour, .. }| match (behaviour, &socket.endpoint.name) {
            (Behaviour::Site(website), Name::Inet(address)) if website.is_secure => Some(address.port()),
            _ => None,
        });
    let mut plain = sockets.iter().filter_map(|listening| match &listening.behaviour {
        Behaviour::Site(website) => website.https.as_ref(),
        _ => None,
    });
    match (port, plain.next()) {
        (Some(port), Some(https)) => {
            // All of them share it.
            let _ = https.set(port);
            Ok(())
        }
        _ => Err(ServeError::NoWayToHttps),
    }
}

/// A folder is served at every address, over TLS where the scheme says so.
pub(super) fn assign(files: &Files, options: &ServeOptions) -> Result<Vec<(Address, Roles)>, ServeError> {
    let root = Root::open(&files.folder).map_err(|error| ServeError::Folder { path: files.folder.clone(), error })?;
    let site = Arc::new(Site::new(root, files.site.clone()));
    let https = Arc::new(OnceLock::new());
    let default = vec![Address::loopback(DEFAULT_PORT)];
    let addresses = if options.addresses.is_empty() { &default } else { &options.addresses };
    let assign = |address: &Address| {
        let over = match address.scheme {
            None | Some(Scheme::Http | Scheme::Tcp | Scheme::Unix) => Scheme::Http,
            Some(Scheme::Https) => Scheme::Https,
            Some(other) => return Err(ServeError::Address(AddressError::not_with_files(other))),
        };
        let is_secure = over == Scheme::Https;
        let https = (files.plain == Plain::Redirected && !is_secure).then(|| Arc::clone(&https));
        let website =
            HttpService { site: Arc::clone(&site), is_secure, log: files.log, https, more_files: Arc::default() };
        let behaviour = Behaviour::Site(Arc::new(website));
        let roles = Roles {
            stream: Ok(behaviour),
            datagram: Ok(Behaviour::Discard),
            packet: Ok(Behaviour::Discard),
            messages: None,
            over: Some(over),
        };
        Ok((address.clone(), roles))
    };
    addresses.iter().map(assign).collect()
}
