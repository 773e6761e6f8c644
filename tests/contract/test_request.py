"""What a body may say, and how long it takes to find out: validation runs in the event loop of a service."""

import time

import pytest

from cqox.contract import MOST_COLUMNS, AnalyzeRequest, parse_model
from cqox.contract.roles import canonical_role
from cqox.errors import InvalidRequest

MAPPING = {"y": "y", "treatment": "w"}
AT_THE_LIMIT = 4 * 2**20
"""Bytes that a body may have."""

PATIENCE_SECONDS = 0.5
"""Several times what any of these takes on a slow machine; what grows as a square takes much longer."""


def body(mapping: object = None, **options: object) -> dict[str, object]:
    return {"dataset_id": "test", "mapping": MAPPING if mapping is None else mapping, "options": options}


def parsed(asked: dict[str, object]) -> AnalyzeRequest:
    request = parse_model(AnalyzeRequest, asked)  # type: ignore[arg-type]
    request.roles()
    return request


NAMES = [f"c{number}" for number in range(MOST_COLUMNS)]
HOSTILE = {
    "as many columns as are accepted": body({**MAPPING, "covariates": NAMES}),
    "all of them twice": body([{"role": role, "column": NAMES[:9_000]} for role in ("covariates", "x")]),
    "one column each": body([{"role": "covariates", "column": name} for name in NAMES]),
    "a million columns": body({**MAPPING, "covariates": ["x1"] * 1_000_000}),
    "numbers for names": body({**MAPPING, **{role: [1] * MOST_COLUMNS for role in ("covariates", "cluster", "iv")}}),
    "things for roles": body([{"role": 1, "column": {}} for _ in range(MOST_COLUMNS)]),
    "a role of megabytes": body({"y" * AT_THE_LIMIT: "y"}),
    "a role of combining marks": body({"a" + "\u0301\u0323" * 500_000: "y"}),
    "a role that unfolds": body({"\ufdfa" * 1_000_000: "y"}),
    "a cutoff of digits": body({"y": "y", "running": "x", "cutoff": "9" * AT_THE_LIMIT}),
    "a cutoff of combining marks": body({"y": "y", "running": "x", "cutoff": "1" + "\u0301\u0323" * 500_000}),
    "many estimators": body(estimators=["aipw"] * 100_000),
    "an estimator of megabytes": body(estimators=["aipw" * 1_000_000]),
    "estimators that there are not": body(estimators=["zzz" * 30] * 1_000),
    "many options": body(**{f"o{number}": 1 for number in range(1_000)}),
    "an option of megabytes": body(**{"a" * AT_THE_LIMIT: 1}),
    "many fields": {f"f{number}": 1 for number in range(300_000)},
    "a column of megabytes for a category": body(categorical=["c" * AT_THE_LIMIT]),
    "many categories": body(categorical=NAMES[:1_000]),
    "more categories": body(categorical=NAMES),
    "a list for a level": body(reference_level=[1] * 1_000_000),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_body_takes_long_to_be_accepted_or_refused(name: str) -> None:
    refused: list[InvalidRequest] = []
    began = time.perf_counter()
    try:
        parsed(HOSTILE[name])
    except InvalidRequest as error:
        refused.append(error)
    assert time.perf_counter() - began < PATIENCE_SECONDS
    assert all(len(error.detail) < 1_000 for error in refused)


def test_columns_named_twice_are_told_of_by_a_few_of_their_names() -> None:
    with pytest.raises(InvalidRequest, match="names a, b more than once") as caught:
        parsed(body({**MAPPING, "covariates": ["b", "a", "c", "a", "b"]}))
    assert caught.value.field == "mapping.covariates"
    with pytest.raises(InvalidRequest, match="c0, c1, c10, c100, c1000 and 995 others more than once"):
        parsed(body({**MAPPING, "covariates": [*NAMES[:1_001], *NAMES[:999], NAMES[1_000]]}))


def test_categories_named_twice_are_refused() -> None:
    assert parsed(body(categorical=["b", "a"])).options.categorical == ["b", "a"]
    assert parsed(body(categorical=[])).options == parsed(body()).options
    with pytest.raises(InvalidRequest, match=r"options\.categorical names a more than once") as caught:
        parsed(body(categorical=["a", "b", "a"]))
    assert caught.value.field == "options.categorical"


def test_more_columns_than_are_accepted_are_refused_also_under_several_words_for_one_role() -> None:
    halves = [{"role": "covariates", "column": NAMES[:6_000]}, {"role": "x", "column": NAMES[6_000:]}]
    assert parsed(body([{"role": "y", "column": "y"}, *halves]))
    more = [*halves, {"role": "controls", "column": ["one more"]}]
    with pytest.raises(InvalidRequest, match="names 10,001 columns; at most 10,000") as caught:
        parsed(body(more))
    assert caught.value.field == "mapping.covariates"


@pytest.mark.parametrize("alpha", [1e-11, 1e-16, 1e-300, 0.0, 0.5])
def test_a_level_at_which_no_interval_has_an_end_is_refused(alpha: float) -> None:
    with pytest.raises(InvalidRequest, match=r"'options\.alpha' cannot be used") as caught:
        parsed(body(alpha=alpha))
    assert caught.value.field == "options.alpha"


def test_a_word_longer_than_any_role_means_none() -> None:
    assert canonical_role("Ｙ") == "y"
    assert canonical_role(" " * 200 + "y") is None
