//! The numbers of capture files (draft-ietf-opsawg-pcapng), for what writes them and for what reads them.

/// Types of blocks.
pub(crate) const SECTION: u32 = 0x0a0d_0d0a;
pub(crate) const INTERFACE: u32 = 1;
/// The older kind of packets.
pub(crate) const OLDER_PACKET: u32 = 2;
pub(crate) const SIMPLE_PACKET: u32 = 3;
pub(crate) const PACKET: u32 = 6;
pub(crate) const SECRETS: u32 = 10;

/// A number in each section, by which the order of bytes is known.
pub(crate) const BYTE_ORDER: u32 = 0x1a2b_3c4d;

/// Options of an interface.
pub(crate) const END_OF_OPTIONS: u16 = 0;
pub(crate) const NAME: u16 = 2;
pub(crate) const TIME_RESOLUTION: u16 = 9;
pub(crate) const TIME_OFFSET: u16 = 14;

/// Secrets as a TLS key log has them.
pub(crate) const TLS_KEY_LOG: u32 = 0x544c_534b;
