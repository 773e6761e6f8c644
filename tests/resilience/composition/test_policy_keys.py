"""The policies that are kept by key: least recently used, and never one that is not settled."""

import threading

import pytest

from cqox.resilience.composition.policy_keys import KeyedPolicies


class Entry:
    def __init__(self, *, settled: bool = True) -> None:
        self.settled = settled

    def is_settled(self) -> bool:
        return self.settled


def unsettled() -> Entry:
    return Entry(settled=False)


def test_the_least_recently_used_key_leaves() -> None:
    keys = KeyedPolicies[Entry](2)
    first = keys.get("a", Entry)
    keys.get("b", Entry)
    assert keys.get("a", Entry) is first
    keys.get("c", Entry)
    assert list(keys.all()) == ["a", "c"]
    assert keys.get("a", Entry) is first
    assert len(keys) == 2


def test_a_key_that_is_not_settled_stays_and_others_leave_for_it() -> None:
    keys = KeyedPolicies[Entry](2)
    down = keys.get("down", unsettled)
    for key in range(100):
        keys.get(key, Entry)
        assert len(keys) == 2
    assert keys.get("down", Entry) is down


def test_where_none_is_settled_more_are_kept_until_they_are() -> None:
    keys = KeyedPolicies[Entry](3)
    entries = [keys.get(key, unsettled) for key in range(50)]
    assert len(keys) == 50
    for entry in entries:
        entry.settled = True
    keys.get("one more", Entry)
    assert len(keys) == 43  # as many are looked at for each key that is added
    for key in range(6):
        keys.get(f"more {key}", Entry)
    assert len(keys) == 3


def test_the_key_that_was_just_added_does_not_leave_for_itself() -> None:
    keys = KeyedPolicies[Entry](1)
    keys.get("down", unsettled)
    new = keys.get("new", Entry)
    assert keys.get("new", Entry) is new


def test_a_key_is_forgotten_on_request_even_if_it_is_not_settled() -> None:
    keys = KeyedPolicies[Entry](2)
    down = keys.get("down", unsettled)
    assert keys.forget("down")
    assert not keys.forget("down")
    assert keys.get("down", Entry) is not down


def test_what_is_returned_for_a_key_is_the_same_in_all_threads() -> None:
    keys, barrier = KeyedPolicies[Entry](2), threading.Barrier(8)
    got: list[Entry] = []

    def make() -> Entry:
        barrier.wait()
        return Entry()

    threads = [threading.Thread(target=lambda: got.append(keys.get("a", make))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, got))) == 1


@pytest.mark.parametrize("most", [0, -1, 1.5, True])
def test_nonsense_is_refused(most: object) -> None:
    with pytest.raises(ValueError, match="most_keys must be an integer of at least 1"):
        KeyedPolicies(most)
