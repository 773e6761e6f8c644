"""A short campaign of hostile tokens on every run of the tests; `make fuzz-tokens` holds a hundred thousand."""

import pytest

from tests.fuzz.tokens import hostile, run

pytestmark = pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")

COUNT = 1_200


def test_every_hostile_token_is_answered_with_401_and_a_challenge() -> None:
    found = run(1, COUNT)
    assert found.wrong == [], "python -m tests.fuzz.tokens --seed 1"
    assert found.errors.total() == found.sent.total() == COUNT
    assert len(found.sent) == 6


def test_a_seed_gives_the_same_tokens_but_for_signatures() -> None:
    # ECDSA signs with fresh randomness.
    first, second = ([way for way, _ in hostile(5, 60)] for _ in range(2))
    assert first == second
