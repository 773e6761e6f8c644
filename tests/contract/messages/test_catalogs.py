import string

import pytest

from cqox.contract.messages import LANGUAGES, codes, render, template
from cqox.contract.messages.catalogs import fill


@pytest.mark.parametrize(
    ("text", "value", "filled"),
    [
        ("{x:count row}", 1, "1 row"),
        ("{x:count row}", 2000, "2000 rows"),
        ("{x:count, row}", 2000, "2,000 rows"),
        ("{x:count analysis/analyses}", 2, "2 analyses"),
        ("{x:plural is/are}", 1, "is"),
        ("{x:plural is/are}", 0, "are"),
        ("{x:list}", ["a", "b", "c"], "a, b, c"),
        ("{x:list or}", ["a", "b", "c"], "a, b or c"),
        ("{x:list or quoted}", ["a", "b"], "'a' or 'b'"),
        ("{x:list and}", ["a"], "a"),
        ("{x:list quoted}", [], ""),
        ("{x:join ; }", ["a", 1], "a; 1"),
        ("not run ({x:clause})", "No number: singular.", "not run (No number: singular)"),
        ("{x:.3g}", 1234.5, "1.23e+03"),
        ("{x!r}", "a", "'a'"),
    ],
)
def test_a_field_is_formatted(text: str, value: object, filled: str) -> None:
    assert fill(text, {"x": value}) == filled


def test_a_list_field_refuses_what_is_no_list() -> None:
    with pytest.raises(TypeError, match="a list is needed"):
        fill("{x:list}", {"x": "abc"})


def test_a_missing_translation_shows_the_english_marked() -> None:
    assert render("ja", "text.verbatim", {"text": "a"}) == "a"
    assert render("ja", "text.gone", {}, english="Gone.") == "[en] Gone."
    with pytest.raises(KeyError):
        render("ja", "text.gone", {})


def test_no_code_reaches_a_file_outside_the_catalogs() -> None:
    assert template("en", "../en/text.verbatim") is None
    assert template("en", "text") is None


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_template_is_a_format_string_with_named_fields(language: str) -> None:
    names = [
        (code, name)
        for code in codes(language)  # type: ignore[arg-type]
        for _, name, _, _ in string.Formatter().parse(template(language, code) or "")  # type: ignore[arg-type]
        if name is not None
    ]
    assert names
    assert [each for each in names if not each[1].isidentifier()] == []


@pytest.mark.parametrize(
    ("code", "field", "one", "several"),
    [
        ("iv.too-many-instruments", "instruments", "1 instrument is too many", "2 instruments are too many"),
        ("nuisance.clipped", "rows", "1 propensity score outside", "2 propensity scores outside"),
        ("panel.untreated-units-left-out", "units", "1 untreated unit is not", "2 untreated units are not"),
        ("rd.few-clusters", "clusters", "There is 1 cluster within", "There are 2 clusters within"),
    ],
)
def test_nouns_and_verbs_agree_with_the_number(code: str, field: str, one: str, several: str) -> None:
    others = {name: 9 for _, name, _, _ in string.Formatter().parse(template("en", code) or "") if name}
    assert render("en", code, {**others, field: 1}).startswith(one)
    assert render("en", code, {**others, field: 2}).startswith(several)


def test_a_reason_of_an_estimator_names_its_subject() -> None:
    areas = [
        "adjustment",
        "dose",
        "estimators",
        "inference",
        "interference",
        "iv",
        "learners",
        "matching",
        "mediation",
        "nuisance",
        "numerics",
        "off_policy",
        "panel",
        "rd",
        "sensitivity",
        "synthetic",
        "time_series",
    ]
    sentences = {code: template("en", code) or "" for code in codes("en") if code.partition(".")[0] in areas}
    assert sentences
    assert [code for code, text in sentences.items() if text.startswith(("It ", "Its ", "They "))] == []


def test_mapping_a_role_and_assigning_a_treatment_are_different_words_in_japanese() -> None:
    assert render("ja", "analysis.no-unit-id", {}).startswith("unit_idが指定されていない")
    assert "割り当て" in render("ja", "identification.trial", {})
