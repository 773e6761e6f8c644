"""Trace contexts in the formats that `OTEL_PROPAGATORS` names."""

from collections.abc import Iterator

import httpx
import pytest

from cqox.telemetry import propagation
from cqox.telemetry.context import TraceContext
from cqox.telemetry.propagation import DEFAULT_FORMATS, extract, inject

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SENT = TraceContext(trace_id=TRACE, span_id=SPAN, sampled=True)
PARENT = ("traceparent", f"00-{TRACE}-{SPAN}-01")


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """The formats are those before the test again."""
    before = propagation.use(DEFAULT_FORMATS)
    yield
    propagation.use(before)


@pytest.mark.parametrize("name", ["tracecontext", "b3", "b3multi"])
@pytest.mark.parametrize("sampled", [True, False])
def test_a_context_survives_the_way_to_the_next_service_in_each_format(name: str, sampled: bool) -> None:
    propagation.use((name,))
    headers = httpx.Headers()
    context = TraceContext(trace_id=TRACE, span_id=SPAN, sampled=sampled)
    inject(headers, context)
    assert extract(headers.multi_items()) == context
    assert ("traceparent" in headers) == (name == "tracecontext")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([("b3", f"{TRACE}-{SPAN}-1-{SPAN}")], SENT),
        ([("B3", f"{TRACE}-{SPAN}-d")], SENT),
        ([("b3", f"{TRACE}-{SPAN}")], SENT),
        ([("b3", f"{TRACE[16:]}-{SPAN}-1")], TraceContext(trace_id="0" * 16 + TRACE[16:], span_id=SPAN, sampled=True)),
        ([("b3", "0")], None),
        ([("b3", f"{'0' * 32}-{SPAN}-1")], None),
        ([("b3", f"{TRACE}-{SPAN[1:]}-1")], None),
        ([("X-B3-TraceId", TRACE.upper()), ("X-B3-SpanId", SPAN), ("X-B3-Flags", "1")], SENT),
        ([("X-B3-TraceId", TRACE)], None),
        ([PARENT], None),
    ],
)
def test_the_formats_of_zipkin_are_read_as_their_description_says(
    fields: list[tuple[str, str]], expected: TraceContext | None
) -> None:
    propagation.use(("b3", "b3multi"))
    assert extract(fields) == expected


def test_the_first_format_that_a_caller_used_counts() -> None:
    propagation.use(("b3", "tracecontext"))
    other = "1" * 32
    assert extract([PARENT, ("b3", f"{other}-{SPAN}-1")]) == TraceContext(trace_id=other, span_id=SPAN, sampled=True)
    assert extract([PARENT]) == SENT


def test_what_is_not_in_use_is_neither_read_nor_passed_on() -> None:
    propagation.use(())
    headers = httpx.Headers([PARENT, ("tracestate", "a=1"), ("baggage", "b=2"), ("accept", "*/*")])
    assert extract(headers.multi_items()) is None
    inject(headers, SENT)
    assert list(headers) == ["accept"]


def test_without_a_span_of_its_own_a_service_passes_on_what_it_was_sent() -> None:
    headers = httpx.Headers([PARENT, ("baggage", "b=2")])
    inject(headers, None)
    assert headers.multi_items() == [PARENT, ("baggage", "b=2")]
    assert extract(headers.multi_items()) == SENT
