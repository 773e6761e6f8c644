"""Which connection gives way to a new one."""

import resource

import pytest
import trio

from services.http.connection_limits import PROBE_PLACES, Activity, ConnectionLimits, descriptor_bound

pytestmark = pytest.mark.trio


def admitted(limits: ConnectionLimits, client: str):
    place = limits.admit(client)
    assert place is not None
    return place


async def test_the_one_that_has_been_idle_for_longest_gives_way(autojump_clock):
    limits = ConnectionLimits(most=3)
    first, second, third = (admitted(limits, client) for client in "abc")
    with first.idle(), second.idle(), third.idle():
        await trio.sleep(1)
        first._move()
        fourth = admitted(limits, "d")
        assert (first.evicted, second.evicted, third.evicted) == (False, True, False)
        assert second.scope.cancel_called
        assert not fourth.probes_only
        assert len(limits) == 3


async def test_one_of_the_same_address_gives_way_before_others(autojump_clock):
    limits = ConnectionLimits(most=2)
    other, own = admitted(limits, "a"), admitted(limits, "b")
    with other.idle(), own.idle():
        admitted(limits, "b")
    assert (other.evicted, own.evicted) == (False, True)


async def test_what_waits_for_an_answer_never_gives_way_and_what_flows_does_not_either(autojump_clock):
    limits = ConnectionLimits(most=2)
    busy, flowing = admitted(limits, "a"), admitted(limits, "a")
    await trio.sleep(100)
    with flowing.transferring():
        beyond = [admitted(limits, "b") for _ in range(PROBE_PLACES)]
        assert all(place.probes_only for place in beyond)
        assert limits.admit("b") is None
        assert limits.refused == 1
        await trio.sleep(5)
        assert not admitted(limits, "b").probes_only
    assert (busy.evicted, flowing.evicted) == (False, True)


async def test_reading_and_writing_may_overlap(autojump_clock):
    place = admitted(ConnectionLimits(), "a")
    reading, writing = place.transferring(), place.transferring()
    with writing:
        reading.__enter__()
    assert place.activity is Activity.TRANSFERRING
    reading.__exit__(None, None, None)
    assert place.activity is Activity.ANSWERING


async def test_beyond_the_bound_of_an_address_only_what_stands_still_gives_way(autojump_clock):
    limits = ConnectionLimits(most_per_client=2)
    busy, idle = admitted(limits, "a"), admitted(limits, "a")
    with idle.idle():
        third = admitted(limits, "a")
        assert idle.evicted
    fourth = admitted(limits, "a")
    assert not any(place.evicted or place.probes_only for place in (busy, third, fourth))


async def test_places_are_given_back_once(autojump_clock):
    limits = ConnectionLimits(most=1)
    first = admitted(limits, "a")
    probe = admitted(limits, "a")
    for place in (first, first, probe):
        limits.leave(place)
    assert len(limits) == 0
    assert not admitted(limits, "a").probes_only


async def test_the_bound_leaves_descriptors_for_everything_else():
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert 8 <= descriptor_bound() < soft
    assert ConnectionLimits(most=10**9).most == descriptor_bound()
