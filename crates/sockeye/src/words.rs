//! What the system says of errors, in words for people.

/// The system's words for an error, without its number.
#[must_use]
pub fn words(error: &impl std::fmt::Display) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}
