//! Sockets: binding and connecting them. It never reads or writes a conversation.
