"""Bodies that are accepted and refused, and the work of it: validation runs in the event loop of a service."""

import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from pydantic import JsonValue

from cqox.contract import MOST_COLUMNS, AnalyzeRequest, parse_model
from cqox.contract.roles import canonical_role
from cqox.errors import InvalidRequest

MAPPING = {"y": "y", "treatment": "w"}
AT_THE_LIMIT = 4 * 2**20
"""Bytes that a body may have."""

MOST_INSTRUCTIONS_PER_VALUE, MOST_INSTRUCTIONS_PER_BODY = 200, 100_000
"""Twice and three times what any of these bodies takes; work that grows as the square of a body takes far more."""

MOST_FOLDED = 1_000
"""Characters of the longest text that may be normalized: the C code takes a time that can grow as its square."""


def body(mapping: object = None, **options: object) -> dict[str, JsonValue]:
    return {"dataset_id": "test", "mapping": MAPPING if mapping is None else mapping, "options": options}  # type: ignore[dict-item]


def parsed(asked: dict[str, JsonValue]) -> AnalyzeRequest:
    request = parse_model(AnalyzeRequest, asked)
    request.roles()
    return request


NAMES = [f"c{number}" for number in range(MOST_COLUMNS)]
HOSTILE: dict[str, dict[str, JsonValue]] = {
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


def values_in(body: JsonValue) -> int:
    if isinstance(body, dict):
        return len(body) + sum(map(values_in, body.values()))
    return 1 + sum(map(values_in, body)) if isinstance(body, list) else 1


@contextmanager
def at_most_instructions(most: int) -> Iterator[None]:
    """Fail once the block has executed more instructions of Python than `most`."""
    monitoring, executed = sys.monitoring, 0

    def count(*_: object) -> None:
        nonlocal executed
        executed += 1
        if executed > most:
            monitoring.set_events(monitoring.PROFILER_ID, 0)
            raise AssertionError(f"more than {most:,} instructions")

    monitoring.use_tool_id(monitoring.PROFILER_ID, "work of a body")
    monitoring.register_callback(monitoring.PROFILER_ID, monitoring.events.INSTRUCTION, count)
    try:
        monitoring.set_events(monitoring.PROFILER_ID, monitoring.events.INSTRUCTION)
        yield
    finally:
        monitoring.set_events(monitoring.PROFILER_ID, 0)
        monitoring.free_tool_id(monitoring.PROFILER_ID)


@pytest.mark.parametrize("name", HOSTILE)
def test_the_work_on_a_body_grows_no_faster_than_the_body(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    normalize = unicodedata.normalize

    def bounded(form: str, text: str) -> str:
        assert len(text) <= MOST_FOLDED
        return normalize(form, text)  # type: ignore[arg-type]

    monkeypatch.setattr(unicodedata, "normalize", bounded)
    refused: list[InvalidRequest] = []
    most = MOST_INSTRUCTIONS_PER_BODY + MOST_INSTRUCTIONS_PER_VALUE * values_in(HOSTILE[name])
    with at_most_instructions(most):
        try:
            parsed(HOSTILE[name])
        except InvalidRequest as error:
            refused.append(error)
    assert all(len(error.detail) < 1_000 for error in refused)


def test_a_refusal_of_repeated_columns_names_a_few_of_them() -> None:
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
    with pytest.raises(InvalidRequest, match=r"names 10,001 columns\. At most 10,000") as caught:
        parsed(body(more))
    assert caught.value.field == "mapping.covariates"


@pytest.mark.parametrize("alpha", [1e-11, 1e-16, 1e-300, 0.0, 0.5])
def test_a_level_at_which_no_interval_has_an_end_is_refused(alpha: float) -> None:
    with pytest.raises(InvalidRequest, match=r"'options\.alpha' is not valid") as caught:
        parsed(body(alpha=alpha))
    assert caught.value.field == "options.alpha"


def test_a_word_longer_than_any_role_means_none() -> None:
    assert canonical_role("Ｙ") == "y"
    assert canonical_role(" " * 200 + "y") is None
