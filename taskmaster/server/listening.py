"""The listening socket."""

import socket

BACKLOG = 1024
# A client that vanished without a word while it waits is noticed after two minutes; the system's default is two hours.
KEEP_ALIVE = {socket.TCP_KEEPIDLE: 60, socket.TCP_KEEPINTVL: 15, socket.TCP_KEEPCNT: 4}


def bind(host: str, port: int, *, reuse_port: bool) -> socket.socket:
    """A socket that listens on the port, shared with other processes if they all say `reuse_port`.

    SystemExit with one line if it cannot be had.
    """
    try:
        return _listen(host, port, reuse_port)
    except OSError as problem:
        raise SystemExit(f"Cannot listen on {host}:{port}: {problem.strerror or problem}") from None


def _listen(host: str, port: int, reuse_port: bool) -> socket.socket:
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        _keep_alive(listener)
        listener.setblocking(False)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _keep_alive(listener: socket.socket) -> None:
    """Accepted sockets inherit this from the listening one."""
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in KEEP_ALIVE.items():
        listener.setsockopt(socket.IPPROTO_TCP, option, value)
