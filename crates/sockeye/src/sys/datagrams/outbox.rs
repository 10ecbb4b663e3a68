//! Sending datagrams.

use std::collections::HashSet;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;

use rustix::io::Errno;
use rustix::net::{SendFlags, sendto};

use super::header::{CONTROL, Control, no_header, no_name, write_address, write_control, write_source};
use super::peers::{PeerAddress, UnixPeers};
use super::{BATCH, LARGEST};

/// The longest datagrams that are sent as one: on most ways they fit into a frame. And how many (`UDP_MAX_SEGMENTS`).
const SEGMENT: usize = 1400;
const SEGMENTS: usize = 64;
/// Room for bytes that is kept for the next ones.
const MUCH: usize = 8 << 20;

/// Peers that the system had no room for, after which one call of [`Outbox::send`] tries no others.
const FULL: usize = 8;
/// How often an error may be about an answer before: each is told once, and the datagram in hand is tried again.
const EARLIER: usize = 3;

/// Datagrams to be sent, gathered for few calls. Those of one length to one peer go as one, and the kernel takes them
/// apart (udp(7), `UDP_SEGMENT`). What the system has no room for now stays here.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    payloads: Vec<u8>,
    pub(super) entries: Vec<Entry>,
    /// The system once refused several as one.
    pub(super) singly: bool,
    /// How many datagrams were ever added: the number of the next one.
    pushed: u64,
    /// Where the peers of a Unix socket are.
    unix: Option<Arc<UnixPeers>>,
}

/// One datagram, or several that are sent as one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    start: usize,
    end: usize,
    /// How long each is; the last may be shorter, and ends the entry.
    segment: usize,
    to: PeerAddress,
    from: Option<IpAddr>,
    /// The number of the first.
    number: u64,
}

/// Datagrams to one peer that could not be sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Refused {
    pub(crate) to: PeerAddress,
    pub(crate) from: Option<IpAddr>,
    /// The number of the first, in the order of adding, and how many there are.
    number: u64,
    count: u64,
    segment: u64,
    bytes: u64,
    pub(crate) error: Errno,
}

impl Refused {
    /// How many of the datagrams with numbers in a range are among them, and their bytes.
    pub(crate) fn among(&self, numbers: std::ops::Range<u64>) -> (u64, u64) {
        let (first, end) = (numbers.start.max(self.number), numbers.end.min(self.number + self.count));
        let count = end.saturating_sub(first);
        let until = |number: u64| ((number - self.number) * self.segment).min(self.bytes);
        (count, if count == 0 { 0 } else { until(end) - until(first) })
    }
}

impl Entry {
    fn count(&self) -> usize {
        (self.end - self.start).div_ceil(self.segment.max(1)).max(1)
    }

    fn takes(&self, length: usize, to: PeerAddress, from: Option<IpAddr>) -> bool {
        let so_far = self.end - self.start;
        self.segment >= length
            && length > 0
            && !to.is_unix()
            && self.segment <= SEGMENT
            && so_far.is_multiple_of(self.segment)
            && so_far < SEGMENTS * self.segment
            && so_far + length <= LARGEST - 100
            && (self.to, self.from) == (to, from)
    }

    fn refused(&self, error: Errno) -> Refused {
        let (count, segment, bytes) = (self.count() as u64, self.segment as u64, (self.end - self.start) as u64);
        Refused { to: self.to, from: self.from, number: self.number, count, segment, bytes, error }
    }
}

impl Outbox {
    /// One for the peers of a Unix socket, if there are any.
    pub(crate) fn to_unix(unix: Option<Arc<UnixPeers>>) -> Self {
        Self { unix, ..Self::default() }
    }

    /// Adds one datagram; `from` is the local address to send it from, where that matters.
    pub(crate) fn push(&mut self, payload: &[u8], to: PeerAddress, from: Option<IpAddr>) {
        let (start, segment, number) = (self.payloads.len(), payload.len(), self.pushed);
        if let (Some(unix), PeerAddress::Unix(peer)) = (&self.unix, to) {
            unix.waits(peer, number, segment);
        }
        self.pushed += 1;
        self.payloads.extend_from_slice(payload);
        let end = self.payloads.len();
        match self.entries.last_mut() {
            Some(last) if !self.singly && last.takes(segment, to, from) => last.end = end,
            _ => self.entries.push(Entry { start, end, segment, to, from, number }),
        }
    }

    /// The number of the next datagram that is added.
    pub(crate) fn next_number(&self) -> u64 {
        self.pushed
    }

    /// The number of the first datagram that still stands here; of the next one if there is none.
    pub(crate) fn first_number(&self) -> u64 {
        self.entries.first().map_or(self.pushed, |entry| entry.number)
    }

    /// The peers for which something still stands here.
    pub(crate) fn peers(&self) -> impl Iterator<Item = PeerAddress> {
        self.entries.iter().map(|entry| entry.to)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes that stand here.
    pub(crate) fn bytes(&self) -> usize {
        self.payloads.len()
    }

    /// Sends all that the system takes, and adds what it will never take to `refused`. What it has no room for now stays.
    /// It never waits.
    pub(crate) fn send(&mut self, fd: impl AsFd, refused: &mut Vec<Refused>) {
        let (mut next, mut kept, mut earlier) = (0, 0, 0);
        // An interface without room holds up those behind it, and no others; so does a Unix socket.
        let (mut full, mut is_full) = (HashSet::new(), false);
        while next < self.entries.len() {
            if is_full || full.contains(&self.entries[next].to) {
                self.entries[kept] = self.entries[next];
                (kept, next) = (kept + 1, next + 1);
                continue;
            }
            let batch = &self.entries[next..(next + BATCH).min(self.entries.len())];
            let count = match full.is_empty() {
                true => batch.len(),
                false => batch.iter().position(|entry| full.contains(&entry.to)).unwrap_or(batch.len()),
            };
            let to = self.entries[next].to;
            match self.send_some(&fd, next, next + count) {
                Ok(count) => (next, earlier) = (next + count.max(1), 0),
                Err(Errno::INTR) => {}
                Err(error) if is_of_the_network(error) && earlier < EARLIER && !to.is_unix() => earlier += 1,
                Err(Errno::AGAIN) if !to.is_unix() => is_full = true,
                Err(Errno::AGAIN | Errno::NOBUFS | Errno::NOMEM) => {
                    full.insert(to);
                    is_full = full.len() >= FULL && !to.is_unix();
                }
                // The way out knows no segments (no checksums in hardware, or a smaller MTU): each goes by itself.
                Err(error) if self.entries[next].count() > 1 && error != Errno::PERM && !is_of_the_network(error) => {
                    self.singly = true;
                    self.take_apart(next);
                }
                Err(error) => {
                    // The error is about the first of them; the others may still go.
                    let entry = self.entries[next];
                    self.leaves(entry);
                    refused.push(entry.refused(error));
                    (next, earlier) = (next + 1, 0);
                }
            }
        }
        self.keep(kept);
    }

    /// Only so many entries are left; their bytes move to the front when much before them is gone.
    fn keep(&mut self, count: usize) {
        self.entries.truncate(count);
        let first = self.entries.first().map_or(self.payloads.len(), |entry| entry.start);
        if count == 0 || first > self.payloads.len() / 2 {
            self.payloads.drain(..first);
            self.entries
                .iter_mut()
                .for_each(|entry| (entry.start, entry.end) = (entry.start - first, entry.end - first));
        }
        if count == 0 && self.payloads.capacity() > MUCH {
            self.payloads = Vec::new();
        }
    }

    /// Gives up those with a lower number, for want of room.
    pub(crate) fn give_up(&mut self, below: u64, refused: &mut Vec<Refused>) {
        let count = self.entries.iter().take_while(|entry| entry.number < below).count();
        self.entries[..count].iter().for_each(|entry| self.leaves(*entry));
        refused.extend(self.entries.drain(..count).map(|entry| entry.refused(Errno::NOBUFS)));
        self.keep(self.entries.len());
    }

    pub(super) fn take_apart(&mut self, index: usize) {
        let whole = self.entries[index];
        let starts = (whole.start..whole.end).step_by(whole.segment).zip(whole.number..);
        let single = |(start, number)| Entry { start, end: (start + whole.segment).min(whole.end), number, ..whole };
        self.entries.splice(index..=index, starts.map(single));
    }

    /// One does not stand here any more.
    fn leaves(&self, entry: Entry) {
        if let (Some(unix), PeerAddress::Unix(peer)) = (&self.unix, entry.to) {
            unix.left(peer, entry.end - entry.start);
        }
    }

    /// Sends the first of some to a peer of a Unix socket. One without a name cannot be answered.
    fn send_to_unix(&self, fd: impl AsFd, entry: Entry, peer: u32) -> Result<usize, Errno> {
        let address = self.unix.as_ref().and_then(|unix| unix.address(peer)).ok_or(Errno::DESTADDRREQ)?;
        let payload = &self.payloads[entry.start..entry.end];
        sendto(fd, payload, SendFlags::DONTWAIT | SendFlags::NOSIGNAL, &address)?;
        self.leaves(entry);
        Ok(1)
    }

    fn send_some(&mut self, fd: impl AsFd, start: usize, end: usize) -> Result<usize, Errno> {
        if let PeerAddress::Unix(peer) = self.entries[start].to {
            return self.send_to_unix(fd, self.entries[start], peer);
        }
        let count = end - start;
        let mut names = [no_name(); BATCH];
        let mut controls = [Control([0; CONTROL]); BATCH];
        let mut vectors = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; BATCH];
        let mut headers = [no_header(); BATCH];
        for (index, entry) in self.entries[start..end].iter().enumerate() {
            let payload = &mut self.payloads[entry.start..entry.end];
            vectors[index] = libc::iovec { iov_base: payload.as_mut_ptr().cast(), iov_len: payload.len() };
            let header = &mut headers[index].msg_hdr;
            let PeerAddress::Inet(to) = entry.to else { break };
            header.msg_namelen = write_address(to, &mut names[index]);
            header.msg_name = (&raw mut names[index]).cast();
            header.msg_iov = &raw mut vectors[index];
            header.msg_iovlen = 1;
            let mut length = entry.from.map_or(0, |from| write_source(&mut controls[index], from));
            if entry.count() > 1 {
                let segment = u16::try_from(entry.segment).unwrap_or(u16::MAX);
                length = write_control(&mut controls[index], length, libc::SOL_UDP, libc::UDP_SEGMENT, segment);
            }
            if length > 0 {
                header.msg_control = controls[index].0.as_mut_ptr().cast();
                header.msg_controllen = length;
            }
        }
        // SAFETY: every header points to a name, a vector, a payload and a control buffer that live beyond the call and
        // are as long as it says; the kernel only reads them.
        let sent = unsafe {
            libc::sendmmsg(
                fd.as_fd().as_raw_fd(),
                headers.as_mut_ptr(),
                count as libc::c_uint,
                libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
            )
        };
        usize::try_from(sent).map_err(|_| last_error())
    }
}

/// Whether an error may be about an answer before, which a network did not deliver.
fn is_of_the_network(error: Errno) -> bool {
    matches!(
        error,
        Errno::CONNREFUSED | Errno::HOSTUNREACH | Errno::NETUNREACH | Errno::HOSTDOWN | Errno::NONET | Errno::PROTO
    )
}

fn last_error() -> Errno {
    Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO)
}
