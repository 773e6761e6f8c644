"""Twins by key: one for each key in use, held weakly, never with settings that have changed meanwhile."""

import gc
import threading

from cqox.resilience.pipeline.key_twins import KeyTwins, family, shallow_copy, twins_of
from cqox.resilience.pipeline.tally import AdmissionTally


class Thing:
    __slots__ = ("__weakref__", "_twins", "made_with", "state")

    def __init__(self) -> None:
        self.made_with = "old"
        self.state = [0]

    def tally(self) -> AdmissionTally:
        return AdmissionTally(admitted=2)


class Labelled(Thing):
    """A subclass with attributes of its own."""

    __slots__ = ("__dict__", "label")


def test_a_key_has_one_twin_as_long_as_it_is_held() -> None:
    twins = KeyTwins[Thing]()
    first = twins.of("a", Thing)
    assert twins.of("a", Thing) is first
    assert twins.of("b", Thing) is not first
    assert twins.all() == [first]  # nobody holds that of "b"
    del first
    gc.collect()
    assert twins.all() == []


def test_threads_that_ask_at_once_get_the_same_twin() -> None:
    twins, barrier = KeyTwins[Thing](), threading.Barrier(8)
    got: list[Thing] = []

    def make() -> Thing:
        barrier.wait()  # all of them have found none
        return Thing()

    threads = [threading.Thread(target=lambda: got.append(twins.of("a", make))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 8
    assert len(set(map(id, got))) == 1


def test_a_twin_that_was_made_while_settings_changed_is_made_again() -> None:
    twins, origin = KeyTwins[Thing](), Thing()
    made: list[str] = []

    def make() -> Thing:
        twin = shallow_copy(origin)
        if not made:  # the change comes after the copy and before the twin is listed
            origin.made_with = "new"
            assert twins.all() == []
        made.append(twin.made_with)
        return twin

    assert twins.of("a", make).made_with == "new"
    assert made == ["old", "new"]


def test_an_object_has_one_set_of_twins_from_its_first_use() -> None:
    thing = Thing()
    assert not hasattr(thing, "_twins")
    assert twins_of(thing) is twins_of(thing)
    assert twins_of(thing) is not twins_of(Thing())


def test_a_shallow_copy_shares_all_attributes_and_no_twins() -> None:
    thing = Labelled()
    thing.label, thing.extra = "slot", "in the dictionary"
    twins_of(thing)
    copy = shallow_copy(thing)
    assert type(copy) is Labelled
    assert (copy.label, copy.extra, copy.made_with) == ("slot", "in the dictionary", "old")
    assert copy.state is thing.state
    assert not hasattr(copy, "_twins")


def test_what_ended_twins_have_counted_remains_and_they_do_not() -> None:
    thing = Thing()
    assert family(thing) == ([thing], {})
    kept = twins_of(thing).of("kept", Thing)
    for number in range(1000):
        twins_of(thing).of(number, Thing)
    gc.collect()
    assert len(twins_of(thing)._ended) < 100  # also where nobody asks
    alive, ended = family(thing)
    assert alive == [thing, kept]
    assert ended == {"admitted": 2000, "rejected": 0, "abandoned": 0}
