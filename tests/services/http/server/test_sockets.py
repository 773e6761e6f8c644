import socket

import pytest

from services.http.server.sockets import AddressUnusable, listen, reset_connections, url_of


def test_a_free_port_is_found_and_accepts():
    (one,) = listen("127.0.0.1", 0)
    with one:
        socket.create_connection(one.getsockname()).close()
        assert url_of(one) == f"http://127.0.0.1:{one.getsockname()[1]}"


def test_all_addresses_of_a_name_share_one_port():
    opened = listen("localhost", 0)
    assert len({one.getsockname()[1] for one in opened}) == 1
    for one in opened:
        one.close()


def test_a_port_in_use_is_distinguished_from_other_errors():
    (taken,) = listen("127.0.0.1", 0)
    with taken:
        port = taken.getsockname()[1]
        with pytest.raises(AddressUnusable, match=f"Port {port} of 127.0.0.1 is in use") as caught:
            listen("127.0.0.1", port)
        assert caught.value.in_use
    with pytest.raises(AddressUnusable) as caught:
        listen("no-such-host.invalid", 0)
    assert not caught.value.in_use


def test_everywhere_is_shown_as_an_address_that_can_be_reached():
    (one,) = listen("0.0.0.0", 0)
    with one:
        assert url_of(one).startswith("http://127.0.0.1:")


def test_severing_cuts_the_connections_of_a_port_and_no_others():
    (ours,), (others,) = listen("127.0.0.1", 0), listen("127.0.0.1", 0)
    with ours, others:
        pairs = []
        for one in (ours, others):
            one.setblocking(True)
            pairs.append((socket.create_connection(one.getsockname()), one.accept()[0]))
        reset_connections({ours.getsockname()[1]})
        (cut, cut_here), (kept, kept_here) = pairs
        assert cut.recv(1) == b""
        with pytest.raises(BrokenPipeError):
            cut_here.sendall(b"x")
        kept_here.sendall(b"x")
        assert kept.recv(1) == b"x"
        for one in (cut, cut_here, kept, kept_here):
            one.close()
