"""HTTP on one connection, without sockets."""
