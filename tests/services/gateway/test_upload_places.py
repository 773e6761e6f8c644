"""The bulkhead slots of uploads, in virtual time."""

from collections.abc import AsyncGenerator, Callable

import pytest
import trio

from cqox.errors import BulkheadFull, Rejected
from cqox.resilience import registry
from services.gateway.engine_client import Call
from services.gateway.policies import EnginePolicies
from services.gateway.upload_places import UploadPlace
from services.http.request.propagation import serving
from tests.services.gateway.scripted import Engine, policies, taking

KIB = 2**10


async def upload(
    made: EnginePolicies, place: UploadPlace, content: Callable[[UploadPlace], AsyncGenerator[bytes]]
) -> int:
    call = Call(method="POST", target=b"/x", content=content(place))
    return (await made.upload(call, seconds=1000, place=place)).status


async def short(place: UploadPlace) -> AsyncGenerator[bytes]:
    yield b"short"


def stalling(first: int, seconds: float = 500.0) -> Callable[[UploadPlace], AsyncGenerator[bytes]]:
    """Yield some KiB and stall, with the callback of `chunks_of`."""

    async def content(place: UploadPlace) -> AsyncGenerator[bytes]:
        yield bytes(first * KIB)
        await trio.sleep(2)
        place.leave()
        await trio.sleep(seconds - 2)
        yield b"the rest"

    return content


@pytest.mark.trio
@pytest.mark.parametrize("first", [1, 64, 500])
async def test_uploads_that_stand_still_keep_no_other_out(autojump_clock, first):
    made = policies(Engine())
    async with trio.open_nursery() as nursery:
        # One after another: those that begin to flow do have a place until they have stood still for a moment.
        for _ in range(100):
            nursery.start_soon(upload, made, made.upload_place(), stalling(first))
            await trio.sleep(0.5)
        await trio.sleep(2)
        for _ in range(5):
            assert await upload(made, made.upload_place(), short) == 200
        assert made._places.bulkhead.snapshot().running == 0
        nursery.cancel_scope.cancel()
    assert made._places.bulkhead.snapshot().running == 0
    assert made._places.shed.snapshot().running == 0


@pytest.mark.trio
async def test_an_upload_that_goes_on_has_a_place_again_until_it_is_answered(autojump_clock):
    made = policies(engine := Engine(taking(50)))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(upload, made, made.upload_place(), stalling(64, seconds=100))
        await trio.sleep(1)
        assert made._places.bulkhead.snapshot().running == 1
        await trio.sleep(50)
        assert made._places.bulkhead.snapshot().running == 0
        await trio.sleep(70)
        assert (made._places.bulkhead.snapshot().running, engine.received) == (1, 64 * KIB + 8)
    assert made._places.bulkhead.snapshot().running == 0


@pytest.mark.trio
async def test_those_that_flow_are_bounded_and_one_that_cannot_go_on_is_refused(autojump_clock):
    made = policies(Engine(taking(200)))
    late: list[BaseException] = []

    async def come_back() -> None:
        try:
            await upload(made, made.upload_place(), stalling(64, seconds=20))
        except Rejected as error:
            late.append(error)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(come_back)
        await trio.sleep(5)
        for _ in range(24):
            nursery.start_soon(upload, made, made.upload_place(), short)
        await trio.sleep(1)
        with pytest.raises(Rejected):
            await upload(made, made.upload_place(), short)
        await trio.sleep(40)
        assert len(late) == 1
        nursery.cancel_scope.cancel()
    assert made._places.bulkhead.snapshot().running == made._places.shed.snapshot().running == 0


@pytest.mark.trio
@pytest.mark.parametrize(("busy_seconds", "served"), [(8, True), (60, False)])
async def test_an_upload_that_goes_on_waits_ten_seconds_for_a_place(autojump_clock, busy_seconds, served):
    made = policies(Engine(taking(busy_seconds)))
    got = list[object]()

    async def come_back() -> None:
        try:
            got.append(await upload(made, made.upload_place(), stalling(64, seconds=20)))
        except BulkheadFull:
            got.append(None)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(come_back)
        await trio.sleep(19)
        for _ in range(8):
            nursery.start_soon(upload, made, made.upload_place(), short)
    assert got == [200 if served else None]


@pytest.mark.trio
async def test_the_less_critical_are_refused_first(autojump_clock):
    made = policies(Engine(taking(100)))
    async with trio.open_nursery() as nursery:
        for _ in range(12):
            nursery.start_soon(upload, made, made.upload_place(), short)
        await trio.sleep(1)
        with serving([("X-Criticality", "sheddable")]), pytest.raises(Rejected):
            await upload(made, made.upload_place(), short)
        nursery.cancel_scope.cancel()


def test_an_operator_finds_the_places():
    made = policies(Engine())
    assert any(registry[key] is made._places.bulkhead for key in registry)


@pytest.mark.trio
async def test_a_tenant_that_sends_much_leaves_places_to_another(autojump_clock):
    made = policies(Engine(taking(50)))
    refused = list[BaseException]()

    async def send() -> None:
        try:
            await upload(made, made.upload_place("greedy"), short)
        except Rejected as error:
            refused.append(error)

    async with trio.open_nursery() as nursery:
        for _ in range(40):
            nursery.start_soon(send)
        await trio.sleep(1)
        assert len(refused) == 40 - 24
        for _ in range(2):
            began = trio.current_time()
            assert await upload(made, made.upload_place("other"), short) == 200
            # Its own 50 s, and at most the rest of the first upload.
            assert trio.current_time() - began <= 100
        nursery.cancel_scope.cancel()
    assert made._places.bulkhead.snapshot().running == 0
