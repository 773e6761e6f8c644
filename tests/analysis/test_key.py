from collections.abc import Callable

import pytest

from cqox.analysis import key
from cqox.analysis.key import analysis_id, canonical_json, code_version, digest
from cqox.contract import Options

ROLES = {"y": "y", "treatment": "w", "covariates": ("a", "b")}


def test_canonical_json_keeps_the_order_of_fields_and_writes_characters_as_they_are() -> None:
    assert canonical_json({"b": [1, 2.5, None], "a": "売上"}) == '{"b":[1,2.5,null],"a":"売上"}'.encode()


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_canonical_json_refuses_numbers_that_json_lacks(number: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical_json({"a": [number]})


def test_a_digest_is_blake2b_of_128_bits() -> None:
    # From `b2sum --length=128`.
    assert digest(b"") == "cae66941d9efbd404e4d88758ea67670"
    assert digest(b"abc") == "cf4ab791c62b8d2b2109c90275287816"


def test_an_id_does_not_depend_on_the_spelling_of_the_request() -> None:
    same = analysis_id("d", {"covariates": ("a", "b"), "treatment": "w", "y": "y"}, Options(seed=Options().seed))
    assert same == analysis_id("d", ROLES, Options())
    assert len(same) == 32
    assert set(same) <= set("0123456789abcdef")


@pytest.mark.parametrize(
    "change",
    [
        lambda: analysis_id("e", ROLES, Options()),
        lambda: analysis_id("d", {**ROLES, "y": "z"}, Options()),
        lambda: analysis_id("d", {**ROLES, "covariates": ("b", "a")}, Options()),
        lambda: analysis_id("d", {**ROLES, "weights": "v"}, Options()),
        lambda: analysis_id("d", ROLES, Options(seed=1)),
        lambda: analysis_id("d", ROLES, Options(folds_version=1)),
        lambda: analysis_id("d", ROLES, Options(alpha=0.01)),
        lambda: analysis_id("d", ROLES, Options(estimators=["aipw"])),
    ],
)  # fmt: skip
def test_an_id_changes_with_the_data_the_mapping_and_each_option(change: Callable[[], str]) -> None:
    assert change() != analysis_id("d", ROLES, Options())


def test_an_id_changes_with_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    before = analysis_id("d", ROLES, Options())
    monkeypatch.setattr(key, "code_version", lambda: "another")
    assert analysis_id("d", ROLES, Options()) != before


def test_the_code_version_names_the_release_and_stays_the_same_in_one_process() -> None:
    release, _, sources = code_version().partition("+")
    assert release[0].isdecimal()
    assert len(sources) == 12
    code_version.cache_clear()
    assert code_version() == f"{release}+{sources}"
