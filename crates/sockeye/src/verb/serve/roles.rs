//! What a server does over each carrier, and on which protocols it therefore listens: transcripts are prepared here.

use std::sync::Arc;

use transcript::{Carrier, Files as Attachments, PlayOptions, Refused, Script, Side, Transcript};

use super::error::ServeError;
use super::options::{EarlyClose, Role, Running, ServeOptions};
use crate::address::{self, Address, AddressError, Scheme};
use crate::engine::{Behaviour, Exec};
use crate::event::Protocol;
use crate::folder::LoadedTranscript;
use crate::limits;
use crate::net::listen;

const GREETING: &[u8] = include_bytes!("../../../transcripts/greeting.talk");

const GREETING_UDP: &[u8] = include_bytes!("../../../transcripts/greeting-udp.talk");

/// What is played over which carrier, or why it is not.
#[derive(Debug, Clone)]
pub(super) struct Roles {
    pub(super) stream: Result<Behaviour, Refused>,
    pub(super) datagram: Result<Behaviour, Refused>,
    pub(super) packet: Result<Behaviour, Refused>,
    /// Over WebSocket, where an address asks for it.
    pub(super) messages: Option<Result<Behaviour, Refused>>,
    /// What is spoken over streams, where that has a scheme of its own.
    pub(super) over: Option<Scheme>,
}

impl Roles {
    /// A role that needs no file.
    pub(super) fn without_file(options: &ServeOptions) -> Result<Self, ServeError> {
        let fixed = |behaviour: Behaviour| Self {
            stream: Ok(behaviour.clone()),
            datagram: Ok(behaviour.clone()),
            packet: Ok(behaviour),
            messages: None,
            over: None,
        };
        match &options.role {
            Role::Echo => Ok(fixed(Behaviour::Echo)),
            Role::Discard => Ok(fixed(Behaviour::Discard)),
            Role::Exec(running) => {
                let Running { program, terminal, errors, most } = &**running;
                Ok(fixed(Behaviour::Exec(Arc::new(Exec::new(program.clone(), *terminal, *errors, *most)))))
            }
            _ => {
                let parse = |name, text| Transcript::parse(name, text, &[]).map_err(ServeError::Refused);
                let (stream, datagram) = (parse("greeting.talk", GREETING)?, parse("greeting-udp.talk", GREETING_UDP)?);
                Self::prepare(&stream, &datagram, None, options)
            }
        }
    }

    pub(super) fn of_transcript(loaded: &LoadedTranscript, options: &ServeOptions) -> Result<Self, ServeError> {
        Self::prepare(&loaded.transcript, &loaded.transcript, loaded.files.as_ref(), options)
    }

    /// A transcript over streams, and one, mostly the same, over datagrams.
    pub(super) fn prepare(
        stream: &Transcript,
        datagram: &Transcript,
        files: Option<&Arc<dyn Attachments>>,
        options: &ServeOptions,
    ) -> Result<Self, ServeError> {
        let script = |transcript: &Transcript, carrier| {
            let mut playing = PlayOptions::new(Side::Server, carrier);
            playing.values.clone_from(&options.values);
            playing.secrets.clone_from(&options.secrets);
            playing.fresh = options.fresh;
            playing.longest_line = options.longest_line;
            playing.wait = Some(limits::SERVE_WAIT);
            playing.wait_override = options.timeout;
            playing.may_leave = options.early_close == EarlyClose::Allowed;
            playing.files = files.cloned();
            Script::prepare(transcript, &playing).map(|script| Behaviour::Play(Arc::new(script)))
        };
        let transcript = stream;
        let packet = script(transcript, Carrier::Packet);
        let stream = script(transcript, Carrier::Stream);
        let datagram = script(datagram, Carrier::Datagram);
        let is_websocket = options.addresses.iter().any(Address::is_websocket)
            || matches!(address::named_by(transcript), Ok(Some(address)) if address.is_websocket());
        let messages = is_websocket.then(|| script(transcript, Carrier::Messages));
        if let (Err(refused), Err(_), None | Some(Err(_))) = (&stream, &datagram, &messages) {
            return Err(ServeError::Refused(refused.clone()));
        }
        Ok(Self { stream, datagram, packet, messages, over: None })
    }

    pub(super) fn has_tls(&self) -> bool {
        match &self.stream {
            Ok(Behaviour::Play(script)) => script.has_tls(),
            Ok(Behaviour::Site(website)) => website.is_secure(),
            _ => false,
        }
    }

    pub(super) fn runs_programs(&self) -> bool {
        matches!(self.stream, Ok(Behaviour::Exec(_)))
    }

    /// What is played over a carrier.
    pub(super) fn carried(&self, carrier: Carrier) -> &Result<Behaviour, Refused> {
        match (carrier, &self.messages) {
            (Carrier::Datagram, _) => &self.datagram,
            (Carrier::Packet, _) => &self.packet,
            (Carrier::Messages, Some(messages)) => messages,
            (Carrier::Stream | Carrier::Messages, _) => &self.stream,
        }
    }

    /// Why it cannot be played over one.
    pub(super) fn refusal(&self, carrier: Carrier) -> Option<&Refused> {
        self.carried(carrier).as_ref().err()
    }

    /// The protocols to listen on: the one that the scheme names, else every one that the transcript allows.
    pub(super) fn protocols(&self, address: &Address, notices: &mut Vec<String>) -> Result<Vec<Protocol>, ServeError> {
        match self.named_protocol(address).map_err(ServeError::Address)? {
            Some(protocol) => match self.refusal(address.carrier(protocol)) {
                Some(refused) => Err(ServeError::Refused(refused.clone())),
                None => Ok(vec![protocol]),
            },
            None => Ok(self.playable_protocols(address, notices)),
        }
    }

    /// The one protocol that an address leaves to us, if it is one.
    fn named_protocol(&self, address: &Address) -> Result<Option<Protocol>, AddressError> {
        let serves_files = self.over.is_some();
        match address.scheme {
            Some(scheme) if scheme.has_handshake() && self.has_tls() => {
                let help = "the transcript begins TLS itself, with `starttls`: write tcp://";
                Err(AddressError::not_here(scheme, help))
            }
            // Datagrams have no beginning that a header could stand before.
            None if address.options.accept_proxy => Ok(Some(Protocol::Tcp)),
            Some(scheme @ (Scheme::Ws | Scheme::Wss)) if serves_files => {
                Err(AddressError::not_here(scheme, "files are served over http:// or https://"))
            }
            Some(scheme @ (Scheme::Ws | Scheme::Wss)) if !cfg!(feature = "http") => Err(AddressError::not_yet(scheme)),
            _ if address.is_local() => Ok(Some(listen::protocol_of_local(address))),
            Some(scheme @ (Scheme::UnixDgram | Scheme::UnixSeqpacket)) if serves_files => {
                Err(AddressError::not_here(scheme, "files are served over streams: write unix:PATH"))
            }
            Some(scheme @ (Scheme::Http | Scheme::Https)) if !serves_files => Err(AddressError::without_files(scheme)),
            None if !address.is_unix() && !serves_files && !self.runs_programs() => Ok(None),
            None => Ok(address.protocol()),
            Some(scheme) => address.protocol().map(Some).ok_or_else(|| AddressError::not_yet(scheme)),
        }
    }

    /// Each protocol over IP that it can be played on; why not on the others is a notice.
    fn playable_protocols(&self, address: &Address, notices: &mut Vec<String>) -> Vec<Protocol> {
        let mut protocols = Vec::new();
        for (protocol, name) in [(Protocol::Tcp, "TCP"), (Protocol::Udp, "UDP")] {
            let Some(refused) = self.refusal(address.carrier(protocol)) else {
                protocols.push(protocol);
                continue;
            };
            let why = refused.findings.first().map_or_else(String::new, |finding| {
                let (name, line) = refused.source.locate(finding.line);
                format!("{name}:{line}: {}", finding.message)
            });
            let notice = format!("not on {name}: {why}");
            if !notices.contains(&notice) {
                notices.push(notice);
            }
        }
        protocols
    }

    pub(super) fn of(&self, carrier: Carrier) -> Behaviour {
        // Only what can be played is ever bound.
        self.carried(carrier).clone().unwrap_or(Behaviour::Discard)
    }
}
