//! Interfaces of this network namespace. What /sys shows may be another namespace's: it is that of the process that mounted it.

use rustix::net::{AddressFamily, SocketFlags, SocketType, netdevice, socket_with};

/// The number of an interface (netdevice(7), `SIOCGIFINDEX`), if there is one of that name.
pub(crate) fn number(name: &str) -> Option<u32> {
    let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None).ok()?;
    netdevice::name_to_index(socket, name).ok()
}
