//! How a pair comes to its server: the servers that are tried, each one's addresses, and what is said where none answers.

use std::io;

use rustix::io::Errno;

use super::super::reactor::token::Key;
use super::attempts::Connecting;
use super::leg::{Bounds, Leg, PeerKind};
use super::pair::Stage;
use super::poll::End;
use super::targets::PendingConnection;
use super::{AGAIN, PROBES_AFTER, RelayLoop, capture};
use crate::event::Event;
use crate::failure::Kind;
use crate::net::{is_exhausted, words};
use crate::wire::preface;

impl RelayLoop {
    /// Begins to connect to a server.
    pub(super) fn connect(&mut self, key: Key) {
        let order = self.shared.targets.order(self.now);
        let until = self.now.after(self.shared.options.connect_timeout);
        let Some(pair) = self.pairs.get_mut(key) else { return };
        let addresses = order.first().map(|index| self.shared.targets.all[*index].addresses()).unwrap_or_default();
        pair.stage = Stage::Connecting(Connecting {
            order,
            place: 0,
            addresses,
            address: 0,
            until,
            again: None,
            why: String::new(),
            kind: Kind::Refused,
        });
        self.try_server(key);
    }

    /// Tries servers until one answers at once, one may answer, or none is left.
    pub(super) fn try_server(&mut self, key: Key) {
        loop {
            let Some(pair) = self.pairs.get_mut(key) else { return };
            let Stage::Connecting(connecting) = &mut pair.stage else { return };
            let Some(&index) = connecting.order.get(connecting.place) else {
                let (kind, why) = (connecting.kind, std::mem::take(&mut connecting.why));
                self.no_server(key, kind, &why);
                return;
            };
            let target = &self.shared.targets.all[index];
            let begun = target.begin(&connecting.addresses, connecting.address, &pair.conversation);
            match begun {
                Ok(PendingConnection { fd, stands, guest }) => {
                    if let Err(error) = self.poll.add_end(&fd, key, End::Far) {
                        connecting.failed(&self.shared.targets, error, self.now);
                        continue;
                    }
                    let mut far = Leg::new(fd, target.protocol, PeerKind::of(guest.as_deref()));
                    if let Some(framing) = self.shared.options.messages {
                        let protocol = target.protocol;
                        far.carry_messages(match &target.layers.websocket {
                            Some(_) => Bounds::of_session(),
                            None if protocol.keeps_bounds() => {
                                Box::new(Bounds::OfSocket { has_end: !protocol.has_no_end() })
                            }
                            None => Bounds::framed(framing),
                        });
                    }
                    pair.far = Some(far);
                    pair.guests.extend(guest.map(|guest| *guest));
                    pair.target = Some(index);
                    if stands {
                        self.connected(key, false);
                    } else {
                        pair.deadline = Some(connecting.by(self.now));
                        self.arm(key);
                    }
                    return;
                }
                // A backlog that is full, or too little of something here: it may be otherwise in a moment.
                Err(error) if (error == Errno::AGAIN || is_exhausted(&error.into())) && self.now < connecting.until => {
                    connecting.again = Some(self.now.after(AGAIN));
                    pair.deadline = connecting.again;
                    self.arm(key);
                    return;
                }
                Err(error) => connecting.failed(&self.shared.targets, error, self.now),
            }
        }
    }

    /// The time of an attempt is over, or has come.
    pub(super) fn connect_again(&mut self, key: Key) {
        let Some(pair) = self.pairs.get_mut(key) else { return };
        let Stage::Connecting(connecting) = &mut pair.stage else { return };
        if connecting.again.take_if(|at| *at <= self.now).is_some() {
            self.try_server(key);
        } else if pair.deadline.is_some_and(|by| by <= self.now) {
            if pair.target.take().is_some() {
                connecting.failed(&self.shared.targets, Errno::TIMEDOUT, self.now);
            }
            pair.far = None;
            self.try_server(key);
        } else {
            self.arm(key);
        }
    }

    /// An attempt has an answer; it may be an error if the socket is broken.
    pub(super) fn connected(&mut self, key: Key, is_broken: bool) {
        let Some(pair) = self.pairs.get_mut(key) else { return };
        let (Some(far), Some(index)) = (&mut pair.far, pair.target) else { return };
        let target = &self.shared.targets.all[index];
        let Stage::Connecting(connecting) = &mut pair.stage else { return };
        let error = match is_broken.then(|| far.take_error()).flatten() {
            // What it said before it reset us can still be read.
            Some(error @ (Errno::CONNRESET | Errno::PIPE)) => {
                far.broken = Some(error);
                None
            }
            None if target.meets_itself(connecting.addresses.get(connecting.address), far.fd()) => {
                Some(Errno::CONNREFUSED)
            }
            error => error,
        };
        if let Some(error) = error {
            connecting.failed(&self.shared.targets, error, self.now);
            (pair.far, pair.target) = (None, None);
            self.try_server(key);
            return;
        }
        target.answered();
        target.joined();
        pair.conversation.to = Some(target.name(&connecting.addresses, connecting.address));
        if let (Some(capture), Some(to)) = (&self.shared.options.capture, &pair.conversation.to) {
            let (ours, number) = (far.own_name(), pair.conversation.number);
            far.wire_tap = Some(match far.protocol.keeps_bounds() {
                true => capture::SocketCapture::of_messages(capture, End::Far, &ours, to, number),
                false => capture::SocketCapture::between(capture, End::Far, &ours, to, number),
            });
        }
        (pair.stage, pair.deadline) = (Stage::Joined, None);
        pair.last_moved.1 = self.now;
        if target.probes_later() {
            pair.probes_at = Some(self.now.after(PROBES_AFTER));
        }
        if let Some(version) = target.layers.proxy {
            let header = preface::write(version, pair.ends());
            // The next read from it learns that it is broken.
            let _ = pair.far.as_mut().map(|far| far.say_first(&header));
        }
        let Some(far) = &mut pair.far else { return };
        let begun = match target.session() {
            None => Ok(()),
            Some(Ok(session)) => {
                pair.secure_by = Some(self.now.after(crate::limits::HANDSHAKE_WAIT));
                far.secure(session).map_err(|error| words(&io::Error::from(error)))
            }
            Some(Err(error)) => Err(error.to_string()),
        };
        if let Err(why) = begun {
            self.no_server(key, Kind::Socket, &why);
            return;
        }
        self.tell_opened(key);
        self.advance(key);
    }

    /// A pair that finds no server is over.
    pub(super) fn no_server(&mut self, key: Key, kind: Kind, why: &str) {
        self.tell_opened(key);
        let Some(pair) = self.pairs.get_mut(key) else { return };
        let failure = pair.no_server(kind, why);
        let conversation = Some(pair.conversation.clone());
        self.shared.observe(Event::Failed { conversation, failure });
        self.conclude(key, false);
    }
}
