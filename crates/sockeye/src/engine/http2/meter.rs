//! About how much memory h2 keeps of what came. It does not tell, so the frames are looked at as they pass: only their
//! lengths, and how many fields a head has.

/// Flags of a frame (RFC 9113, section 6.2).
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;
const HEADERS: u8 = 0x1;
const CONTINUATION: u8 = 0x9;
/// Length of a frame's own head.
const FRAME: usize = 9;
/// What a field takes in a map, beside its bytes: measured, with room for the map to grow.
const FIELD: usize = 192;
/// What an entry of the table of compressed fields takes, beside its bytes.
const ENTRY: usize = 160;
/// An entry keeps the buffer that its bytes came in: at most so much of it.
const BUFFER: usize = 16 * 1024;
/// Most entries of that table: it counts 4,096 bytes, and 32 at least for each (RFC 7541, section 4.1).
const ENTRIES: usize = 4096 / 32;

/// What has been seen of a connection.
#[derive(Debug, Default)]
pub(super) struct Meter {
    at: At,
    /// Bytes of the frame in hand that came.
    frame: usize,
    /// A head that has not ended yet.
    head: Head,
    /// Bytes since the last entry of the table.
    since_entry: usize,
    /// Entries of late, and the memory that they keep; and of as many before. Each new one pushes an old one out.
    entries: usize,
    table: usize,
    table_before: usize,
}

/// What comes next.
#[derive(Debug, Clone, Copy)]
enum At {
    /// So many bytes of what every connection begins with.
    Preface(usize),
    Frame {
        head: [u8; FRAME],
        came: usize,
    },
    Block {
        /// How many bytes of the frame are left.
        left: usize,
        /// Of those, bytes before the fields; and bytes of padding behind them, once that is known.
        before: usize,
        padding: Padding,
        is_last: bool,
    },
    Other {
        left: usize,
    },
}

#[derive(Debug, Clone, Copy)]
enum Padding {
    Unknown,
    Bytes(usize),
}

impl Default for At {
    fn default() -> Self {
        Self::Preface(super::PREFACE.len())
    }
}

/// The fields of a head, as far as they have come.
#[derive(Debug, Default, Clone, Copy)]
struct Head {
    bytes: usize,
    fields: usize,
    entries: usize,
    at: Field,
    is_over: bool,
}

/// Where a field stands (RFC 7541, section 6): only lengths matter.
#[derive(Debug, Default, Clone, Copy)]
enum Field {
    #[default]
    InitialLayers,
    /// The rest of a number that is no length, and how many strings follow it.
    Number { strings: u8 },
    /// A string begins, and others follow.
    String { others: u8 },
    /// The rest of a string's length.
    Length { length: usize, shift: u32, others: u8 },
    /// The rest of a string.
    Bytes { left: usize, others: u8 },
}

impl Meter {
    /// Bytes that h2 keeps, about: never much fewer than it does.
    pub(super) fn memory(&self) -> usize {
        // A frame that is not whole is in a buffer that grows by doubling; a head is kept as it came, and unpacked.
        let head = if self.head.bytes > 0 { 2 * self.head.bytes + self.head.fields * FIELD } else { 0 };
        2 * self.frame + head + self.table + self.table_before
    }

    /// Sees what came.
    pub(super) fn see(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let used = self.part(bytes);
            self.since_entry += used;
            if self.head.is_over {
                self.end_head();
            }
            bytes = &bytes[used..];
        }
    }

    /// Sees some bytes of one kind; how many.
    fn part(&mut self, bytes: &[u8]) -> usize {
        match &mut self.at {
            At::Preface(left) => {
                let used = bytes.len().min(*left);
                *left -= used;
                if *left == 0 {
                    self.begin();
                }
                used
            }
            At::Frame { head, came } => {
                let used = bytes.len().min(FRAME - *came);
                head[*came..*came + used].copy_from_slice(&bytes[..used]);
                *came += used;
                if *came == FRAME {
                    let head = *head;
                    self.frame(head);
                }
                used
            }
            At::Other { left } => {
                let used = bytes.len().min(*left);
                *left -= used;
                self.frame += used;
                if *left == 0 {
                    self.begin();
                }
                used
            }
            At::Block { left, before, padding, is_last } => {
                let used = bytes.len().min(*left);
                self.frame += used;
                for &byte in &bytes[..used] {
                    *left -= 1;
                    if matches!(padding, Padding::Unknown) {
                        *padding = Padding::Bytes(byte.into());
                    } else if *before > 0 {
                        *before -= 1;
                    } else if !matches!(padding, Padding::Bytes(length) if *left < *length) {
                        self.head.take(byte);
                    }
                }
                if *left == 0 {
                    self.head.is_over = *is_last;
                    self.begin();
                }
                used
            }
        }
    }

    /// A frame begins.
    fn begin(&mut self) {
        self.at = At::Frame { head: [0; FRAME], came: 0 };
        self.frame = 0;
    }

    /// The head of a frame has come.
    fn frame(&mut self, head: [u8; FRAME]) {
        let left = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let (kind, flags) = (head[3], head[4]);
        let is_last = flags & END_HEADERS != 0;
        self.at = match kind {
            HEADERS => {
                let padding = if flags & PADDED != 0 { Padding::Unknown } else { Padding::Bytes(0) };
                let before = if flags & PRIORITY != 0 { 5 } else { 0 };
                At::Block { left, before, padding, is_last }
            }
            CONTINUATION => At::Block { left, before: 0, padding: Padding::Bytes(0), is_last },
            _ => At::Other { left },
        };
        if left == 0 {
            self.begin();
            self.head.is_over = is_last && matches!(kind, HEADERS | CONTINUATION);
        }
    }

    /// A head is whole: it is counted with its request from here on. Entries of the table stay.
    fn end_head(&mut self) {
        let Head { entries, .. } = std::mem::take(&mut self.head);
        if entries == 0 {
            return;
        }
        self.table += entries.min(ENTRIES) * ENTRY + (2 * self.since_entry).min(BUFFER);
        self.since_entry = 0;
        self.entries += entries;
        if self.entries >= ENTRIES {
            (self.table_before, self.table, self.entries) = (self.table, 0, 0);
        }
    }
}

impl Head {
    fn take(&mut self, byte: u8) {
        self.bytes += 1;
        self.at = match self.at {
            Field::InitialLayers => self.begin(byte),
            Field::Number { strings } if byte & 0x80 != 0 => Field::Number { strings },
            Field::Number { strings } => Field::behind(strings),
            Field::String { others } => match byte & 0x7f {
                0x7f => Field::Length { length: 0x7f, shift: 0, others },
                length => Field::string(length.into(), others),
            },
            Field::Length { length, shift, others } => {
                // A longer number is refused.
                let length = length + (usize::from(byte & 0x7f) << shift.min(28));
                if byte & 0x80 != 0 {
                    Field::Length { length, shift: shift + 7, others }
                } else {
                    Field::string(length, others)
                }
            }
            Field::Bytes { left: 1, others } => Field::behind(others),
            Field::Bytes { left, others } => Field::Bytes { left: left - 1, others },
        };
    }

    fn begin(&mut self, byte: u8) -> Field {
        let (prefix, strings, is_field) = match byte {
            0x80.. => (0x7f, 0, true),
            0x40.. => (0x3f, 1, true),
            0x20.. => (0x1f, 0, false),
            _ => (0x0f, 1, true),
        };
        self.fields += usize::from(is_field);
        self.entries += usize::from((0x40..0x80).contains(&byte));
        // A name that is in no table comes as a string.
        let strings = if strings == 1 && byte & prefix == 0 { 2 } else { strings };
        if byte & prefix == prefix { Field::Number { strings } } else { Field::behind(strings) }
    }
}

impl Field {
    fn behind(strings: u8) -> Self {
        strings.checked_sub(1).map_or(Self::InitialLayers, |others| Self::String { others })
    }

    fn string(length: usize, others: u8) -> Self {
        if length == 0 { Self::behind(others) } else { Self::Bytes { left: length, others } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = (payload.len() as u32).to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
    }

    /// A field in neither table.
    fn field(first: u8, name: &str, value: &[u8]) -> Vec<u8> {
        let mut field = vec![first, name.len() as u8];
        field.extend(name.as_bytes());
        match value.len() {
            length @ ..0x7f => field.push(length as u8),
            length => field.extend([0x7f, (length - 0x7f) as u8 & 0x7f | 0x80, ((length - 0x7f) >> 7) as u8]),
        }
        field.extend(value);
        field
    }

    /// What is held after each of some pieces.
    fn held(pieces: &[&[u8]]) -> Vec<usize> {
        let mut meter = Meter::default();
        meter.see(super::super::PREFACE);
        let see = |piece: &&[u8]| {
            meter.see(piece);
            meter.memory()
        };
        pieces.iter().map(see).collect()
    }

    #[test]
    fn fields_are_counted_however_they_are_written_and_cut() {
        let fields = [
            vec![0x82, 0x86, 0x3f, 0xe1, 0x1f],
            field(0x00, "a", b"b"),
            field(0x10, "name", &[b'v'; 1000]),
            field(0x00, "empty", b""),
            // Names of the tables: :path, and one whose number takes two bytes.
            vec![0x04, 1, b'/', 0x0f, 0x2f, 2, b'x', b'y'],
            vec![0xff, 0x00],
        ]
        .concat();
        let block = |flags, payload: &[u8]| frame(HEADERS, flags, payload);
        for stream in [
            block(0, &fields),
            block(PRIORITY, &[&[0; 5][..], &fields].concat()),
            block(PADDED, &[&[7][..], &fields, &[0x82; 7]].concat()),
            block(PADDED | PRIORITY, &[&[7, 0, 0, 0, 0, 0][..], &fields, &[0x82; 7]].concat()),
            [block(0, &fields[..10]), frame(CONTINUATION, 0, &fields[10..])].concat(),
            [frame(4, 0, &[]), frame(6, 0, &[0x82; 8]), block(0, &[]), frame(CONTINUATION, 0, &fields)].concat(),
        ] {
            for size in [1, 2, 7, 100, usize::MAX] {
                let mut meter = Meter::default();
                meter.see(super::super::PREFACE);
                stream.chunks(size.min(stream.len())).for_each(|piece| meter.see(piece));
                assert_eq!(
                    (meter.head.fields, meter.head.bytes, meter.head.entries),
                    (8, fields.len(), 0),
                    "{stream:x?}"
                );
                assert!(matches!(meter.head.at, Field::InitialLayers));
            }
        }
    }

    #[test]
    fn what_is_not_whole_is_held_and_what_is_whole_is_not() {
        let head = [vec![0x82; 3], field(0, "a", &[b'b'; 1000])].concat();
        let (whole, half) = (frame(HEADERS, END_HEADERS, &head), frame(HEADERS, 0, &head));
        assert_eq!(held(&[&whole, &frame(0, 1, &[0; 5000])]), [0, 0]);
        assert_eq!(held(&[&half]), [2 * head.len() + 4 * FIELD]);
        assert_eq!(held(&[&half, &frame(CONTINUATION, END_HEADERS, &[])])[1], 0);
        assert_eq!(held(&[&frame(0, 0, &[0; 9000])[..8009]]), [16_000]);
    }

    #[test]
    fn entries_of_the_table_keep_what_they_came_in_and_push_each_other_out() {
        let asks = |first: u8, junk: usize| {
            let head = [field(first, "a", b"b"), field(0, "c", &vec![b'd'; junk])].concat();
            frame(HEADERS, END_HEADERS, &head)
        };
        assert_eq!(held(&[&asks(0x00, 1000).repeat(200)]), [0]);
        let some = held(&[&asks(0x40, 1000).repeat(100)])[0];
        assert!((100_000..300_000).contains(&some), "{some}");
        let most = held(&[&asks(0x40, 15_000).repeat(100)])[0];
        assert!((100 * BUFFER..110 * BUFFER).contains(&most), "{most}");
        // However many come, only the last of them are there.
        let many = held(&[&asks(0x40, 15_000).repeat(1_000)])[0];
        assert!(many <= 2 * ENTRIES * (BUFFER + ENTRY), "{many}");
    }
}
