"""The run of `python -m tests.engines`, with what `make test` has."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pytest

from cqox.estimators.by_moments.catalog import BY_MOMENTS, OF_WHOLE_PANELS
from tests.engines.__main__ import main
from tests.engines.opened import ENGINES, Store

EMPTY = "before\n<!-- differences -->\n<!-- end -->\nafter\n"


@pytest.fixture
def page(tmp_path: Path) -> Path:
    file = tmp_path / "engines.md"
    file.write_text(EMPTY, encoding="utf-8")
    return file


@contextmanager
def wrong(folder: Path) -> Iterator[Store]:
    """DuckDB, in whose table one column is wrong in the seventh digit."""
    with ENGINES["DuckDB"](folder) as store:
        yield lambda frame: store(frame.with_columns(pl.col("^(y|r)$") * (1 + 1e-6)))


def test_an_engine_that_is_near_memory_passes(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main({"DuckDB": ENGINES["DuckDB"]}, page) == 0
    written = page.read_text(encoding="utf-8")
    assert "| | DuckDB |\n" in written
    assert "**" not in written
    assert capsys.readouterr().out.startswith(f"DuckDB: {len(BY_MOMENTS)} estimates, at most ")


def test_an_engine_that_is_far_fails_and_is_named(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main({"DuckDB": ENGINES["DuckDB"], "Other": wrong}, page) == 1
    written = page.read_text(encoding="utf-8")
    rows = [line for line in written.splitlines() if line.startswith("| `")]
    # What reads single rows does not take them from the engine here.
    assert [row.count("**") for row in rows] == [0 if name in OF_WHOLE_PANELS else 2 for name in BY_MOMENTS]
    said = capsys.readouterr().out
    assert "Other: aipw is " in said
    assert "DuckDB: aipw is " not in said


@pytest.mark.parametrize(("engine", "package"), [("ClickHouse", "chdb"), ("Spark", "pyspark")])
def test_an_engine_that_is_not_installed_ends_the_run(
    page: Path, monkeypatch: pytest.MonkeyPatch, engine: str, package: str
) -> None:
    for module in {package, *(name for name in sys.modules if name.startswith(f"{package}."))}:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ModuleNotFoundError, match=package):
        main({name: ENGINES[name] for name in ("DuckDB", engine)}, page)
    assert page.read_text(encoding="utf-8") == EMPTY
