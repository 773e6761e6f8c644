"""A short campaign on every run of the tests; `make fuzz` holds a long one."""

import secrets

import trio

from tests.fuzz.campaign import run
from tests.fuzz.exchanges import exchange
from tests.fuzz.state import differences, look

EXCHANGES = 1_500


def test_an_exchange_is_the_same_bytes_every_time():
    assert all(exchange("a", number) == exchange("a", number) for number in range(200))
    assert exchange("a", 1) != exchange("b", 1)


def test_no_raw_exchange_stops_a_service_or_leaves_anything_behind(own_stack):
    stack, seed = own_stack, secrets.token_hex(4)
    for service in (stack.engine, stack.gateway):
        service.start()
    for service in (stack.engine, stack.gateway):
        service.wait_ready()
    before = look(stack)
    addresses = [("127.0.0.1", stack.gateway.port), ("127.0.0.1", stack.engine.port)]
    found = trio.run(lambda: run(addresses, seed=seed, numbers=range(EXCHANGES), at_once=16))
    assert found.wrong == [], f"python -m tests.fuzz --seed {seed} --exchanges {EXCHANGES}"
    assert found.statuses[200] > 0
    assert found.statuses[400] > 0
    assert differences(stack, before) == [], f"python -m tests.fuzz --seed {seed} --exchanges {EXCHANGES}"
    assert (stack.gateway.stop(), stack.engine.stop()) == (0, 0)
