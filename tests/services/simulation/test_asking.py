"""Reading of event streams by clients of the simulation."""

from services.simulation.asking import events_of


def test_events_have_a_name_and_content_and_comments_are_none() -> None:
    body = b': still at it\n\nid: 1\nevent: step\ndata: {"step": "fit"}\n\nid: 2\nevent: succeeded\ndata: {}\n\n'
    assert events_of(body) == [("step", {"step": "fit"}), ("succeeded", {})]


def test_a_stream_without_events_has_none() -> None:
    assert events_of(b"") == []
