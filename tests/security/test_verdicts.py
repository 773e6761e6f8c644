import hashlib

from cqox.security import LOCAL, Refusal, Verdicts

NO = Refusal("unknown")


def digest(number: int) -> bytes:
    return hashlib.sha256(str(number).encode()).digest()


def test_a_verdict_holds_for_its_seconds():
    verdicts = Verdicts()
    verdicts.remember("a", digest(1), LOCAL, now=10.0, seconds=60.0)
    assert verdicts.recall(digest(1), now=69.9) is LOCAL
    assert verdicts.recall(digest(1), now=70.0) is None
    assert verdicts.recall(digest(2), now=10.0) is None


def test_the_least_recently_used_is_forgotten_first():
    verdicts = Verdicts(most_keys=2, most_refusals=1)
    for number in (1, 2):
        verdicts.remember(str(number), digest(number), LOCAL, now=0.0, seconds=60.0)
    verdicts.recall(digest(1), now=1.0)
    verdicts.remember("3", digest(3), LOCAL, now=1.0, seconds=60.0)
    assert [verdicts.recall(digest(number), now=2.0) for number in (1, 2, 3)] == [LOCAL, None, LOCAL]


def test_refusals_push_out_no_keys():
    verdicts = Verdicts(most_keys=1, most_refusals=2)
    verdicts.remember("a", digest(0), LOCAL, now=0.0, seconds=60.0)
    for number in range(1, 100):
        verdicts.remember("b", digest(number), NO, now=0.0, seconds=10.0)
    assert verdicts.recall(digest(0), now=1.0) is LOCAL
    assert [number for number in range(1, 100) if verdicts.recall(digest(number), now=1.0)] == [98, 99]


def test_a_later_verdict_takes_the_place_of_an_earlier_one():
    verdicts = Verdicts()
    verdicts.remember("a", digest(1), LOCAL, now=0.0, seconds=60.0)
    verdicts.remember("a", digest(1), NO, now=1.0, seconds=10.0)
    assert verdicts.recall(digest(1), now=2.0) == NO
    assert not verdicts.was_valid("a", digest(1))
    verdicts.remember("a", digest(1), LOCAL, now=3.0, seconds=60.0)
    assert verdicts.recall(digest(1), now=4.0) is LOCAL


def test_a_key_is_known_to_have_been_valid_after_its_verdict_has_ended():
    verdicts = Verdicts()
    verdicts.remember("a", digest(1), LOCAL, now=0.0, seconds=60.0)
    assert verdicts.recall(digest(1), now=100.0) is None
    assert verdicts.was_valid("a", digest(1))
    assert not verdicts.was_valid("a", digest(2))


def test_a_forged_key_with_the_id_of_a_valid_one_changes_nothing_for_it():
    verdicts = Verdicts()
    verdicts.remember("a", digest(1), LOCAL, now=0.0, seconds=60.0)
    verdicts.remember("a", digest(2), NO, now=0.0, seconds=10.0)
    assert verdicts.recall(digest(1), now=1.0) is LOCAL
    assert verdicts.was_valid("a", digest(1))


def test_what_is_forgotten_is_asked_again():
    verdicts = Verdicts()
    verdicts.remember("a", digest(1), LOCAL, now=0.0, seconds=60.0)
    verdicts.forget("a")
    verdicts.forget("never seen")
    assert verdicts.recall(digest(1), now=1.0) is None
