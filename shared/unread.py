"""Whether something has come on a connection that expects nothing."""

import asyncio
import select


def has_unread(transport: asyncio.BaseTransport) -> bool:
    """Return whether the system has data, an end or an error for an idle connection.

    The event loop learns of it at its next turn, which may be too late for the next request. Of an
    encrypted connection nothing is said: data may be a ticket for its next session.
    """
    if transport.get_extra_info("ssl_object") is not None:
        return False
    socket = transport.get_extra_info("socket")
    if socket is None or (descriptor := socket.fileno()) < 0:
        return True
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))
