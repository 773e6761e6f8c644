import asyncio

import pytest
import trio

from cqox.errors import InvalidRequest
from cqox.telemetry import current, is_recording, server_span, span, untraced
from tests.recorded import Kept


def test_an_exception_that_leaves_a_span_is_its_error(kept: Kept) -> None:
    with pytest.raises(ValueError, match="broken"), span("work"):
        raise ValueError("broken")
    work = kept.named("work")
    assert work.attributes["error.type"] == "ValueError"
    assert work.status.description == "broken"
    assert [event.name for event in work.events] == ["exception"]


@pytest.mark.parametrize(
    "error",
    [
        asyncio.CancelledError(),
        BaseExceptionGroup("", [asyncio.CancelledError(), asyncio.CancelledError()]),
        KeyboardInterrupt(),
    ],
)
def test_a_cancellation_is_marked_and_is_no_error(kept: Kept, error: BaseException) -> None:
    with pytest.raises(type(error)), span("work"):
        raise error
    work = kept.named("work")
    assert work.attributes == {"cqox.cancelled": True}
    assert work.events == ()
    assert work.status.description is None


def test_trio_cancels_a_span_like_any_other(kept: Kept) -> None:
    async def main() -> None:
        with trio.move_on_after(0), span("work"):
            await trio.sleep_forever()

    trio.run(main)
    assert kept.named("work").attributes == {"cqox.cancelled": True}


def test_a_failure_together_with_a_cancellation_is_an_error(kept: Kept) -> None:
    group = BaseExceptionGroup("", [asyncio.CancelledError(), OSError("away")])
    with pytest.raises(BaseExceptionGroup), span("work"):
        raise group
    assert not kept.named("work").status.is_ok


def test_input_that_must_be_corrected_is_named_and_is_no_error(kept: Kept) -> None:
    with pytest.raises(InvalidRequest), span("work"):
        raise InvalidRequest("no such column")
    work = kept.named("work")
    assert work.attributes == {"error.type": "InvalidRequest"}
    assert work.status.description is None
    assert work.events == ()


def test_a_probe_and_all_that_is_in_it_is_left_out(kept: Kept) -> None:
    with server_span("GET", None, parent=None, request_id="r", probe=True) as probe:
        with span("inside"):
            assert current().trace_id == probe.context.trace_id
    assert kept.spans == ()


def test_what_repeats_every_few_seconds_is_left_out_with_all_that_is_in_it(kept: Kept) -> None:
    with span("task that never ends") as around:
        with untraced("round") as silent, span("inside") as inside:
            assert (silent.silent, inside.silent) == (True, True)
            assert current().trace_id == silent.context.trace_id != around.context.trace_id
            assert not inside.recording
        assert current().trace_id == around.context.trace_id
    assert [each.name for each in kept.spans] == ["task that never ends"]


def test_without_a_recorder_a_request_has_a_trace_id_and_a_span_costs_nothing() -> None:
    assert not is_recording()
    with server_span("GET", None, parent=None, request_id="a" * 32):
        assert current().trace_id == "a" * 32
        with span("inside") as inside:
            assert not inside.recording
            assert current().trace_id == "a" * 32
    assert current() is None
