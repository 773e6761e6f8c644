from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanContext, SpanKind, StatusCode, TraceFlags, TraceState

from cqox.errors import InvalidRequest
from cqox.telemetry.recorded import LightSpan, ours

SAMPLED = TraceFlags(TraceFlags.SAMPLED)
IDS = SpanContext(trace_id=0xAB, span_id=0xCD, is_remote=False, trace_flags=SAMPLED)


def spanned(keep: Any = None, *, ids: SpanContext = IDS, start_ns: int | None = None) -> LightSpan:
    return LightSpan("work", ids, None, SpanKind.INTERNAL, {"a": 1}, (), start_ns, keep)


def test_ids_are_written_in_hexadecimal_and_the_state_as_a_header() -> None:
    state = TraceState([("vendor", "1"), ("other", "2")])
    found = ours(SpanContext(0xAB, 0xCD, is_remote=True, trace_flags=SAMPLED, trace_state=state))
    assert found is not None
    assert (found.trace_id, found.span_id) == ("ab".rjust(32, "0"), "cd".rjust(16, "0"))
    assert (found.sampled, found.state) == (True, "vendor=1,other=2")
    plain = ours(SpanContext(1, 2, is_remote=False))
    assert plain is not None
    assert (plain.sampled, plain.state) == (False, "")


def test_a_context_without_ids_is_none() -> None:
    assert ours(trace.INVALID_SPAN_CONTEXT) is None
    assert ours(SpanContext(0, 1, is_remote=False)) is None
    assert spanned(ids=trace.INVALID_SPAN_CONTEXT).context is None


def test_a_span_is_kept_once_at_its_first_end() -> None:
    kept: list[LightSpan] = []
    span = spanned(kept.append, start_ns=5)
    assert span.is_recording()
    span.end(10)
    span.end(20)
    assert kept == [span]
    assert (span.start_ns, span.end_ns) == (5, 10)
    assert not span.is_recording()
    assert span.kept


def test_a_span_that_is_not_kept_records_no_event_and_no_exception() -> None:
    with spanned() as span:
        span.event("x")
        span.error(ValueError())
        assert not span.recording
        assert not span.kept
    assert not span.events
    assert span.end_ns is not None


def test_it_is_the_current_span_inside_its_block_alone() -> None:
    before = trace.get_current_span()
    with spanned() as outer:
        with spanned() as inner:
            assert trace.get_current_span() is inner
        assert trace.get_current_span() is outer
    assert trace.get_current_span() is before


def test_names_of_attributes_have_dots_where_arguments_have_two_underscores() -> None:
    span = spanned(lambda _: None)
    span.set(cqox__rows=3, plain="x")
    span.set_attribute("b", 2)
    span.set_attributes({"a": 5})
    span.update_name("other")
    assert span.attributes == {"a": 5, "b": 2, "cqox.rows": 3, "plain": "x"}
    assert span.name == "other"


def test_an_exception_that_leaves_the_block_is_an_event_and_the_status() -> None:
    span = spanned(lambda _: None)
    with pytest.raises(ZeroDivisionError), span:
        raise ZeroDivisionError("by zero")
    (event,) = span.events
    assert event.attributes is not None
    assert event.attributes["exception.type"] == "ZeroDivisionError"
    assert "raise ZeroDivisionError" in str(event.attributes["exception.stacktrace"])
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "by zero")
    assert span.attributes["error.type"] == "ZeroDivisionError"


def test_an_exception_of_a_module_is_named_with_it() -> None:
    span = spanned(lambda _: None)
    span.record_exception(InvalidRequest("wrong"), {"more": 1})
    assert span.events[0].attributes is not None
    assert span.events[0].attributes["exception.type"] == "cqox.errors.InvalidRequest"
    assert span.events[0].attributes["more"] == 1


@pytest.mark.parametrize(
    ("error", "attributes"),
    [
        (InvalidRequest("wrong"), {"a": 1, "error.type": "InvalidRequest"}),
        (KeyboardInterrupt(), {"a": 1, "cqox.cancelled": True}),
    ],
)
def test_invalid_input_and_a_cancellation_leave_the_status_unset(
    error: BaseException, attributes: dict[str, object]
) -> None:
    span = spanned(lambda _: None)
    with pytest.raises(type(error)), span:
        raise error
    assert span.attributes == attributes
    assert span.status.status_code is StatusCode.UNSET
    assert not span.events


def test_what_the_code_says_of_a_failure_is_not_replaced_by_the_exception_that_follows() -> None:
    failed, cancelled = spanned(lambda _: None), spanned(lambda _: None)
    failed.fail("timeout", "too late")
    cancelled.cancel()
    for span in (failed, cancelled):
        with pytest.raises(ValueError, match="later"), span:
            raise ValueError("later")
    assert (failed.attributes["error.type"], failed.status.description) == ("timeout", "too late")
    assert cancelled.status.status_code is StatusCode.UNSET
    assert not failed.events + cancelled.events


def test_links_and_the_status_change_until_the_end() -> None:
    span = spanned(lambda _: None)
    span.add_link(IDS, {"a": 1})
    span.set_status(StatusCode.ERROR, "broken")
    span.end()
    span.add_link(IDS)
    span.set_status(StatusCode.OK)
    span.set_attribute("b", 1)
    assert [link.context for link in span.links] == [IDS]
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "broken")
    assert span.attributes == {"a": 1}
