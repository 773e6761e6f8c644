"""Checks at the end of a run: each finds what is left or still broken."""

import trio

from cqox.chaos.simulation.world import World, simulate
from cqox.errors import EngineUnavailable
from cqox.resilience import CircuitBreaker, registry
from cqox.resilience.limits.fair_bulkhead import FairBulkhead
from services.simulation.checks import check_rest, watch_circuits
from services.simulation.recordings import Recordings
from services.simulation.site import Site


def test_at_rest_every_circuit_is_closed_and_no_place_is_taken() -> None:
    breaker, places = CircuitBreaker("engine of this test"), FairBulkhead(2, 2, name="places of this test")
    registry.add(places.name, places)

    async def main(world: World) -> None:
        site = Site(world, Recordings())
        check_rest(world, site)
        assert not [each for each in world.violations if "of this test" in each]
        breaker.isolate()
        async with places:
            check_rest(world, site)
        found = [each for each in world.violations if "of this test" in each]
        assert [each.partition("s: ")[2] for each in found] == [
            "the policy places of this test has .running 1 at the end",
            "the circuit engine of this test is open at the end",
        ]

    simulate(1, main)


def test_a_circuit_that_is_closed_after_more_failures_than_open_it_is_found() -> None:
    breaker = CircuitBreaker("circuit of this test", failure_threshold=3)

    async def main(world: World) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch_circuits, world)
            for _ in range(2):
                try:
                    async with breaker:
                        raise EngineUnavailable("down")
                except EngineUnavailable:
                    pass
            await trio.sleep(2)
            assert not world.violations
            # From now on more failures were counted than open it.
            breaker.reconfigure(failure_threshold=1)
            await trio.sleep(2)
            nursery.cancel_scope.cancel()
        assert "circuit of this test is closed after 2 failures" in world.violations[0]

    simulate(1, main)
