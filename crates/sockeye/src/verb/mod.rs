//! One file a verb. Verbs do not know each other.
