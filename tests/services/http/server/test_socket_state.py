import select

import pytest
import trio

from services.http.server.socket_state import descriptor_of, has_hung_up, has_unread, poll_events, wait_readable


@pytest.mark.trio
async def test_bytes_are_unread_until_they_are_read_and_not_once_the_peer_or_the_socket_is_gone() -> None:
    ours, theirs = trio.socket.socketpair()
    with ours, theirs:
        assert not has_unread(ours)
        await theirs.send(b"x")
        await wait_readable(ours)
        assert has_unread(ours)
        await ours.recv(1)
        assert not has_unread(ours)
        assert not has_hung_up(ours)
        theirs.close()
        assert not has_unread(ours)
        assert has_hung_up(ours)
        assert descriptor_of(ours) == ours.fileno()
        ours.close()
        assert descriptor_of(ours) is None
        assert not has_unread(ours)
        assert has_hung_up(ours)
        assert poll_events(ours, select.POLLIN) == 0


@pytest.mark.trio
async def test_a_peer_that_has_ended_its_side_has_hung_up_before_its_bytes_are_read() -> None:
    ours, theirs = trio.socket.socketpair()
    with ours, theirs:
        await theirs.send(b"x")
        assert not has_hung_up(ours)
        theirs.shutdown(trio.socket.SHUT_WR)
        assert has_hung_up(ours)


class OwnSocket(trio.socket.SocketType):
    """A socket of another network."""

    def __init__(self) -> None:
        super().__init__()
        self.events = 0
        self.waited = 0

    def fileno(self) -> int:
        return 10**6

    def poll_events(self, mask: int) -> int:
        return self.events & mask

    async def wait_readable(self) -> None:
        self.waited += 1


@pytest.mark.trio
async def test_a_socket_of_another_network_answers_for_itself() -> None:
    own = OwnSocket()
    assert descriptor_of(own) is None
    assert not has_unread(own)
    own.events = select.POLLIN
    assert has_unread(own)
    own.events |= select.POLLHUP
    assert has_hung_up(own)
    await wait_readable(own)
    assert own.waited == 1
