"""`cqox explain` defines what a report names, in both languages, and names what is near a wrong name."""

from io import StringIO

import pytest
from rich.console import Console

from cqox.cli.definitions import print_definitions
from cqox.errors import InvalidRequest


def printed(*wanted: str, language: str = "en") -> str:
    out = StringIO()
    print_definitions(Console(file=out, width=200), wanted, language=language)  # type: ignore[arg-type]
    return out.getvalue()


def test_a_name_is_found_whatever_its_case() -> None:
    text = printed("canary", "exclusion")
    assert text.startswith("CANARY (verdict)")
    assert "May be declared in options.assumes of instrument, fuzzy_cutoff." in text
    assert "overlap" not in text


def test_an_assumption_is_explained_with_its_thresholds() -> None:
    assert "19 donors or more" in printed("donor_match")
    assert "ドナーが19個以上" in printed("donor_match", language="ja")


def test_estimators_roles_and_options_are_explained() -> None:
    text = printed("aipw", "cohort", "Assignment")
    assert text.startswith("aipw (estimator)")
    assert "Needs the roles y, treatment" in text
    assert "cohort (role)" in text
    assert 'Default: "unknown".' in text
    assert printed("header_rows").startswith("header_rows (option)")


def test_an_unknown_name_does_not_suppress_the_others() -> None:
    out = StringIO()
    with pytest.raises(InvalidRequest) as refused:
        print_definitions(Console(file=out, width=200), ["CANARY", "overlapp", "aipww", "aipw"], language="en")
    assert "CANARY (verdict)" in out.getvalue()
    assert "aipw (estimator)" in out.getvalue()
    assert "'overlapp'" in str(refused.value)
    assert "'aipww'" in str(refused.value)
    assert {"overlap", "aipw"} <= set(refused.value.choices or ())


def test_without_names_everything_is_defined() -> None:
    text = printed()
    assert all(f"{name} (" in text for name in ("GO", "overlap", "parallel_trends", "untested"))


def test_definitions_are_in_the_language_asked_for() -> None:
    assert "（" in printed("GO", language="ja") or "判定" in printed("GO", language="ja")
    assert "[en]" not in printed(language="ja")


def test_an_unknown_name_is_refused_with_those_that_are_near() -> None:
    with pytest.raises(InvalidRequest) as refused:
        printed("overlapp")
    assert next(iter(refused.value.choices or ())) == "overlap"
