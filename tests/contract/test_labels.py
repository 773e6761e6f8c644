from cqox.contract.labels import described, estimand_name
from cqox.estimators import catalog


def test_every_estimator_of_the_catalog_has_a_name_of_the_field():
    for entry in catalog():
        assert "_" not in described(entry.name)
        assert described(entry.name)[0].isupper(), entry.name


def test_an_unknown_estimator_keeps_its_own_name_without_its_estimand():
    assert described("new_method_att") == "new method"


def test_estimands_that_are_words_have_a_name_in_each_language_and_abbreviations_stay():
    assert estimand_name("policy value").in_language("ja") != "policy value"
    assert estimand_name("ATE") == "ATE"
