//! The fields of an answer, in their order. They lie together as HTTP/1 writes them, so that it sends them at once, and where
//! each begins and ends is known, for HTTP/2.

/// Fields.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldList {
    /// `NAME: VALUE` and a line end, one behind the other.
    lines: Vec<u8>,
    ends: Vec<Ends>,
}

/// Where a name and its value end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ends {
    name: usize,
    value: usize,
}

impl FieldList {
    /// None.
    pub(crate) const fn new() -> Self {
        Self { lines: Vec::new(), ends: Vec::new() }
    }

    /// Adds a field. Its value must be ours, or encoded: a line end in it would begin another field.
    pub(crate) fn add(&mut self, name: &str, value: &[u8]) {
        debug_assert!(!value.iter().any(|byte| b"\r\n\0".contains(byte)));
        self.write(name, |lines| lines.extend_from_slice(value));
    }

    /// A field whose value is written in place.
    pub(crate) fn write(&mut self, name: &str, write: impl FnOnce(&mut Vec<u8>)) {
        self.lines.extend_from_slice(name.as_bytes());
        let name = self.lines.len();
        self.lines.extend_from_slice(b": ");
        write(&mut self.lines);
        self.ends.push(Ends { name, value: self.lines.len() });
        self.lines.extend_from_slice(b"\r\n");
    }

    /// Adds all of some others.
    pub(crate) fn append(&mut self, others: &Self) {
        let begin = self.lines.len();
        self.lines.extend_from_slice(&others.lines);
        self.ends.extend(others.ends.iter().map(|ends| Ends { name: begin + ends.name, value: begin + ends.value }));
    }

    /// Starts again.
    pub(crate) fn clear(&mut self) {
        self.lines.clear();
        self.ends.clear();
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// As lines of HTTP/1.
    pub(crate) fn lines(&self) -> &[u8] {
        &self.lines
    }

    /// Each name and value.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let begins = std::iter::once(0).chain(self.ends.iter().map(|ends| ends.value + 2));
        begins
            .zip(&self.ends)
            .map(|(begin, ends)| (&self.lines[begin..ends.name], &self.lines[ends.name + 2..ends.value]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_back_as_they_were_added_and_as_lines() {
        let mut others = FieldList::default();
        others.add("X", b"");
        let mut fields = FieldList::default();
        fields.add("gone", b"x");
        fields.clear();
        fields.add("A", b"b: c");
        fields.append(&others);
        fields.write("D", |out| out.extend_from_slice(b"e"));
        let found: Vec<(&[u8], &[u8])> = fields.iter().collect();
        assert_eq!(found, [(&b"A"[..], &b"b: c"[..]), (b"X", b""), (b"D", b"e")]);
        assert_eq!((fields.lines(), fields.len()), (&b"A: b: c\r\nX: \r\nD: e\r\n"[..], 3));
    }
}
