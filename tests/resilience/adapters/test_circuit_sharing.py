"""The exchange of one circuit: where it runs, and its permits. `test_redis_circuit` has the scenarios."""

import anyio

from cqox.resilience import CircuitOpened
from cqox.resilience.adapters.circuit_sharing import CircuitSharing, Sharing, Ticket, Verdict
from cqox.resilience.adapters.shared_circuit import SharedCircuit
from cqox.resilience.circuit.settings import CircuitSettings
from cqox.resilience.circuit.state import Closed, Phase
from cqox.resilience.runtime.clock import bind_clock
from cqox.resilience.testing import capture_events
from tests.resilience.adapters.redis_model import RedisModel
from tests.resilience.conftest import Run


def sharing_with(redis: RedisModel) -> CircuitSharing:
    circuit = SharedCircuit("engine", CircuitSettings(recovery_timeout=5.0), bind_clock("engine", None))
    return CircuitSharing(circuit, redis, "engine", timeout=0.25, refresh=1.0)


def test_permits_are_tickets_of_a_generation_and_come_back(run: Run) -> None:
    async def main() -> None:
        redis = RedisModel()
        sharing = sharing_with(redis)
        assert (sharing.status, sharing.home, sharing.is_here) == (Sharing.LOCAL, None, False)
        async with anyio.create_task_group() as group:
            await group.start(sharing.run)
            assert (sharing.status, sharing.is_here) == (Sharing.SHARED, True)
            sharing._circuit.adopt(anyio.current_time(), probe_in=0.0)
            await anyio.sleep(0.1)
            ticket = await sharing.acquire(3.0)
            assert isinstance(ticket, Ticket)
            assert ticket.generation == redis.generation == sharing.generation
            refused = await sharing.acquire(3.0)
            assert isinstance(refused, float)
            assert 2.9 < refused <= 3.0
            assert 0.9 < sharing.refused_for(anyio.current_time()) <= 1.0
            sharing.conclude(ticket, sharing_phase(sharing), Verdict.RELEASE)
            await anyio.sleep(0.1)
            assert redis.leases == {}
            assert sharing.refused_for(anyio.current_time()) <= 0
            redis.mode = "down"
            assert await sharing.acquire(3.0) is None
            assert sharing.status is Sharing.DEGRADED
            group.cancel_scope.cancel()
        assert (sharing.status, sharing.home) == (Sharing.LOCAL, None)

    run(main)


class Overtaken(RedisModel):
    """Redis whose answers about permits are overtaken by others."""

    async def eval(self, script: str, numkeys: int, /, *keys_and_args: str) -> list[object]:
        answer = await super().eval(script, numkeys, *keys_and_args)
        if keys_and_args[numkeys] == "acquire":
            await anyio.sleep(0.2)
        return answer


def test_a_closing_that_overtakes_a_refused_permit_is_not_undone(run: Run) -> None:
    async def main() -> None:
        redis = Overtaken()
        sharing = sharing_with(redis)
        sharing._refresh = 0.05
        async with anyio.create_task_group() as group:
            await group.start(sharing.run)
            redis.run("open", "0", "0")
            await anyio.sleep(0.1)
            redis.run("close", str(sharing.generation))
            assert await sharing.acquire(3.0) == 0.0
            assert redis.probe_at == 0
            assert "open" not in redis.operations
            group.cancel_scope.cancel()

    run(main)


def test_an_answer_that_is_overtaken_by_a_closing_does_not_open_the_circuit_again(run: Run) -> None:
    async def main() -> None:
        redis = Overtaken()
        sharing = sharing_with(redis)
        sharing._refresh = 0.05
        answered: list[object] = []

        async def acquire() -> None:
            answered.append(await sharing.acquire(3.0))

        async with anyio.create_task_group() as group:
            await group.start(sharing.run)
            redis.run("open", "0", "0")
            await anyio.sleep(0.1)
            opened = str(sharing.generation)
            redis.run("acquire", opened, "of another process", "60000", "1")
            group.start_soon(acquire)
            await anyio.sleep(0.05)  # its permit is refused, and the answer under way
            redis.run("conclude", opened, "of another process", "success", "1", "5000")
            await anyio.sleep(0.1)
            closed = sharing_phase(sharing)
            assert isinstance(closed, Closed)
            assert answered == []
            with capture_events(CircuitOpened) as openings:
                await anyio.sleep(0.2)
            assert len(answered) == 1
            assert sharing_phase(sharing) is closed
            assert sharing.generation == redis.generation
            assert openings == []
            group.cancel_scope.cancel()

    run(main)


def sharing_phase(sharing: CircuitSharing) -> Phase:
    return sharing._circuit.phase
