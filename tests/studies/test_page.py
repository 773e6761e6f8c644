import importlib.util
from pathlib import Path

import pytest

from tests.studies.catalog import STUDIES
from tests.studies.checks import Check
from tests.studies.page import HEADING, PAGE, section, write
from tests.studies.test_verdicts import GOOD, NULL, record
from tests.studies.verdicts import Row, rows

CHECKS = [
    Check(name="overlap", says="fails", good_runs=1200, size=0.0125, worst=("small", 0.02),
          others=[(f"s{number}", 1 - number / 10) for number in range(6)]),
    Check(name="totals", says="found", good_runs=0, size=None, worst=None, others=[]),
]  # fmt: skip


@pytest.fixture
def found() -> list[Row]:
    ledger = {"ledger": {"untested": ["unconfounded"], "declared": ["no_interference"]}}
    good = [record(GOOD, number, "GO" if number else "CANARY") for number in range(8)]
    return rows(STUDIES, [*good, *(record(NULL, number, "GO", **ledger) for number in range(100))])


def test_each_study_is_a_line_of_the_table_of_its_kind(found: list[Row]) -> None:
    lines = section(found, CHECKS).splitlines()
    assert lines[0] == HEADING
    assert "2 studies, of which 1 fail." in lines
    good = next(line for line in lines if line.startswith(f"| {GOOD.name} |"))
    assert "| good | 8 | 87.5% | 12.5% | 0.0% |" in good
    null = next(line for line in lines if line.startswith(f"| {NULL.name} |"))
    assert null.endswith("| **fails** | untested `unconfounded`; declared `no_interference` |")
    assert lines.index("### Good studies, rightly declared") < lines.index("### Studies without a gain")


def test_each_check_is_a_line_with_its_size_and_its_power(found: list[Row]) -> None:
    lines = section(found, CHECKS).splitlines()
    assert (
        "| `overlap` | fails | 1,200 | 1.2% | small (2.0%) | s0 (100.0%), s1 (90.0%), s2 (80.0%), s3 (70.0%) |" in lines
    )
    assert lines[-1] == "| `totals` | found | 0 | – | – | – |"


def test_the_section_takes_the_place_of_the_one_before(found: list[Row], tmp_path: Path) -> None:
    page = tmp_path / "validation.md"
    page.write_text("# Validation\n\n## A design\n\nText.\n", encoding="utf-8")
    write(found[:1], [], page)
    write(found, CHECKS, page)
    assert page.read_text(encoding="utf-8") == f"# Validation\n\n## A design\n\nText.\n\n{section(found, CHECKS)}"


def test_the_page_of_estimators_keeps_the_section(found: list[Row]) -> None:
    spec = importlib.util.spec_from_file_location("docs_validate", PAGE.with_name("validate.py"))
    assert spec is not None
    assert spec.loader is not None
    validate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(validate)
    assert validate.studies("# Validation\n\nText.\n") == ""
    assert validate.studies(f"# Validation\n\nText.\n\n{section(found, CHECKS)}") == f"\n{section(found, CHECKS)}"
