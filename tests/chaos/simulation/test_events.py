from cqox.chaos.simulation.events import EventLog


def log(*events: tuple[str, ...], kept: int = 50) -> EventLog:
    made = EventLog(lambda: 1.5, kept=kept)
    for event in events:
        made.add(*event)
    return made


def test_the_digest_is_of_all_events_with_their_details_in_order() -> None:
    one = log(("a", "1"), ("b",))
    assert one.digest == log(("a", "1"), ("b",)).digest
    assert one.count == 2
    assert (
        len({one.digest, log(("b",), ("a", "1")).digest, log(("a", "2"), ("b",)).digest, log(("a", "1")).digest}) == 4
    )


def test_the_last_events_are_kept_with_their_times() -> None:
    assert list(log(("a",), ("b", "x"), ("c",), kept=2).last()) == ["1.500000 b x", "1.500000 c"]


def test_a_note_is_for_the_reader_alone() -> None:
    one = log(("a",))
    before = one.digest
    one.note("why")
    assert one.digest == before
    assert list(one.last())[-1] == "1.500000 | why"
