"""The choice of the connection to evict for a new one."""

import resource

import pytest
import trio

from services.http.server.connection_limits import PROBE_PLACES, Activity, ConnectionLimits, descriptor_bound

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
        with first.transferring():
            first.moved(10)
        with first.idle():
            fourth = admitted(limits, "d")
        assert (first.evicted, second.evicted, third.evicted) == (False, True, False)
        assert second.scope.cancel_called
        assert not fourth.probes_only
        assert len(limits) == 3


async def test_a_request_that_has_arrived_and_is_not_read_yet_does_not_give_way(autojump_clock):
    limits = ConnectionLimits(most=2)
    sent, silent = limits.admit("a", has_unread=lambda: True), admitted(limits, "a")
    assert sent is not None
    with sent.idle(), silent.idle():
        assert not admitted(limits, "a").probes_only
        assert (sent.evicted, silent.evicted) == (False, True)
        assert admitted(limits, "a").probes_only


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


async def test_a_byte_now_and_then_is_no_movement_and_a_kibibyte_a_second_is(autojump_clock):
    limits = ConnectionLimits(most=2)
    dribbling, flowing = admitted(limits, "a"), admitted(limits, "b")
    for _ in range(11):
        for place, size_bytes in ((dribbling, 1), (flowing, 1100)):
            with place.transferring():
                await trio.sleep(0.5)
                place.moved(size_bytes)
    with dribbling.transferring(), flowing.transferring():
        admitted(limits, "c")
    assert (dribbling.evicted, flowing.evicted) == (True, False)


async def test_time_that_the_service_takes_is_not_the_clients(autojump_clock):
    place = admitted(ConnectionLimits(), "a")
    for _ in range(3):
        with place.transferring():
            await trio.sleep(1)
        await trio.sleep(60)
    with place.transferring():
        assert not place.is_stalled(trio.current_time())
        await trio.sleep(2.5)
        assert place.is_stalled(trio.current_time())


async def test_an_address_that_holds_most_connections_gives_one_up_sooner(autojump_clock):
    limits = ConnectionLimits(most=4)
    many = [admitted(limits, "a") for _ in range(3)]
    few = admitted(limits, "b")
    with many[0].transferring(), many[1].transferring(), many[2].transferring(), few.transferring():
        await trio.sleep(1)
        assert not admitted(limits, "c").probes_only
    assert [place.evicted for place in (*many, few)] == [True, False, False, False]


async def test_event_streams_give_way_beyond_half_of_all_connections(autojump_clock):
    limits = ConnectionLimits(most=4)
    places = [admitted(limits, client) for client in "aabb"]
    for place in places[:2]:
        place.streams_events = True
    assert admitted(limits, "c").probes_only
    places[2].streams_events = True
    assert not admitted(limits, "c").probes_only
    assert [place.evicted for place in places] == [True, False, False, False]


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
