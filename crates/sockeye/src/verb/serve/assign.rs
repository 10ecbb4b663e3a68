//! Which role is played at which address, when a server starts and when its transcripts are read again.

use transcript::Carrier;

use super::error::ServeError;
#[cfg(feature = "http")]
use super::files;
use super::options::{DEFAULT_PORT, Role, ServeOptions};
use super::roles::Roles;
use crate::address::{self, Address};
use crate::engine::{Loaded, ReloadError};

/// Which role is played at which address.
pub(super) fn assign(options: &ServeOptions) -> Result<Vec<(Address, Roles)>, ServeError> {
    let default = || Address::loopback(DEFAULT_PORT);
    let transcripts = match &options.role {
        Role::Transcripts(transcripts) => &transcripts[..],
        #[cfg(feature = "http")]
        Role::Files(files) => return files::assign(files, options),
        Role::Greeting | Role::Echo | Role::Discard | Role::Exec(_) => &[],
    };
    if transcripts.len() > 1 && !options.addresses.is_empty() && options.addresses.len() != transcripts.len() {
        return Err(ServeError::Count { addresses: options.addresses.len(), transcripts: transcripts.len() });
    }
    let mut assigned = Vec::new();
    for (index, loaded) in transcripts.iter().enumerate() {
        let role = Roles::of_transcript(loaded, options)?;
        if transcripts.len() == 1 && !options.addresses.is_empty() {
            assigned.extend(options.addresses.iter().map(|address| (address.clone(), role.clone())));
            break;
        }
        let address = match options.addresses.get(index) {
            Some(address) => address.clone(),
            None => address::named_by(&loaded.transcript).map_err(ServeError::Refused)?.unwrap_or_else(default),
        };
        assigned.push((address, role));
    }
    if transcripts.is_empty() {
        let role = Roles::without_file(options)?;
        let addresses = if options.addresses.is_empty() { vec![default()] } else { options.addresses.clone() };
        assigned.extend(addresses.into_iter().map(|address| (address, role.clone())));
    }
    Ok(assigned)
}

/// New behaviours for sockets that are bound already: each by its request and what carries it.
pub(super) fn behaviours(options: &ServeOptions, places: &[(usize, Carrier)]) -> Result<Loaded, ReloadError> {
    let Role::Transcripts(transcripts) = &options.role else { return Err(ReloadError::NoTranscript) };
    let roles: Result<Vec<Roles>, ServeError> =
        transcripts.iter().map(|loaded| Roles::of_transcript(loaded, options)).collect();
    let roles = roles.map_err(|error| ReloadError::Role(error.into()))?;
    let mut behaviours = Vec::new();
    for &(request, carrier) in places {
        // One transcript may stand at several addresses.
        let Some(role) = roles.get(request).or(roles.first()) else { continue };
        if let Some(refused) = role.refusal(carrier) {
            return Err(ReloadError::Carrier { carrier, refused: refused.clone() });
        }
        behaviours.push(role.of(carrier));
    }
    let names: Vec<&str> = transcripts.iter().map(|loaded| loaded.transcript.source().name()).collect();
    Ok((behaviours, format!("read again: {}", names.join(", "))))
}
