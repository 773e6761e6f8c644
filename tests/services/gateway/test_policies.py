import httpx
import pytest
import trio

from cqox.errors import DeadlineExceeded, EngineUnavailable
from services.gateway.engine_client import Call, Reply
from services.gateway.policies import EnginePolicies

CALL = Call(method="POST", target=b"/x", content=b"{}")


class Engine:
    """Stands where the engine client does."""

    def __init__(self, *, status: int = 200, seconds: float = 0.0, error: Exception | None = None) -> None:
        self._status = status
        self._seconds = seconds
        self._error = error
        self.received = 0
        self.cancelled = False

    async def send(self, call: Call) -> Reply:
        try:
            if not isinstance(call.content, bytes):
                async for data in call.content:
                    self.received += len(data)
            await trio.sleep(self._seconds)
        except trio.Cancelled:
            self.cancelled = True
            raise
        if self._error is not None:
            raise self._error
        return Reply(status=self._status, headers=((b"x-request-id", b"abc"),), body=b"")


def policies(engine: Engine) -> EnginePolicies:
    return EnginePolicies(engine, analysis_seconds=120)


@pytest.mark.trio
@pytest.mark.parametrize(("method", "seconds"), [("analyze", 120), ("read", 30), ("upload", 120)])
async def test_a_call_that_takes_longer_than_its_deadline_is_cancelled(autojump_clock, method, seconds):
    engine, began = Engine(seconds=10_000), trio.current_time()
    with pytest.raises(DeadlineExceeded) as caught:
        await getattr(policies(engine), method)(CALL)
    assert trio.current_time() - began == pytest.approx(seconds)
    assert caught.value.seconds == seconds
    assert engine.cancelled


@pytest.mark.trio
async def test_the_time_of_an_upload_counts_from_its_last_byte(autojump_clock):
    async def slowly():
        for _ in range(10):
            await trio.sleep(100)
            yield b"x"

    engine = Engine(seconds=110)
    reply = await policies(engine).upload(Call(method="POST", target=b"/x", content=slowly()))
    assert (reply.status, engine.received) == (200, 10)


@pytest.mark.trio
async def test_an_upload_that_stalls_is_ended(autojump_clock):
    async def stalled():
        yield b"x"
        await trio.sleep_forever()

    with pytest.raises(DeadlineExceeded):
        await policies(Engine()).upload(Call(method="POST", target=b"/x", content=stalled()))


@pytest.mark.trio
@pytest.mark.parametrize(
    "error",
    [
        httpx.ConnectError("refused"),
        httpx.ConnectTimeout(""),
        httpx.ReadError("reset"),
        httpx.RemoteProtocolError("half"),
        httpx.WriteError("pipe"),
    ],
)
async def test_what_the_transport_raises_becomes_an_error_of_ours_with_its_cause(error):
    with pytest.raises(EngineUnavailable) as caught:
        await policies(Engine(error=error)).analyze(CALL)
    assert caught.value.__cause__ is error


@pytest.mark.trio
async def test_an_error_of_the_clients_body_is_no_error_of_the_engine():
    async def broken():
        yield b"x"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await policies(Engine()).upload(Call(method="POST", target=b"/x", content=broken()))


@pytest.mark.trio
@pytest.mark.parametrize("status", [200, 400, 404, 422, 429, 503, 504])
async def test_other_answers_are_returned_as_they_are(status):
    assert (await policies(Engine(status=status)).analyze(CALL)).status == status


@pytest.mark.trio
async def test_an_engine_that_does_not_say_alive_is_not_well():
    with pytest.raises(EngineUnavailable):
        await policies(Engine(status=503)).ping()
    await policies(Engine()).ping()
