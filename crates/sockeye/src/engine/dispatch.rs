//! What the loop does with one channel: it is watched, has its turn, is armed for what it waits for next, and is dropped when it
//! is over. The same for a datagram socket.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::io::Errno;

use super::channel::{Agent, Channel, ChannelStatus, ConnectionInfo, Line};
use super::context::Context;
use super::datagram::DatagramServer;
use super::handoff::{Continuation, Handoff};
use super::reactor::token::{Key, Token};
use super::threads::Membership;
use super::{FIRST, Loop, STALE, Storing};
use crate::event::Protocol;
use crate::sys::datagrams::Inbox;

impl Loop {
    /// Serves a client here.
    pub(super) fn take_in(&mut self, fd: OwnedFd, mut info: ConnectionInfo) {
        let origin = &self.origins[info.origin];
        let agent = Agent::new(&origin.behaviour, info.permit.take());
        let is_plain = origin.endpoint.protocol == Protocol::Tcp && !origin.begins_secure();
        let gives_socket_away = is_plain && agent.takes_socket();
        let number = info.number;
        let (line, marked) = Line::of_client(fd, origin.endpoint.protocol);
        let mut channel = Channel::new(line, info, agent, self.resources.now);
        channel.paused = gives_socket_away;
        if self.spans(channel.origin) {
            let (id, origin) = (number, channel.origin);
            channel.group = id;
            self.begin_group(id, origin, channel.conversation(&self.origins[origin]));
            let key = self.adopt_client(channel, marked);
            return self.join_group(id, FIRST, key);
        }
        self.adopt_client(channel, marked);
    }

    /// The same of a client, with what went wrong as it came in.
    pub(super) fn adopt_client(&mut self, channel: Channel, came: Result<(), Errno>) -> Key {
        let key = self.adopt(channel);
        if let Err(error) = came {
            self.with_channel(key, |channel, context| {
                channel.unwatched(&error.into(), context);
                ChannelStatus::Closed
            });
        }
        key
    }

    /// Has a channel watched, and lets it begin.
    pub(super) fn adopt(&mut self, mut channel: Channel) -> Key {
        let wants = channel.wants();
        channel.interest = wants;
        let key = self.channels.insert(Box::new(channel));
        let watched = match self.channels.get_mut(key).and_then(|channel| channel.line.fd()) {
            Some(fd) => self.poller.add(fd, Token::Channel(key), wants),
            None => Ok(()),
        };
        if let Err(error) = watched {
            self.with_channel(key, |channel, context| {
                channel.unwatched(&error, context);
                ChannelStatus::Closed
            });
            return key;
        }
        self.with_channel(key, Channel::open);
        key
    }

    /// Does something with one connection, then sees to its interest, its deadline and its end.
    pub(super) fn with_channel(&mut self, key: Key, act: impl FnOnce(&mut Channel, &mut Context<'_>) -> ChannelStatus) {
        let Some(channel) = self.channels.get_mut(key) else { return };
        let origin = &self.origins[channel.origin];
        let storing = self.storage.as_ref().map(|storage| Storing { storage, key });
        let mut context = self.resources.context(&self.bounds, origin, storing);
        let mut status = act(channel, &mut context);
        if channel.is_broken
            && status != ChannelStatus::Closed
            && channel.hear_out(&mut context) == ChannelStatus::Closed
        {
            status = ChannelStatus::Closed;
        }
        if status != ChannelStatus::Open {
            let moved = match channel.line.fd() {
                _ if status == ChannelStatus::Closed => return self.drop_channel(key),
                Some(fd) => self.poller.add(fd, Token::Channel(key), channel.wants()),
                None => Ok(()),
            };
            channel.interest = channel.wants();
            if let Err(error) = moved {
                channel.unwatched(&error, &mut context);
                return self.drop_channel(key);
            }
        }
        if channel.agent.holds_child() {
            self.leftovers.extend(channel.leftover());
            if let Err(error) = channel.watch_child(&self.poller, key) {
                channel.kill_child();
                channel.unwatched(&error, &mut context);
                self.drop_channel(key);
                return;
            }
        }
        channel.held.count(channel.memory(), context.now, &mut self.memory);
        let wants = channel.wants();
        if wants != channel.interest {
            let changed = channel.line.fd().map_or(Ok(()), |fd| self.poller.change(fd, Token::Channel(key), wants));
            if let Err(error) = changed {
                // It would wait for what the kernel does not tell.
                channel.unwatched(&error, &mut context);
                self.drop_channel(key);
                return;
            }
            channel.interest = wants;
        }
        if let Some(at) = channel.wakes() {
            self.timers.arm(&mut channel.armed, at, key);
        }
    }

    pub(super) fn drop_channel(&mut self, key: Key) {
        let Some(mut channel) = self.channels.remove(key) else { return };
        self.memory -= channel.held.bytes;
        self.leftovers.extend(channel.leftover());
        if let Line::OnePeer(peer) = &channel.line {
            self.forget_peer(peer, key);
        }
        if channel.group != 0 && channel.agent.holds_play() {
            self.resources.handoffs.push_back(Handoff {
                group: channel.group,
                first: None,
                continuation: Continuation::Over,
            });
        }
        // An observer that is told of it finds that its address has room.
        drop(channel);
        if let Some(Membership { workers, worker, .. }) = &self.member {
            workers.remove(*worker, self.resources.tally.closed);
        }
        // Deadlines of connections that came and went would stand in the heap for minutes.
        if self.timers.len() > 2 * self.channels.len() + STALE {
            let channels = &self.channels;
            self.timers.keep(|key| channels.contains(key));
        }
        // There is room again: clients that wait in the backlog come in with the next look.
        self.acceptor.hurry(self.resources.now);
    }

    pub(super) fn with_datagrams(
        &mut self,
        index: usize,
        act: impl FnOnce(&mut DatagramServer, Option<&mut Inbox>, &mut Context<'_>),
    ) {
        let Some(server) = self.datagrams.get_mut(index) else { return };
        let origin = Arc::clone(&server.origin);
        let mut context = self.resources.context(&self.bounds, &origin, None);
        act(server, self.inbox.as_mut(), &mut context);
    }

    /// Answers the datagrams that have come to a socket.
    pub(super) fn serve_datagrams(&mut self, index: usize) {
        self.with_datagrams(index, |server, inbox, context| server.ready(inbox, context));
        self.serve_programs(index);
    }
}
