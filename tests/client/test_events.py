"""Event streams in pieces of any size."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cqox.client import events
from cqox.client.events import EventParser, JobEvent
from cqox.errors import AnswerNotUnderstood
from tests.client.scripted import event

STREAM = (
    b": a sign of life\n\n"
    + event(1, "step", {"step": "read"})
    + b'id: 2\r\nevent: step\r\ndata: {"step":\r\ndata: "\xe5\xa3\xb2\xe4\xb8\x8a"}\r\n\r\n'
    + event(3, "succeeded", {"analysis_id": "a"})
)
EVENTS = [
    JobEvent(number=1, event="step", body={"step": "read"}),
    JobEvent(number=2, event="step", body={"step": "売上"}),
    JobEvent(number=3, event="succeeded", body={"analysis_id": "a"}),
]


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_events_are_the_same_in_any_pieces(cuts: list[int]) -> None:
    parser, found = EventParser(), list[JobEvent]()
    places = [0, *sorted(cuts), len(STREAM)]
    for begin, end in pairwise(places):
        found += parser.feed(STREAM[begin:end])
    assert found == EVENTS


def test_the_last_event_says_how_the_job_ended() -> None:
    assert [each.is_last for each in EVENTS] == [False, False, True]
    assert all(JobEvent(number=1, event=name, body={}).is_last for name in ("failed", "cancelled", "interrupted"))


def test_an_event_without_a_number_has_none() -> None:
    assert EventParser().feed(b"event: step\ndata: {}\n\n") == [JobEvent(number=0, event="step", body={})]
    assert EventParser().feed(b"id: x\n\nid: \xc2\xb2\ndata: {}\n\n")[0].number == 0


@pytest.mark.parametrize("data", [b"data: no\n\n", b"data: [1]\n\n"])
def test_data_that_are_no_object_are_refused(data: bytes) -> None:
    with pytest.raises(AnswerNotUnderstood, match="no JSON object"):
        EventParser().feed(data)


def test_an_event_without_an_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_MOST_BYTES", 100)
    parser = EventParser()
    assert parser.feed(b"data: " + b"x" * 90) == []
    with pytest.raises(AnswerNotUnderstood, match="larger than 100 bytes"):
        parser.feed(b"x" * 90)
