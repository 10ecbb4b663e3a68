//! Tokens (RFC 9110, section 5.6.2).

/// Whether text is a token (RFC 9110, section 5.6.2), as methods and the names of fields are.
pub(crate) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|&byte| is_of_token(byte))
}

/// Whether a byte may stand in a token.
pub(crate) fn is_of_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
