//! How a relay ends: no client comes in any more, those inside have the grace, and what is left then is cut.

use super::RelayLoop;
use super::pair::EndOfRelay;
use super::state::RelayMessage;
use crate::event::Event;

impl RelayLoop {
    pub(super) fn begin_stopping(&mut self) {
        let by = self.now.after(self.shared.options.grace);
        self.stop_by = Some(by);
        self.close_listeners();
        self.shared.is_attentive.store(true, std::sync::atomic::Ordering::SeqCst);
        self.shared.write_all(|| RelayMessage::Stop(by));
        self.end_silent();
    }

    /// The relay ends: clients that cannot say that they have ended have, and get the answers to what they said.
    pub(super) fn end_silent(&mut self) {
        for key in self.pairs.keys() {
            if let Some(pair) = self.pairs.get_mut(key)
                && pair.near.protocol.has_no_end()
            {
                pair.near.is_over = true;
                if let Some(far) = &mut pair.far {
                    far.hurries = true;
                }
                self.advance(key);
            }
        }
    }

    pub(super) fn close_listeners(&mut self) {
        for listener in &mut self.listeners {
            self.poll.remove(&listener.socket.fd);
            listener.socket.close();
        }
        let count = self.acceptor.forget_waiting();
        if count > 0 {
            let error = "clients that waited for room: the relay was stopped".to_owned();
            self.shared.observe(Event::Dropped { count, error });
        }
        if let Some(flows) = &mut self.flows {
            for socket in flows.near() {
                self.poll.remove(&socket.fd);
            }
            flows.close();
            self.end_flows();
        }
        self.acceptor.resume();
    }

    pub(super) fn cut_all(&mut self, end: EndOfRelay) {
        self.end_flows();
        for key in self.pairs.keys() {
            if let Some(pair) = self.pairs.get_mut(key) {
                pair.cut(end);
                self.conclude(key, true);
            }
        }
        for pair in std::mem::take(&mut self.lingering) {
            self.finish(pair);
        }
    }

    /// What was said to peers of datagram sockets goes out; how many bytes did not.
    pub(super) fn finish_peers(&mut self) -> u64 {
        let mut lost = 0;
        for listener in &mut self.listeners {
            let left = listener.socket.finish();
            lost += left.lost;
            for (count, error) in left.told {
                self.shared.observe(Event::Dropped { count, error });
            }
        }
        lost
    }
}
