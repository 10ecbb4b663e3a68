//! The names of faults: what programs tell them apart by. A name never changes.

use super::Fault;

/// What kind of fault it is, without its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FaultKind {
    /// See [`Fault::Differs`].
    Differs,
    /// See [`Fault::NothingCame`].
    NothingCame,
    /// See [`Fault::Forbidden`].
    Forbidden,
    /// See [`Fault::NoSuchValue`].
    NoSuchValue,
    /// See [`Fault::NotAPort`].
    NotAPort,
    /// See [`Fault::ClosedEarly`].
    ClosedEarly,
    /// See [`Fault::Reset`].
    Reset,
    /// See [`Fault::TooLong`].
    TooLong,
    /// See [`Fault::UnexpectedData`].
    UnexpectedData,
    /// See [`Fault::WrongEnding`].
    WrongEnding,
    /// See [`Fault::Misheard`].
    Misheard,
    /// See [`Fault::BrokenLine`].
    BrokenLine,
    /// See [`Fault::TooMuch`].
    TooMuch,
    /// See [`Fault::NotEncoded`].
    NotEncoded,
    /// See [`Fault::NoFit`].
    NoFit,
    /// See [`Fault::NotACount`].
    NotACount,
    /// See [`Fault::ValuesTooLarge`].
    ValuesTooLarge,
    /// See [`Fault::MessageTooLarge`].
    MessageTooLarge,
    /// See [`Fault::WrongLength`].
    WrongLength,
    /// See [`Fault::FileShrank`].
    FileShrank,
    /// See [`Fault::ClearBytes`].
    ClearBytes,
    /// See [`Fault::Tls`].
    Tls,
    /// See [`Fault::TlsGoesOn`].
    TlsGoesOn,
    /// See [`Fault::Untrusted`].
    Untrusted,
}

impl FaultKind {
    /// All of them.
    pub const ALL: [Self; 24] = [
        Self::Differs,
        Self::NothingCame,
        Self::Forbidden,
        Self::NoSuchValue,
        Self::NotAPort,
        Self::ClosedEarly,
        Self::Reset,
        Self::TooLong,
        Self::UnexpectedData,
        Self::WrongEnding,
        Self::Misheard,
        Self::BrokenLine,
        Self::TooMuch,
        Self::NotEncoded,
        Self::NoFit,
        Self::NotACount,
        Self::ValuesTooLarge,
        Self::MessageTooLarge,
        Self::WrongLength,
        Self::FileShrank,
        Self::ClearBytes,
        Self::Tls,
        Self::TlsGoesOn,
        Self::Untrusted,
    ];

    /// The name for programs: `differs`, `nothing_came`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Differs => "differs",
            Self::NothingCame => "nothing_came",
            Self::Forbidden => "forbidden",
            Self::NoSuchValue => "no_such_value",
            Self::NotAPort => "not_a_port",
            Self::ClosedEarly => "closed_early",
            Self::Reset => "reset",
            Self::TooLong => "too_long",
            Self::UnexpectedData => "unexpected_data",
            Self::WrongEnding => "wrong_ending",
            Self::Misheard => "misheard",
            Self::BrokenLine => "broken_line",
            Self::TooMuch => "too_much",
            Self::NotEncoded => "not_encoded",
            Self::NoFit => "no_fit",
            Self::NotACount => "not_a_count",
            Self::ValuesTooLarge => "values_too_large",
            Self::MessageTooLarge => "message_too_large",
            Self::WrongLength => "wrong_length",
            Self::FileShrank => "file_shrank",
            Self::ClearBytes => "clear_bytes",
            Self::Tls => "tls",
            Self::TlsGoesOn => "tls_goes_on",
            Self::Untrusted => "untrusted",
        }
    }
}

impl Fault {
    /// What kind of fault it is.
    #[must_use]
    pub fn kind(&self) -> FaultKind {
        match self {
            Self::Differs => FaultKind::Differs,
            Self::NothingCame { .. } => FaultKind::NothingCame,
            Self::Forbidden => FaultKind::Forbidden,
            Self::NoSuchValue => FaultKind::NoSuchValue,
            Self::NotAPort => FaultKind::NotAPort,
            Self::ClosedEarly => FaultKind::ClosedEarly,
            Self::Reset => FaultKind::Reset,
            Self::TooLong { .. } => FaultKind::TooLong,
            Self::UnexpectedData => FaultKind::UnexpectedData,
            Self::WrongEnding => FaultKind::WrongEnding,
            Self::Misheard { .. } => FaultKind::Misheard,
            Self::BrokenLine => FaultKind::BrokenLine,
            Self::TooMuch { .. } => FaultKind::TooMuch,
            Self::NotEncoded => FaultKind::NotEncoded,
            Self::NoFit => FaultKind::NoFit,
            Self::NotACount => FaultKind::NotACount,
            Self::ValuesTooLarge { .. } => FaultKind::ValuesTooLarge,
            Self::MessageTooLarge { .. } => FaultKind::MessageTooLarge,
            Self::WrongLength => FaultKind::WrongLength,
            Self::FileShrank => FaultKind::FileShrank,
            Self::ClearBytes => FaultKind::ClearBytes,
            Self::Tls => FaultKind::Tls,
            Self::TlsGoesOn => FaultKind::TlsGoesOn,
            Self::Untrusted => FaultKind::Untrusted,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_kind_has_a_name_of_its_own_in_snake_case() {
        let names: BTreeSet<_> = FaultKind::ALL.iter().map(|kind| kind.name()).collect();
        assert_eq!(names.len(), FaultKind::ALL.len());
        assert!(names.iter().all(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '_')), "{names:?}");
    }
}
