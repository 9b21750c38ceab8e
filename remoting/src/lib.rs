//! Sockets that speak the protocol: server, connection, client.
