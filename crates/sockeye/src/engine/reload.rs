//! Transcripts that are read again while the server runs.

use std::sync::Arc;

use super::Loop;
use super::origin::Origin;
use super::workers::Message;
use crate::event::Event;

impl Loop {
    /// New conversations get the new behaviours; those that are open go on with the old ones.
    pub(super) fn load_again(&mut self) {
        if self.reload.as_ref().is_none_or(|reload| self.asked(&reload.asked) == 0) {
            return;
        }
        let Some(reload) = &mut self.reload else { return };
        let notice = match (reload.load)() {
            Ok((behaviours, notice)) => {
                for (behaviour, &(datagrams, index)) in behaviours.into_iter().zip(&self.order) {
                    if datagrams {
                        Arc::make_mut(&mut self.datagrams[index].origin).behaviour = behaviour;
                    } else {
                        self.origins[index].behaviour = behaviour;
                    }
                }
                if let Some(member) = &self.member {
                    let copies = || self.origins.iter().map(Origin::for_another_thread).collect();
                    member.workers.write_all(|| Message::Origins(copies()));
                }
                notice
            }
            Err(why) => format!("not read again, the old one stays: {why}"),
        };
        self.resources.observer.observe(Event::Notice(notice));
    }
}
