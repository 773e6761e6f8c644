import json
import math

import pytest

from tests.frozen.collect import FILES, FOLDER, report_of
from tests.frozen.studies import STUDIES

# Another processor sums in another order; what is chosen by a search over numbers is as near as that search goes.
_RELATIVE, _ABSOLUTE = 1e-6, 1e-9


def frozen(stem: str) -> object:
    return json.loads((FOLDER / f"{stem}.json").read_text(encoding="utf-8"))


def differences(before: object, after: object, path: str = "") -> list[str]:
    """Return the paths at which two JSON values differ, floats by more than rounding."""
    if isinstance(before, dict) and isinstance(after, dict):
        keys = sorted(before.keys() | after.keys())
        return [
            line
            for key in keys
            for line in (
                differences(before[key], after[key], f"{path}/{key}")
                if key in before and key in after
                else [f"{path}/{key} is {'gone' if key in before else 'new'}"]
            )
        ]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = enumerate(zip(before, after, strict=True))
        return [line for at, (one, other) in pairs for line in differences(one, other, f"{path}/{at}")]
    if isinstance(before, float) and isinstance(after, float | int) and not isinstance(after, bool):
        same = math.isclose(before, after, rel_tol=_RELATIVE, abs_tol=_ABSOLUTE)
        return [] if same else [f"{path} was {before!r} and is {after!r}"]
    return [] if before == after else [f"{path} was {str(before)[:200]} and is {str(after)[:200]}"]


@pytest.mark.parametrize("stem", [stem for stem in FILES if stem != "reports"])
def test_what_is_public_is_as_it_was(stem: str) -> None:
    assert differences(frozen(stem), json.loads(json.dumps(FILES[stem]()))) == []


@pytest.mark.parametrize("name", STUDIES)
def test_the_numbers_of_a_report_are_as_they_were(name: str) -> None:
    before = frozen("reports")
    assert isinstance(before, dict)
    assert differences(before[name], report_of(name)) == []


def test_a_difference_is_found_wherever_it_is() -> None:
    before = {"a": [1, {"b": 2.0}], "c": "x", "d": None}
    assert differences(before, {"a": [1, {"b": 2.0 + 1e-9}], "c": "x", "d": None}) == []
    after = {"a": [2, {"b": 2.001}], "c": "y", "e": None}
    assert len(differences(before, after)) == 5
