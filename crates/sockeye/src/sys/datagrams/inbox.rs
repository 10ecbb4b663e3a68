//! Taking datagrams.

use std::io;
use std::mem::size_of;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};

use super::header::{CONTROL, Control, Controls, RawName, address_of, controls, no_header, no_name};
use super::{BATCH, LARGEST};

/// What came at once from one peer: one datagram, or several that the kernel left together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival<'a> {
    pub(crate) bytes: &'a [u8],
    /// How long each datagram is; the last may be shorter.
    segment: usize,
    pub(crate) from: SocketAddr,
    /// The local address to answer from, where the kernel told.
    pub(crate) to: Option<IpAddr>,
}

impl<'a> Arrival<'a> {
    /// Each datagram by itself, in the order of sending.
    pub(crate) fn datagrams(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let (bytes, segment) = (self.bytes, self.segment);
        // One that is empty is one all the same.
        (0..bytes.len().max(1))
            .step_by(segment.max(1))
            .map(move |start| &bytes[start..bytes.len().min(start + segment)])
    }
}

/// Takes datagrams from a socket, many at a time.
pub(crate) struct Inbox {
    payloads: Vec<u8>,
    names: [RawName; BATCH],
    controls: [Control; BATCH],
    received: Vec<Received>,
    drained: bool,
}

#[derive(Clone, Copy)]
struct Received {
    /// Where it stands among the payloads.
    start: usize,
    length: usize,
    /// As of [`Arrival`].
    segment: usize,
    from: SocketAddr,
    to: Option<IpAddr>,
}

impl std::fmt::Debug for Inbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inbox").field("received", &self.received.len()).finish_non_exhaustive()
    }
}

impl Inbox {
    pub(crate) fn new() -> Self {
        Self {
            payloads: vec![0; BATCH * LARGEST],
            names: [no_name(); BATCH],
            controls: [Control([0; CONTROL]); BATCH],
            received: Vec::with_capacity(BATCH),
            drained: true,
        }
    }

    /// One without room, which stands where another was taken from.
    pub(crate) fn none() -> Self {
        let (names, controls) = ([no_name(); BATCH], [Control([0; CONTROL]); BATCH]);
        Self { payloads: vec![], names, controls, received: vec![], drained: true }
    }

    /// Takes what has come, at most a batch, without waiting. None there is `WouldBlock`.
    pub(crate) fn receive(&mut self, fd: impl AsFd) -> io::Result<()> {
        self.received.clear();
        let mut vectors = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: LARGEST }; BATCH];
        let mut headers = [no_header(); BATCH];
        let chunks = self.payloads.chunks_exact_mut(LARGEST);
        for ((index, header), chunk) in headers.iter_mut().enumerate().zip(chunks) {
            vectors[index].iov_base = chunk.as_mut_ptr().cast();
            header.msg_hdr.msg_name = (&raw mut self.names[index]).cast();
            header.msg_hdr.msg_namelen = size_of::<RawName>() as libc::socklen_t;
            header.msg_hdr.msg_iov = &raw mut vectors[index];
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = self.controls[index].0.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = CONTROL;
        }
        // SAFETY: every header points to a name, a vector and a control buffer that live beyond the call and are as
        // long as it says; the kernel writes inside them only.
        let count = unsafe {
            libc::recvmmsg(
                fd.as_fd().as_raw_fd(),
                headers.as_mut_ptr(),
                BATCH as libc::c_uint,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        self.drained = count < BATCH;
        for (index, header) in headers.iter().enumerate().take(count) {
            let Some(from) = address_of(&self.names[index]) else { continue };
            let length = (header.msg_len as usize).min(LARGEST);
            let Controls { to, segment } = controls(&header.msg_hdr);
            let segment = segment.filter(|&segment| segment > 0).unwrap_or(length);
            self.received.push(Received { start: index * LARGEST, length, segment, from, to });
        }
        Ok(())
    }

    /// Whether nothing more stood there when datagrams were taken last.
    pub(crate) fn is_drained(&self) -> bool {
        self.drained
    }

    /// What was received last.
    pub(crate) fn arrivals(&self) -> impl Iterator<Item = Arrival<'_>> {
        self.received.iter().map(|&Received { start, length, segment, from, to }| {
            let bytes = &self.payloads[start..start + length];
            Arrival { bytes, segment, from, to }
        })
    }
}
