//! Values that nobody is to see: neither a record nor the account of a failure shows them.

/// A value that is not to be written down: its name stands for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// The name of its hole.
    pub name: String,
    /// The value. An empty one hides nothing.
    pub value: Vec<u8>,
}
