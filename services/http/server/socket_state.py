"""State of a connected socket: unread bytes, and whether its peer has left."""

import select

import trio

__all__ = ["descriptor_of", "has_hung_up", "has_unread", "poll_events", "wait_readable"]

# Only Linux reports that a peer has shut down its sending side.
_PEER_HAS_ENDED = getattr(select, "POLLRDHUP", 0)


def poll_events(one: trio.socket.SocketType, mask: int) -> int:
    """Return the events of a socket as poll(2) reports them without waiting; 0 where it is closed.

    Args:
        one: the socket; one of another network (`trio.socket.set_custom_socket_factory`) reports its own.
        mask: the events to ask for.
    """
    own = getattr(one, "poll_events", None)
    if own is not None:
        return int(own(mask))
    if one.fileno() < 0:
        return 0
    poll = select.poll()
    poll.register(one.fileno(), mask)
    return next((events for _, events in poll.poll(0)), 0)


def descriptor_of(one: trio.socket.SocketType) -> int | None:
    """Return the descriptor of a socket; None where it is closed, or of another network than that of the kernel."""
    if hasattr(one, "poll_events"):
        return None
    descriptor = one.fileno()
    return None if descriptor < 0 else descriptor


async def wait_readable(one: trio.socket.SocketType) -> None:
    """Wait until a socket has unread bytes or has ended.

    Raises:
        trio.ClosedResourceError: it is closed meanwhile.
        OSError: it is closed.
    """
    own = getattr(one, "wait_readable", None)
    if own is None:
        await trio.lowlevel.wait_readable(one)
    else:
        await own()


def has_unread(one: trio.socket.SocketType) -> bool:
    """Return whether a socket has unread bytes and its peer may send more; False where it is closed."""
    return poll_events(one, select.POLLIN | _PEER_HAS_ENDED) == select.POLLIN


def has_hung_up(one: trio.socket.SocketType) -> bool:
    """Return whether a socket is closed, or its peer has ended its side, also where bytes before that are unread."""
    if one.fileno() < 0:
        return True
    hung_up = select.POLLHUP | select.POLLERR | _PEER_HAS_ENDED
    return bool(poll_events(one, hung_up) & hung_up)
