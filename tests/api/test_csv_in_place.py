"""An estimate and roles of one CSV file in place, against those in memory."""

from pathlib import Path

import pytest

import cqox
from cqox.api.session import Session

WORDS = ("-", "?", ".", "None", "NA", "n/a", "欠損")


def test_results_of_a_file_with_words_for_missing_values_are_those_in_memory(tmp_path: Path, session: Session) -> None:
    path = tmp_path / "t.csv"
    rows = [
        f'{WORDS[row % 7] if row % 29 == 0 else f"{row * 7 % 31}.5"},{row % 2},{row % 5:02d},"{row * 3 % 17},000"'
        for row in range(400)
    ]
    path.write_text("y,t,code,income\n" + "\n".join(rows) + "\n", encoding="utf-8")
    roles = {"y": "y", "treatment": "t", "covariates": ["code", "income"]}
    found, wanted = (
        cqox.analyze(path, **roles, engine=engine, estimators=["ols_adjustment"], session=session)["ols_adjustment"]
        for engine in ("duckdb", "memory")
    )
    assert found.n == wanted.n
    assert found.estimate == pytest.approx(wanted.estimate, rel=1e-10)
    inferred, read = (cqox.roles(path, engine=engine, session=session) for engine in ("duckdb", "memory"))
    assert inferred.mapping == read.mapping
