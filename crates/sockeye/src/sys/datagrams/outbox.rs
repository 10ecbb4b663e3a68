//! Sending datagrams.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};

use super::header::{CONTROL, Control, no_header, no_name, write_address, write_control, write_source};
use super::{BATCH, LARGEST};

/// The longest datagrams that are sent as one: on most ways they fit into a frame. And how many (`UDP_MAX_SEGMENTS`).
const SEGMENT: usize = 1400;
const SEGMENTS: usize = 64;

/// Datagrams to be sent, gathered for few calls. Those of one length to one peer go as one, and the kernel takes them
/// apart (udp(7), `UDP_SEGMENT`).
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    payloads: Vec<u8>,
    pub(super) entries: Vec<Entry>,
    /// The system once refused several as one.
    pub(super) singly: bool,
}

/// One datagram, or several that are sent as one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    start: usize,
    end: usize,
    /// How long each is; the last may be shorter, and ends the entry.
    segment: usize,
    to: SocketAddr,
    from: Option<IpAddr>,
}

impl Entry {
    fn count(&self) -> usize {
        (self.end - self.start).div_ceil(self.segment.max(1)).max(1)
    }

    fn takes(&self, length: usize, to: SocketAddr, from: Option<IpAddr>) -> bool {
        let so_far = self.end - self.start;
        self.segment >= length
            && length > 0
            && self.segment <= SEGMENT
            && so_far.is_multiple_of(self.segment)
            && so_far < SEGMENTS * self.segment
            && so_far + length <= LARGEST - 100
            && (self.to, self.from) == (to, from)
    }
}

impl Outbox {
    /// Adds one datagram; `from` is the local address to send it from, where that matters.
    pub(crate) fn push(&mut self, payload: &[u8], to: SocketAddr, from: Option<IpAddr>) {
        let (start, segment) = (self.payloads.len(), payload.len());
        self.payloads.extend_from_slice(payload);
        let end = self.payloads.len();
        match self.entries.last_mut() {
            Some(last) if !self.singly && last.takes(segment, to, from) => last.end = end,
            _ => self.entries.push(Entry { start, end, segment, to, from }),
        }
    }

    /// Sends all, and returns how many the kernel would not take, with the last reason. It never waits.
    pub(crate) fn send(&mut self, fd: impl AsFd) -> (usize, Option<io::Error>) {
        let (mut refused, mut reason) = (0, None);
        let mut next = 0;
        while next < self.entries.len() {
            let end = (next + BATCH).min(self.entries.len());
            match self.send_some(&fd, next, end) {
                Ok(count) => next += count.max(1),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The way out knows no segments (no checksums in hardware, or a smaller MTU): each goes by itself.
                Err(error) if self.entries[next].count() > 1 && error.kind() != io::ErrorKind::WouldBlock => {
                    self.singly = true;
                    self.take_apart(next);
                }
                Err(error) => {
                    // The error is about the first of them; the others may still go.
                    refused += self.entries[next].count();
                    reason = Some(error);
                    next += 1;
                }
            }
        }
        self.payloads.clear();
        self.entries.clear();
        (refused, reason)
    }

    pub(super) fn take_apart(&mut self, index: usize) {
        let whole = self.entries[index];
        let starts = (whole.start..whole.end).step_by(whole.segment);
        let single = |start| Entry { start, end: (start + whole.segment).min(whole.end), ..whole };
        self.entries.splice(index..=index, starts.map(single));
    }

    fn send_some(&mut self, fd: impl AsFd, start: usize, end: usize) -> io::Result<usize> {
        let count = end - start;
        let mut names = [no_name(); BATCH];
        let mut controls = [Control([0; CONTROL]); BATCH];
        let mut vectors = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; BATCH];
        let mut headers = [no_header(); BATCH];
        for (index, entry) in self.entries[start..end].iter().enumerate() {
            let payload = &mut self.payloads[entry.start..entry.end];
            vectors[index] = libc::iovec { iov_base: payload.as_mut_ptr().cast(), iov_len: payload.len() };
            let header = &mut headers[index].msg_hdr;
            header.msg_namelen = write_address(entry.to, &mut names[index]);
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
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }
}
