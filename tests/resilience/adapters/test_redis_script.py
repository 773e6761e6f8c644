"""The script of shared circuits: one contract for Redis and for its model, and clients that run it."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator

import anyio
import pytest

from cqox.resilience.adapters.redis_script import SCRIPT, Answer, ThreadedRedis, answer_of
from tests.resilience.adapters.redis_model import RedisModel
from tests.servers.redis import Redis

_names = itertools.count()


class Circuit:
    """The record of one circuit, in Redis or in the model."""

    def __init__(self, run: Callable[..., object], wait: Callable[[float], None], forget: Callable[[], object]) -> None:
        self._run = run
        self.wait = wait
        self.forget = forget

    def ask(self, operation: str, *arguments: object) -> Answer:
        class Client:
            async def eval(_, script: str, numkeys: int, /, *keys_and_args: str) -> object:
                return self._run(*keys_and_args[numkeys:])

        return anyio.run(answer_of, Client(), ("k", "l"), operation, *map(str, arguments))

    def opened(self, left: int = 0) -> int:
        """Open it; return the generation."""
        answer = self.ask("open", self.ask("read", 0).generation, left)
        assert answer.granted
        return answer.generation


@pytest.fixture(params=["model", "server"])
def circuit(request: pytest.FixtureRequest) -> Iterator[Circuit]:
    if request.param == "model":
        clock = [1_764_000_000.0]
        model = RedisModel(lambda: clock[0])

        def advance(seconds: float) -> None:
            clock[0] += seconds

        yield Circuit(model.run, advance, model.lose_data)
        return
    server: Redis = request.getfixturevalue("server")
    keys = [f"{{test{next(_names)}}}:{name}" for name in ("circuit", "probes")]
    with server.client() as client:
        yield Circuit(lambda *arguments: client.eval(SCRIPT, 2, *keys, *arguments), time.sleep, client.flushall)


def test_an_unknown_circuit_is_closed_in_generation_0(circuit: Circuit) -> None:
    assert circuit.ask("read", 0) == Answer(granted=False, generation=0, probe_in=None, wait=0.0)


def test_an_opening_is_a_new_generation_with_the_time_of_the_next_probe(circuit: Circuit) -> None:
    answer = circuit.ask("open", 0, 60_000)
    assert answer.granted
    assert answer.generation > 1_700_000_000_000
    assert answer.probe_in == pytest.approx(60.0, abs=0.001)
    read = circuit.ask("read", answer.generation)
    assert (read.granted, read.generation) == (False, answer.generation)
    assert read.probe_in == pytest.approx(60.0, abs=5.0)
    assert circuit.ask("open", answer.generation, 0).generation > answer.generation


def test_an_operation_of_another_generation_changes_nothing(circuit: Circuit) -> None:
    generation = circuit.opened()
    before = circuit.ask("read", 0)
    for expected in (0, generation - 1, generation + 1):
        for operation in (["open", expected, 5], ["close", expected], ["acquire", expected, "t", 60_000, 1]):
            assert circuit.ask(*map(str, operation)) == before
    assert circuit.ask("acquire", generation, "t", 60_000, 1).granted
    for verdict in ("success", "failure", "release"):
        assert circuit.ask("conclude", generation - 1, "t", verdict, 1, 0) == before
    assert not circuit.ask("acquire", generation, "u", 60_000, 1).granted


def test_no_probe_is_permitted_before_its_time(circuit: Circuit) -> None:
    generation = circuit.opened(60_000)
    answer = circuit.ask("acquire", generation, "t", 60_000, 1)
    assert not answer.granted
    assert answer.probe_in == pytest.approx(60.0, abs=5.0)
    closed = circuit.ask("close", generation)
    assert not circuit.ask("acquire", closed.generation, "t", 60_000, 1).granted


def test_as_many_probes_are_permitted_as_there_are_permits(circuit: Circuit) -> None:
    generation = circuit.opened()
    assert circuit.ask("acquire", generation, "a", 60_000, 2).granted
    assert circuit.ask("acquire", generation, "b", 30_000, 2).granted
    refused = circuit.ask("acquire", generation, "c", 60_000, 2)
    assert not refused.granted
    assert refused.wait == pytest.approx(30.0, abs=5.0)
    assert circuit.ask("conclude", generation, "a", "release", 2, 0).granted
    assert circuit.ask("acquire", generation, "c", 60_000, 2).granted


def test_a_lease_that_has_expired_is_free_and_concludes_nothing(circuit: Circuit) -> None:
    generation = circuit.opened()
    assert circuit.ask("acquire", generation, "late", 1, 1).granted
    circuit.wait(0.02)
    for verdict in ("failure", "success"):
        answer = circuit.ask("conclude", generation, "late", verdict, 1, 60_000)
        assert (answer.granted, answer.generation, answer.probe_in) == (False, generation, 0.0)
    assert circuit.ask("acquire", generation, "late again", 1, 1).granted
    circuit.wait(0.02)
    assert circuit.ask("acquire", generation, "next", 60_000, 1).granted


def test_successes_of_all_permits_close_it(circuit: Circuit) -> None:
    generation = circuit.opened()
    for token in ("a", "b"):
        assert circuit.ask("acquire", generation, token, 60_000, 2).granted
    first = circuit.ask("conclude", generation, "a", "success", 2, 0)
    assert (first.granted, first.generation, first.probe_in) == (True, generation, 0.0)
    assert not circuit.ask("conclude", generation, "a", "success", 2, 0).granted  # a repeated message counts once
    second = circuit.ask("conclude", generation, "b", "success", 2, 0)
    assert (second.granted, second.probe_in) == (True, None)
    assert second.generation > generation


def test_one_failure_opens_it_again_and_ends_all_permits(circuit: Circuit) -> None:
    generation = circuit.opened()
    for token in ("a", "b"):
        assert circuit.ask("acquire", generation, token, 60_000, 2).granted
    failed = circuit.ask("conclude", generation, "a", "failure", 2, 30_000)
    assert failed.granted
    assert failed.generation > generation
    assert failed.probe_in == pytest.approx(30.0, abs=0.001)
    stale = circuit.ask("conclude", generation, "b", "success", 1, 0)
    assert (stale.granted, stale.generation) == (False, failed.generation)


def test_closing_a_closed_circuit_is_no_transition(circuit: Circuit) -> None:
    assert circuit.ask("close", 0) == Answer(granted=True, generation=0, probe_in=None, wait=0.0)


def test_a_generation_is_not_used_again_after_a_loss_of_data(circuit: Circuit) -> None:
    before = circuit.opened()
    circuit.wait(0.02)
    circuit.forget()
    assert circuit.ask("read", before).generation == 0
    assert circuit.opened() > before


class Blocking:
    """A client that blocks its thread until it may answer."""

    def __init__(self) -> None:
        self.may_answer = threading.Event()
        self.ended = threading.Event()

    def eval(self, script: str, numkeys: int, /, *keys_and_args: str) -> object:
        assert self.may_answer.wait(30)
        self.ended.set()
        return [1, b"5", b"250", b"0"]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_blocking_client_answers_from_a_thread(backend: str) -> None:
    client = Blocking()
    client.may_answer.set()
    answer = anyio.run(answer_of, ThreadedRedis(client), ("k", "l"), "read", "0", backend=backend)
    assert answer == Answer(granted=True, generation=5, probe_in=0.25, wait=0.0)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_cancelled_call_is_abandoned_and_its_thread_ends_later(backend: str) -> None:
    client = Blocking()
    redis = ThreadedRedis(client, threads=1)

    async def main() -> None:
        for _ in range(2):  # the second one waits for the thread of the first
            with anyio.move_on_after(0.01) as scope:
                await redis.eval(SCRIPT, 0)
            assert scope.cancelled_caught
        assert not client.ended.is_set()
        client.may_answer.set()
        assert await redis.eval(SCRIPT, 0) == [1, b"5", b"250", b"0"]

    anyio.run(main, backend=backend)


def test_a_client_that_blocks_the_loop_is_refused() -> None:
    client = Blocking()
    client.may_answer.set()
    with pytest.raises(TypeError, match="put it into ThreadedRedis"):
        anyio.run(answer_of, client, ("k", "l"), "read", "0")


class Asynchronous:
    async def eval(self, script: str, numkeys: int, /, *keys_and_args: str) -> object:
        raise AssertionError("it is never awaited")


def test_an_asynchronous_client_is_refused_in_threads() -> None:
    with pytest.raises(TypeError, match="without ThreadedRedis"):
        anyio.run(answer_of, ThreadedRedis(Asynchronous()), ("k", "l"), "read", "0")


def test_one_client_in_threads_serves_event_loops_of_either_kind() -> None:
    client = Blocking()
    client.may_answer.set()
    redis = ThreadedRedis(client)
    for backend in ("trio", "asyncio", "trio"):
        assert anyio.run(answer_of, redis, ("k", "l"), "read", "0", backend=backend).granted
