//! Where bytes that come stand between frames (RFC 6455, section 5.2): a close may come in the middle of a message that was sent
//! in pieces, and then its pieces are lost.

/// Longest head of a frame.
const LONGEST_HEAD: usize = 14;
const CLOSE: u8 = 8;

/// Heads of frames, as they come.
#[derive(Debug, Default)]
pub(super) struct Frames {
    head: Vec<u8>,
    /// Bytes of the frame at hand that have not come.
    left: u64,
    /// Bytes of the message at hand, if more of it is to come.
    open: Option<u64>,
    /// Bytes of the message of which a piece is at hand, as far as the heads of its frames say.
    message: u64,
    /// A close has come; `open` stays what it was.
    has_closed: bool,
}

impl Frames {
    pub(super) fn follow(&mut self, mut bytes: &[u8]) {
        while let [first, rest @ ..] = bytes
            && !self.has_closed
        {
            if self.left > 0 {
                let skipped = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
                self.left -= skipped as u64;
                bytes = &bytes[skipped..];
                continue;
            }
            self.head.push(*first);
            bytes = rest;
            if let Some(length) = payload(&self.head) {
                self.begin(self.head[0], length);
                self.head.clear();
            }
        }
    }

    fn begin(&mut self, first: u8, length: u64) {
        let (opcode, is_last) = (first & 0x0f, first & 0x80 != 0);
        if opcode == CLOSE {
            self.has_closed = true;
        } else if opcode < CLOSE {
            self.message = self.open.unwrap_or(0).saturating_add(length);
            self.open = (!is_last).then(|| self.open.unwrap_or(0).saturating_add(length));
        }
        self.left = length;
    }

    /// Bytes that a message takes which has not come whole: there is room for a frame as soon as its head is there.
    pub(super) fn held(&self) -> u64 {
        if self.left > 0 || self.open.is_some() { self.message } else { 0 }
    }

    /// How many bytes of a message had come when a close came in the middle of it.
    pub(super) fn cut_by_close(&self) -> Option<u64> {
        self.open.filter(|_| self.has_closed)
    }
}

/// How long the payload is, once the head is whole.
fn payload(head: &[u8]) -> Option<u64> {
    let &second = head.get(1)?;
    let (short, mask) = (second & 0x7f, usize::from(second >> 7) * 4);
    let (more, length) = match short {
        126 => (2, u64::from(u16::from_be_bytes(head.get(2..4)?.try_into().ok()?))),
        127 => (8, u64::from_be_bytes(head.get(2..10)?.try_into().ok()?)),
        short => (0, u64::from(short)),
    };
    debug_assert!(head.len() <= LONGEST_HEAD);
    (head.len() >= 2 + more + mask).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_not_come_whole_is_held() {
        let mut frames = Frames::default();
        let mut held = |bytes: &[u8]| {
            frames.follow(bytes);
            frames.held()
        };
        assert_eq!(held(&[0x82, 127, 0, 0, 0, 0, 0, 1, 0]), 0);
        // A frame of 65,536 bytes begins, and ends.
        assert_eq!(held(&[0, 7]), 65_536);
        assert_eq!(held(&[7; 65_535]), 0);
        // Three pieces of a message, and a ping between them.
        assert_eq!(held(&[0x01, 2, b'a', b'b']), 2);
        assert_eq!(held(&[0x89, 1, b'p']), 2);
        assert_eq!(held(&[0x00, 3, b'c']), 5);
        assert_eq!(held(&[b'd', b'e', 0x80, 4, b'f']), 9);
        assert_eq!(held(b"ghi"), 0);
    }

    #[test]
    fn a_message_that_a_close_cuts_is_found_however_bytes_come() {
        let long = [&[0x02, 127, 0, 0, 0, 0, 0, 1, 0, 0][..], &[7; 65_536]].concat();
        let medium = [&[0x01, 0x80 | 126, 0x01, 0x00, 1, 2, 3, 4][..], &[0x88; 256]].concat();
        let close: &[u8] = &[0x88, 2, 3, 0xe8];
        for (frames, lost) in [
            (vec![close], None),
            (vec![&[0x81, 1, b'a'][..], close], None),
            (vec![&[0x01, 1, b'a'][..], close], Some(1)),
            (vec![&[0x01, 1, b'a'][..], &[0x89, 1, b'p'], &[0x00, 2, b'b', b'c'], close], Some(3)),
            (vec![&[0x01, 1, b'a'][..], &[0x80, 0], close], None),
            (vec![&medium[..], close], Some(256)),
            (vec![&long[..], close], Some(65_536)),
            (vec![&long[..], &[0x80, 1, 8], close], None),
            (vec![&[0x01, 1, b'a'][..]], None),
        ] {
            let bytes = frames.concat();
            for piece in [1, 3, bytes.len()] {
                let mut frames = Frames::default();
                bytes.chunks(piece).for_each(|piece| frames.follow(piece));
                assert_eq!(frames.cut_by_close(), lost, "{:?} by {piece}", &bytes[..bytes.len().min(20)]);
            }
        }
    }
}
