import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cqox.security import MAX_AGE_SECONDS, HopKeys, HopKeyUnusable

KEYS = HopKeys(["k" * 32])
GIVEN = {"method": "GET", "target": b"/api/datasets?limit=1"}
NOW = 1_800_000_000.5


def signature(keys: HopKeys = KEYS) -> str:
    return keys.sign("principal", **GIVEN, now=NOW)


@pytest.mark.parametrize("seconds", [0, 59, -59, MAX_AGE_SECONDS - 1])
def test_a_signature_holds_for_a_minute(seconds: float):
    assert KEYS.verifies(signature(), "principal", **GIVEN, now=NOW + seconds)


@pytest.mark.parametrize("seconds", [MAX_AGE_SECONDS + 1, -MAX_AGE_SECONDS - 1, 7200, -7200, math.nan, math.inf])
def test_a_signature_of_another_time_is_none(seconds: float):
    assert not KEYS.verifies(signature(), "principal", **GIVEN, now=NOW + seconds)


@pytest.mark.parametrize(
    "other",
    [
        {"method": "DELETE"},
        {"target": b"/api/datasets"},
        {"target": b"/api/datasets?limit=2"},
        {"principal": "principa"},
    ],
)
def test_a_signature_is_of_one_principal_method_and_target(other: dict[str, object]):
    given = {"principal": "principal", **GIVEN, **other}
    assert not KEYS.verifies(signature(), given.pop("principal"), **given, now=NOW)


def test_parts_cannot_be_shifted_against_each_other():
    made = KEYS.sign("a", method="GET", target=b"b\nc", now=NOW)
    assert not KEYS.verifies(made, "a\nb", method="GET", target=b"c", now=NOW)
    assert not KEYS.verifies(made, "a", method="GET\na", target=b"c", now=NOW)


def test_a_key_can_be_replaced_while_both_are_in_use():
    new, old = HopKeys(["n" * 32, "k" * 32]), KEYS
    assert new.verifies(signature(old), "principal", **GIVEN, now=NOW)
    assert new.verifies(signature(new), "principal", **GIVEN, now=NOW)
    assert not old.verifies(signature(new), "principal", **GIVEN, now=NOW)


@given(st.text(max_size=100) | st.from_regex(r"t=\d{1,14},v=[0-9a-f]{60,66}", fullmatch=True))
def test_any_other_text_is_no_signature(text: str):
    assert not KEYS.verifies(text, "principal", **GIVEN, now=NOW)


@pytest.mark.parametrize("keys", [[], [""], ["k" * 31], ["k" * 32, "short"]])
def test_a_short_key_is_refused(keys: list[str]):
    with pytest.raises(HopKeyUnusable):
        HopKeys(keys)
