"""Settings of files: those of the constructors, with their ranges, in code and in the schema alike."""

import inspect
import math
from collections.abc import Mapping

import jsonschema
import pytest

from cqox.resilience.configuration.settings import BUDGET, IN_CODE, PARTS, TABLES, Kind, read_settings
from cqox.resilience.configuration.values import Choice, Count, Duration, Flag, Name, Number, Rate
from cqox.resilience.testing import Script

KINDS = [*PARTS.values(), *TABLES.values(), BUDGET]
PLAIN = (Count, Duration, Number, Rate, Flag, Choice, Name)
VALUES = [-1, 0, 1, 2, 3, 0.5, 1.5, -0.5, 1e-9, 10**400, True, False, "full", "", "text", [], {}, math.inf, math.nan]
# What a constructor needs besides, chosen so that only the value in question decides.
NEEDED: dict[str, dict[str, object]] = {
    "Bulkhead": {"max_concurrent": 1},
    "CircuitBreaker": {"name": "circuit"},
    "Fallback": {"answer": Script("answer")},
    "Hedge": {"delay": 1.0},
    "RateLimit": {"calls": 1},
    "Shed": {"capacity": 1},
    "Timeout": {"seconds": 1.0},
    "AdaptiveLimit": {"initial_limit": 3, "max_limit": 3},
}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_file_can_give_every_argument_but_those_of_code(kind: Kind) -> None:
    parameters = set(inspect.signature(kind.made_by).parameters)
    assert set(kind.settings) == parameters - IN_CODE
    assert {name for name in kind.settings if not kind.description(name)} == set()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_file_and_code_agree_on_ranges(kind: Kind) -> None:
    needed = NEEDED.get(kind.name, {})
    compared = 0
    for name, value in kind.settings.items():
        if not isinstance(value, PLAIN) or name == "budget":
            continue
        for given in VALUES:
            if given == 10**400 and isinstance(value, Count):
                continue  # the arithmetic of some parts is in floats
            arguments = {**needed, name: given}
            if name == "max_limit":
                arguments["initial_limit"] = 1
            accepted = accepts(lambda: kind.made_by(**arguments))  # noqa: B023 - called at once
            assert accepts(lambda: value.read(name, given)) == accepted, (name, given)  # noqa: B023 - likewise
            compared += 1
    assert compared > 0


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_file_and_the_schema_agree_on_ranges(kind: Kind) -> None:
    for name, value in kind.settings.items():
        if not isinstance(value, PLAIN):
            continue
        validator = jsonschema.Draft202012Validator(value.schema())
        for given in VALUES:
            # JSON has no such number, and a duration of 10**400 s is an overflow of no interest to a schema.
            if given == 10**400 or (isinstance(given, float) and not math.isfinite(given)):
                continue
            assert validator.is_valid(given) == accepts(lambda: value.read(name, given)), (name, given)  # noqa: B023


def accepts(call: object) -> bool:
    assert callable(call)
    try:
        call()
    except (ValueError, TypeError):
        return False
    return True


def problems_of(kind: Kind, given: Mapping[object, object]) -> list[str]:
    problems: list[str] = []
    read_settings("at", given, kind, problems)
    return problems


def test_every_problem_of_a_table_is_reported() -> None:
    assert problems_of(PARTS["Retry"], {"max_attempts": 0, "max_dely": 1, "clock": "x", "base_delay": -1}) == [
        "at.max_attempts must be an integer of at least 1, not 0",
        "at has no setting 'max_dely' of Retry: did you mean 'max_delay'?",
        "at.clock cannot be in a file: only code can give it",
        "at.base_delay must be a number of seconds at least 0, and finite, not -1",
    ]
    assert problems_of(PARTS["Timeout"], {}) == ["at lacks 'seconds', which Timeout needs"]
    assert problems_of(PARTS["Timeout"], {"seconds": "5"}) == [
        "at.seconds must be a number of seconds above 0, not '5'"
    ]
    assert problems_of(PARTS["CircuitBreaker"], {"failure_rate": {"rate": 2, "secnds": 1}}) == [
        "at.failure_rate.rate must be a finite number above 0 and at most 1, not 2",
        "at.failure_rate has no setting 'secnds' of FailureRate: did you mean 'seconds'?",
    ]
    both = problems_of(PARTS["CircuitBreaker"], {"failure_rate": {"window": 2, "seconds": 1}})
    assert both == ["at.failure_rate: a window is counted in calls or in seconds, not in both: window=2, seconds=1.0"]
    assert problems_of(PARTS["CircuitBreaker"], {"failure_rate": 0.5}) == [
        "at.failure_rate must be a table of settings, not 0.5"
    ]


def test_defaults_are_those_of_the_constructor() -> None:
    defaults = PARTS["Retry"].with_defaults({"max_attempts": 7})
    assert (defaults["max_attempts"], defaults["base_delay"], defaults["jitter"]) == (7, 1.0, True)
    limit = PARTS["RateLimit"]
    assert limit.with_defaults({"calls": 5})["burst"] == 5
    assert limit.with_defaults({"calls": 5, "burst": 2})["burst"] == 2
    assert PARTS["Retry"].required == frozenset()
    assert PARTS["CircuitBreaker"].required == frozenset()
    assert PARTS["Bulkhead"].required == {"max_concurrent"}
