//! The first phase of a channel that we open: on its way to a peer. It ends with a socket, or without one.

use super::super::Context;
use super::super::reactor::poller::Interest;
use super::{Agent, Channel, ChannelStatus, ConnectionInfo, Datagrams, Line, Phase};
use crate::endpoint::{Name, Protocol};
use crate::event::Event;
use crate::failure::{Failure, Kind};
use crate::net::connect::{ConnectError, Connected};
use crate::net::connecting::{Connecting, Progress};
use crate::net::peer::Peer;

impl Channel {
    /// One that is on its way.
    pub(in crate::engine) fn on_its_way(
        connecting: Connecting,
        info: ConnectionInfo,
        agent: Agent,
        now: transcript::Moment,
    ) -> Self {
        let mut channel = Self::new(Line::Connecting(Box::new(connecting)), info, agent, now);
        channel.phase = Phase::Connecting;
        channel
    }

    /// The first step, before anything of it is watched.
    pub(in crate::engine) fn set_off(&mut self, context: &mut Context<'_>) -> ChannelStatus {
        match self.connect_on(context) {
            ChannelStatus::Closed => ChannelStatus::Closed,
            ChannelStatus::Open | ChannelStatus::DescriptorChanged => ChannelStatus::DescriptorChanged,
        }
    }

    /// Something happened on its way, or it is time to look.
    pub(in crate::engine) fn connect_on(&mut self, context: &mut Context<'_>) -> ChannelStatus {
        // The socket of a single attempt is watched already.
        let is_watched = self.interest == Interest::Write && self.line.interest() == Interest::Write;
        let Line::Connecting(connecting) = &mut self.line else { return ChannelStatus::Open };
        match connecting.advance() {
            Ok(Progress::Waits(time)) => {
                self.deadline = Some(context.now.after(time));
                ChannelStatus::Open
            }
            Ok(Progress::Stands(connected)) => self.stands(*connected, is_watched, context),
            Err(error) => self.not_connected(&error, context),
        }
    }

    /// There is a connection: from here on it is one as any other.
    fn stands(&mut self, connected: Connected, is_watched: bool, context: &mut Context<'_>) -> ChannelStatus {
        let Connected { fd, protocol, local, peer, attempts, broken, .. } = connected;
        if attempts.len() > 1 && context.load.is_none() {
            let tried: Vec<String> = attempts.iter().map(ToString::to_string).collect();
            context.observer.observe(Event::Notice(tried.join("; ")));
        }
        self.line = match protocol {
            Protocol::Tcp | Protocol::Unix => Line::Socket(fd),
            Protocol::Udp | Protocol::UnixDgram | Protocol::UnixSeqpacket => match Peer::of(fd, protocol, &peer) {
                Ok(peer) => Line::Datagrams(Box::new(Datagrams::new(peer))),
                Err(error) => {
                    let address = peer.to_string();
                    return self.not_connected(&ConnectError::Local { address, error: error.into() }, context);
                }
            },
        };
        (self.peer, self.is_broken, self.deadline) = (peer, broken.is_some(), None);
        self.local = (local != Name::Unnamed).then(|| Box::new(local));
        self.opened = context.now;
        self.phase = Phase::Open;
        match &mut context.load {
            Some(load) => load.connected(self.number as usize, context.now),
            None => context.observer.observe(Event::Opened(self.conversation(context.origin))),
        }
        match self.open(context) {
            ChannelStatus::Open if !is_watched => ChannelStatus::DescriptorChanged,
            status => status,
        }
    }

    /// There is none.
    pub(in crate::engine) fn not_connected(
        &mut self,
        error: &ConnectError,
        context: &mut Context<'_>,
    ) -> ChannelStatus {
        if let Some(load) = &mut context.load
            && !load.not_connected(self.number as usize, Kind::from(error), error.is_without_port())
        {
            return self.gone(context);
        }
        let reason = error.to_string();
        self.tell(Failure::other(Kind::from(error), reason.clone()), context);
        self.reason = Some(reason.into());
        self.gone(context)
    }
}
