"""The catalog and the definitions from Python."""

import cqox
from cqox.api.session import Session
from cqox.contract import ESTIMATORS


def test_the_catalog_has_every_estimator_with_its_source(session: Session) -> None:
    found = {each.name: each for each in cqox.catalog(session=session)}
    assert set(found) == set(ESTIMATORS)
    assert found["aipw"].estimand == "ATE"
    assert all(each.paper and each.checked_against for each in found.values())


def test_definitions_are_in_the_language_asked_for(session: Session) -> None:
    english = {each.name: each for each in cqox.definitions(session=session)}
    japanese = {each.name: each for each in cqox.definitions(language="ja", session=session)}
    assert english.keys() == japanese.keys() >= {"GO", "overlap", "parallel_trends"}
    assert english["GO"].meaning != japanese["GO"].meaning
