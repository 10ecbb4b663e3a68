//! What comes is read and thrown away (RFC 863).

use super::super::super::Context;
use super::super::{Channel, Fate};

impl Channel {
    pub(in crate::engine) fn discard(&mut self, context: &Context<'_>) -> Fate {
        self.rest_until(context);
        Fate::Lives
    }
}
