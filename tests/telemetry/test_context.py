import pytest

from cqox.telemetry.context import TraceContext, from_headers, of_request_id, to_headers

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def test_a_context_survives_the_way_to_the_next_service() -> None:
    context = TraceContext(trace_id=TRACE, span_id=SPAN, sampled=True, state="a=1,b=2")
    assert from_headers(to_headers(context)) == context


@pytest.mark.parametrize(
    "value",
    [
        "",
        "00",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-0",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE[:-1]}g-{SPAN}-01",
    ],
)
def test_what_the_standard_does_not_allow_is_no_context(value: str) -> None:
    assert from_headers([("traceparent", value)]) is None


def test_a_later_version_is_read_as_far_as_it_is_known() -> None:
    context = from_headers([("Traceparent", f"01-{TRACE}-{SPAN}-03-more")])
    assert context == TraceContext(trace_id=TRACE, span_id=SPAN, sampled=True)


def test_two_parents_are_none() -> None:
    fields = [("traceparent", f"00-{TRACE}-{SPAN}-01")]
    assert from_headers(fields * 2) is None


def test_every_service_makes_the_same_trace_id_of_the_same_request_id() -> None:
    own = "4bf92f3577b34da6a3ce929d0e0e4736"
    assert of_request_id(own).trace_id == own
    assert of_request_id("order-17").trace_id == of_request_id("order-17").trace_id
    assert len(of_request_id("order-17").trace_id) == 32
    assert of_request_id("0" * 32).trace_id != "0" * 32
    assert not of_request_id(own).sampled
