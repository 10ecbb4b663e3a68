//! How a loop is made: over bound sockets, with the other loops that it has beside it; and one without a socket, for whoever
//! adds channels of its own.

use std::io;
use std::time::Instant;

use super::acceptor::Acceptor;
use super::announced::Announced;
use super::context::LoopResources;
use super::datagram::DatagramServer;
use super::exec::Leftovers;
use super::groups::Groups;
use super::guard::Guard;
use super::origin::Origin;
use super::programs::Programs;
use super::reactor::poller::{Interest, Poller};
use super::reactor::slab::Slab;
use super::reactor::timers::Timers;
use super::reactor::token::Token;
use super::{Bounds, Listening, Loop, Reload, Storage};
use crate::event::{Name, Observer, Protocol};
use crate::stop::Stop;
use crate::sys::datagrams::Inbox;
use crate::sys::memory;

impl Loop {
    /// A loop over bound sockets and what each does.
    ///
    /// # Errors
    /// As `epoll_create1(2)` and `epoll_ctl(2)`.
    pub(crate) fn new(
        sockets: Vec<Listening>,
        bounds: Bounds,
        stop: Stop,
        reload: Option<Reload>,
        observer: Box<dyn Observer>,
    ) -> io::Result<Self> {
        let poller = Poller::new()?;
        poller.add(&stop, Token::Stop, Interest::Read)?;
        if let Some(reload) = &reload {
            poller.add(&reload.asked, Token::Reload, Interest::Read)?;
        }
        let own_ports: Vec<u16> = sockets
            .iter()
            .filter_map(|Listening { socket, .. }| match &socket.endpoint.name {
                Name::Inet(address) if socket.endpoint.protocol == Protocol::Udp => Some(address.port()),
                _ => None,
            })
            .collect();
        let mut own = Self::idle(poller, bounds, observer, Instant::now());
        for Listening { socket, behaviour, layers } in sockets {
            if socket.endpoint.protocol.has_no_end() && !socket.has_one_client() {
                own.poller.add(&socket.fd, Token::Datagrams(own.datagrams.len() as u32), Interest::Read)?;
                own.order.push((true, own.datagrams.len()));
                let guard = || Guard::new(own.bounds.budget, own_ports.clone());
                let runs_programs = behaviour.program().is_some();
                let mut server = DatagramServer::new(socket, behaviour, guard(), own.bounds.is_judged());
                if runs_programs {
                    server.programs = Some(Box::new(Programs::new(&server.socket, guard(), server.unix_peers())?));
                }
                own.datagrams.push(server);
            } else {
                own.poller.add(&socket.fd, Token::Listener(own.listeners.len() as u32), Interest::Read)?;
                own.order.push((false, own.listeners.len()));
                own.origins.push(Origin::listener(socket.endpoint.clone(), behaviour, layers));
                own.listeners.push(socket);
            }
        }
        for server in &mut own.datagrams {
            if let Some(programs) = &mut server.programs {
                programs.origin = own.origins.len();
                own.origins.push(Origin::clone(&server.origin));
            }
        }
        let is_one_of_several = own.bounds.threads > 1 && !own.listeners.is_empty();
        if is_one_of_several {
            memory::share_one_heap();
        }
        let storage = Self::storage_for(&own.origins)?;
        own.take_storage(storage)?;
        own.inbox = own.datagrams.iter().any(DatagramServer::is_inet).then(Inbox::new);
        (own.stop, own.reload) = (Some(stop), reload);
        if is_one_of_several {
            own.spawn_workers();
        }
        Ok(own)
    }

    /// A loop that has no socket yet.
    pub(super) fn idle(poller: Poller, bounds: Bounds, observer: Box<dyn Observer>, began: Instant) -> Self {
        Self {
            poller,
            listeners: Vec::new(),
            origins: Vec::new(),
            member: None,
            threads: Vec::new(),
            datagrams: Vec::new(),
            channels: Slab::new(),
            memory: 0,
            timers: Timers::default(),
            bounds,
            stop: None,
            reload: None,
            order: Vec::new(),
            resources: LoopResources::new(observer),
            inbox: None,
            began,
            has_sites: false,
            storage: None,
            broken: None,
            alone: None,
            acceptor: Acceptor::default(),
            announced: Announced::default(),
            groups: Groups::default(),
            leftovers: Leftovers::default(),
            has_hurried: false,
            end_by: None,
        }
    }

    /// Who does for sites what takes long.
    pub(super) fn storage_for(origins: &[Origin]) -> io::Result<Option<Storage>> {
        let mut sites = origins.iter().filter_map(|origin| origin.behaviour.site()).peekable();
        match sites.peek().is_some() {
            true if sites.any(|site| site.takes_files()) => Storage::new().map(Some),
            // Without it, what takes long holds the others up, and is answered all the same.
            true => Ok(Storage::new().ok()),
            false => Ok(None),
        }
    }

    /// Begins to hear of what is done.
    pub(super) fn take_storage(&mut self, storage: Option<Storage>) -> io::Result<()> {
        self.has_sites = self.origins.iter().any(|origin| origin.behaviour.site().is_some());
        if let Some(storage) = &storage {
            self.poller.add(storage, Token::Stored, Interest::Read)?;
        }
        self.storage = storage;
        Ok(())
    }
}
