//! Blocks whose end has not been read yet.

use super::{Branch, Case, Statement, Template};
use crate::diagnostic::Span;

/// A block that is still open.
pub(super) struct Open {
    pub(super) place: Span,
    pub(super) kind: Block,
    /// The statements around it, up to the block.
    pub(super) outside: Vec<Statement>,
}

pub(super) enum Block {
    Repeat(Option<u32>),
    Either {
        done: Vec<Branch>,
        current: Span,
    },
    AnyOrder,
    Together,
    Maybe,
    Aside,
    /// The body of the last branch is what is read.
    Choose {
        name: Template,
        done: Vec<Case>,
    },
    /// A block whose head was wrong: its lines are read, for their mistakes, and dropped.
    Broken,
}
