import pytest

from cqox.analysis.chosen import chosen_estimators, primary_of, settings_of
from cqox.contract import Options
from cqox.errors import InvalidRequest
from cqox.estimators import Plan, Settings, catalog
from tests.estimators.designs import cross_section


def options(**given: object) -> Options:
    return Options.model_validate(given)


def test_every_estimator_of_the_catalog_is_chosen_unless_some_are_named() -> None:
    assert chosen_estimators(options()) == catalog()
    some = chosen_estimators(options(estimators=["difference_in_means"], primary="aipw"))
    assert [entry.name for entry in some] == ["difference_in_means", "aipw"]


def test_an_estimator_on_request_runs_where_it_is_named() -> None:
    named = chosen_estimators(options(estimators=["causal_forest"]))
    assert [entry.name for entry in named] == ["causal_forest"]
    assert settings_of(options(estimators=["causal_forest"], seed=7), 2).named == {"causal_forest"}
    assert settings_of(options(seed=7), 2).seed == 7


def test_the_primary_is_refused_with_an_assumption_that_its_design_does_not_have() -> None:
    plan = Plan(cross_section(), Settings())
    assert primary_of(plan, catalog(), options()).name == "aipw"
    with pytest.raises(InvalidRequest):
        primary_of(plan, catalog(), options(assumes=["continuity"]))


def test_what_all_rows_refuse_is_the_primary_only_where_it_was_asked_for() -> None:
    plan = Plan(cross_section(), Settings())
    assert primary_of(plan, catalog(), options(), {"aipw": "a reason"}).name != "aipw"
    asked = primary_of(plan, catalog(), options(primary="aipw"), {"aipw": "a reason"})
    assert asked == primary_of(plan, [each for each in catalog() if each.name != "aipw"], options(primary="aipw"))
    assert asked.rule != primary_of(plan, catalog(), options(primary="aipw")).rule
