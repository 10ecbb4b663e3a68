//! Messages for a program that it has not read yet, within bounds. One at a time stands in the pipe that is its standard input, so
//! that a program which reads much at once finds their bounds.

use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::pipe::fcntl_setpipe_size;
use transcript::Moment;

use crate::limits;
use crate::sys::queue;

/// A pipe of one page tells of room when it is empty.
const PAGE: usize = 4096;
/// Room for any datagram.
const ALL: usize = 64 * 1024;
/// How soon is looked whether a message of several pages was read: a larger pipe tells of room when it has any.
const SOON: Duration = Duration::from_millis(1);

/// What a program has not heard.
#[derive(Debug, Default)]
pub(super) struct StdinQueue {
    messages: VecDeque<Box<[u8]>>,
    bytes: usize,
    /// How much of the first one is in the pipe.
    begun: usize,
    /// The pipe is larger than a page.
    is_large: bool,
    /// When to look whether the pipe is empty.
    again: Option<Moment>,
}

impl StdinQueue {
    /// A pipe was made.
    pub(super) fn begin(&mut self, pipe: impl AsFd) {
        self.is_large = fcntl_setpipe_size(pipe, PAGE).is_err();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Keeps one; false if there is no room for it.
    pub(super) fn push(&mut self, message: Box<[u8]>) -> bool {
        let has_room =
            self.messages.len() < limits::WAITING_DATAGRAMS && self.bytes + message.len() <= limits::WAITING_BYTES;
        if has_room {
            self.bytes += message.len();
            self.messages.push_back(message);
        }
        has_room
    }

    /// Whether the kernel can tell when to go on.
    pub(super) fn waits_for_room(&self) -> bool {
        !self.is_empty() && self.again.is_none()
    }

    /// When to look again, where the kernel does not tell.
    pub(super) fn again(&self) -> Option<Moment> {
        self.again
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Puts into the pipe what the program takes now.
    ///
    /// # Errors
    /// As write(2): it does not want to hear.
    pub(super) fn pass_on(&mut self, pipe: impl AsFd, now: Moment) -> Result<(), Errno> {
        self.again = None;
        while let Some(message) = self.messages.front() {
            if self.begun == 0 {
                // The one before is to be read first.
                if queue::unread(&pipe).is_ok_and(|unread| unread > 0) {
                    break;
                }
                let is_large = message.len() > PAGE;
                if is_large != self.is_large {
                    let size = if is_large { ALL } else { PAGE };
                    self.is_large = if fcntl_setpipe_size(&pipe, size).is_ok() { is_large } else { self.is_large };
                }
            }
            match rustix::io::write(&pipe, &message[self.begun..]) {
                Ok(length) => self.begun += length,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(error) => return Err(error),
            }
            if self.begun >= message.len() {
                self.bytes -= message.len();
                self.begun = 0;
                self.messages.pop_front();
            }
        }
        if self.is_large && !self.is_empty() {
            self.again = Some(now.after(SOON));
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod tests {
    use std::io::Read;

    use super::*;

    fn pipe() -> (std::io::PipeReader, std::io::PipeWriter) {
        let (reader, writer) = std::io::pipe().unwrap();
        rustix::io::ioctl_fionbio(&writer, true).unwrap();
        (reader, writer)
    }

    fn message(byte: u8, length: usize) -> Box<[u8]> {
        vec![byte; length].into()
    }

    /// What is to be read, in one read of a program that has room for much.
    fn read(reader: &mut std::io::PipeReader) -> (u8, usize) {
        let mut bytes = vec![0; 2 * ALL];
        let length = reader.read(&mut bytes).unwrap();
        (bytes[0], length)
    }

    #[test]
    fn one_message_at_a_time_stands_in_the_pipe() {
        let (mut reader, writer) = pipe();
        let mut queue = StdinQueue::default();
        queue.begin(&writer);
        for byte in 1..=3 {
            assert!(queue.push(message(byte, 10)));
        }
        for byte in 1..=3 {
            queue.pass_on(&writer, Moment::default()).unwrap();
            assert_eq!(queue.bytes(), 10 * usize::from(3 - byte));
            // The kernel tells of room in a small pipe: nothing is looked at before.
            assert_eq!((queue.again(), queue.waits_for_room()), (None, byte < 3));
            assert_eq!(read(&mut reader), (byte, 10));
        }
        assert!(queue.is_empty());
    }

    #[test]
    fn behind_a_large_message_is_looked_again_and_only_while_something_waits() {
        let (mut reader, writer) = pipe();
        let mut queue = StdinQueue::default();
        queue.begin(&writer);
        assert!(queue.push(message(1, 20_000)));
        queue.pass_on(&writer, Moment::default()).unwrap();
        // All of it is in the pipe.
        assert_eq!((queue.is_empty(), queue.again()), (true, None));
        assert!(queue.push(message(2, 10)));
        queue.pass_on(&writer, Moment::default()).unwrap();
        // A large pipe tells of room when it has any.
        assert_eq!((queue.again(), queue.waits_for_room()), (Some(Moment::default().after(SOON)), false));
        assert_eq!(read(&mut reader), (1, 20_000));
        queue.pass_on(&writer, Moment::default()).unwrap();
        assert_eq!((queue.is_empty(), queue.again()), (true, None));
        assert_eq!(read(&mut reader), (2, 10));
    }

    #[test]
    fn what_waits_is_bounded_in_bytes_and_in_number_and_goes_where_no_program_reads() {
        let (reader, writer) = pipe();
        let mut queue = StdinQueue::default();
        let taken = (0..2 * limits::WAITING_DATAGRAMS).filter(|_| queue.push(message(1, 1))).count();
        assert_eq!((taken, queue.bytes()), (limits::WAITING_DATAGRAMS, limits::WAITING_DATAGRAMS));
        queue.clear();
        assert!(queue.push(message(1, limits::WAITING_BYTES)));
        assert!(!queue.push(message(1, 1)));
        drop(reader);
        // A program that another test starts meanwhile may have it open for a moment.
        let mut gone = [rustix::event::PollFd::new(&writer, rustix::event::PollFlags::empty())];
        rustix::event::poll(&mut gone, None).unwrap();
        assert_eq!(queue.pass_on(&writer, Moment::default()), Err(Errno::PIPE));
    }
}
