from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import cqox.estimators
from cqox.contract.messages import Message
from cqox.estimators import Estimate, Plan, Settings, entries, run
from cqox.estimators.data import Data
from cqox.estimators.reasons import OF_MAPPING, depends_on_rows
from tests.estimators.designs import cross_section

FEW, MANY = 4, 400


def data(kind: str) -> Data:
    found = cross_section(n=MANY)
    unit, time = np.arange(MANY) // 4, np.arange(MANY) % 4
    match kind:
        case "an amount":
            dose = np.random.default_rng(1).normal(size=MANY)
            return replace(found, treatment=dose, treatment_kind="continuous", names={"treatment": ("dose",)})
        case "without covariates":
            return replace(found, covariates=np.empty((MANY, 0)), propensity_covariates=np.empty((MANY, 0)))
        case "weights and clusters":
            return replace(found, weights=np.ones(MANY), clusters=(unit,), fixed_effects=(unit,))
        case "a panel":
            return replace(found, unit=unit, time=time, time_values=np.arange(4.0))
    return found


KINDS = ("two arms", "an amount", "without covariates", "weights and clusters", "a panel")


def reasons(found: Data) -> Iterator[tuple[str, Message | None]]:
    plan = Plan(found, Settings())
    for each in entries():
        estimate: Estimate = run(each, plan)
        if estimate.status == "skipped":
            yield each.name, estimate.reason


@pytest.mark.parametrize("kind", KINDS)
def test_a_reason_of_the_mapping_is_that_of_all_rows_too(kind: str) -> None:
    every = data(kind)
    of_all = dict(reasons(every))
    few = {name: reason for name, reason in reasons(every.rows(np.arange(FEW))) if not depends_on_rows(reason)}
    assert few
    assert {name: of_all.get(name) for name in few} == few


def test_too_few_rows_are_a_reason_that_depends_on_them() -> None:
    found = dict(reasons(data("two arms").rows(np.arange(FEW))))
    assert depends_on_rows(found["lin_interacted"])


def test_every_reason_of_the_mapping_is_one_that_an_estimator_gives() -> None:
    folder = Path(cqox.estimators.__file__).parent
    source = "".join(each.read_text() for each in folder.rglob("*.py") if each.name != "reasons.py")
    assert [code for code in OF_MAPPING if f'"{code}"' not in source] == []
