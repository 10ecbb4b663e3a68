//! Where a play goes over to TLS, and back.

use super::step::{Ending, Next};
use super::walk::{Stop, Walk};
use super::{Play, Watch};
use crate::program::{Op, Pc};
use crate::script::Script;
use crate::syntax::Tls;
use crate::values::Scratch;
use crate::verdict::Fault;

impl Play {
    /// What is to be spoken inside the TLS that [`Next::StartTls`] asks for, the most wanted first (ALPN, RFC 7301); none: nobody
    /// asks.
    #[must_use]
    pub fn alpn<'s>(&self, script: &'s Script) -> &'s [String] {
        match script.program.ops.get(self.pc.wrapping_sub(1)) {
            Some(Op::Tls(Tls::Start { alpn })) => alpn,
            _ => &[],
        }
    }

    /// What [`Next::StartTls`] or [`Next::StopTls`] asked for failed, or TLS broke later: how the play ends.
    #[must_use]
    pub fn tls_failed(&mut self, script: &Script, fault: Fault, why: &str, scratch: &mut Scratch) -> Ending {
        self.load_values(script, scratch);
        // The account stands at the line that asked for it; a certificate may be refused after the handshake.
        if matches!(script.program.ops.get(self.pc.wrapping_sub(1)), Some(Op::Tls(_))) {
            self.pc -= 1;
        }
        let mut verdict = self.verdict(script, fault, &[], scratch);
        why.clone_into(&mut verdict.name);
        self.row = scratch.row.take();
        Ending::Failed(Box::new(verdict))
    }
}

impl<W: Watch> Walk<'_, W> {
    /// Goes over to TLS, or back. What was said in clear behind the line that asked for it must not be taken for what is said
    /// inside (CVE-2011-0411), and the other way round.
    #[cold]
    #[inline(never)]
    pub(super) fn go_over_tls(&mut self, play: &mut Play, begins: bool) -> Result<Pc, Stop> {
        self.owes_ending = false;
        self.skip_late_ending(play);
        let bit = 1 << play.connection().unwrap_or_default();
        let is_inside = play.under_tls & bit != 0;
        let (fault, name) = match (self.rest().is_empty(), begins) {
            (true, _) if is_inside != begins => {
                play.under_tls ^= bit;
                play.pc += 1;
                return Err(Stop::Next(if begins { Next::StartTls } else { Next::StopTls }));
            }
            (true, true) => (Fault::Tls, "it has begun before, and has not ended".to_owned()),
            (true, false) => (Fault::TlsGoesOn, "it has not begun".to_owned()),
            (false, true) => (Fault::ClearBytes, String::new()),
            (false, false) => {
                let side = self.script.side.other();
                (Fault::TlsGoesOn, format!("the {side} said more inside it"))
            }
        };
        let received = self.rest().to_vec();
        let mut verdict = self.account(play, fault, &received);
        if !name.is_empty() {
            verdict.name = name;
        }
        Err(Stop::failed(verdict))
    }
}
