"""A folder that is an Iceberg table, summed where it is: the numbers of its rows in memory."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from pyiceberg.table import Table
from pyiceberg.transforms import IdentityTransform

import cqox
from cqox.analysis import own_tables
from cqox.api.session import Session
from cqox.errors import InvalidRequest, SourceDown, UnreadableFile, UnusableData
from tests.sources.iceberg_tables import catalog, folder_of

ROWS = 240_000
"""More than the rows that are held in memory of a table in place."""
ROLES = {"y": "sales", "treatment": "campaign", "covariates": ["age", "region"], "unit_id": "unit"}
SUMMED = ("difference_in_means", "ols_adjustment", "lin_interacted", "ipw_ate", "aipw", "dml_plr")


def frame_of(rows: int, seed: int) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    age, region = rng.normal(40.0, 10.0, rows), rng.integers(0, 3, rows)
    arm = (rng.random(rows) < 1 / (1 + np.exp(0.05 * (age - 40)))).astype(int)
    return pl.DataFrame(
        {
            "sales": 2.0 * arm + age / 10 + region + rng.normal(size=rows), "campaign": arm, "age": age,
            "region": np.array(["north", "south", "west"])[region], "unit": seed * rows + np.arange(rows),
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    """A table in several snapshots, one half with the former name of a column and without partitions."""
    parts = [frame_of(ROWS // 3, seed).to_arrow() for seed in range(3)]
    made = catalog(tmp_path_factory.mktemp("lake")).create_table(
        "db.visits", schema=parts[0].rename_columns(["sales", "campaign", "years", "region", "unit"]).schema
    )
    made.append(parts[0].rename_columns(made.schema().column_names))
    with made.update_schema() as update:
        update.rename_column("years", "age")
    with made.update_spec() as spec:
        spec.add_field("region", IdentityTransform(), "by_region")
    made.append(parts[1])
    made.append(parts[2])
    made.delete("sales > 9")
    return made


def test_all_rows_of_the_snapshot_have_the_numbers_of_memory(table: Table, session: Session) -> None:
    wanted = cqox.analyze(
        pl.DataFrame(table.scan().to_arrow()), **ROLES, engine="memory", estimators=list(SUMMED), session=session
    )
    found = cqox.analyze(folder_of(table), **ROLES, estimators=list(SUMMED), session=session)
    for name in SUMMED:
        assert found[name].n == wanted[name].n is not None
        for field in ("estimate", "standard_error", "ci_lower", "ci_upper"):
            value = getattr(wanted[name], field)
            assert getattr(found[name], field) == pytest.approx(value, rel=1e-8, abs=0), (name, field)
    snapshot = table.metadata.current_snapshot_id
    assert found.provenance.engine.startswith("duckdb ")
    assert (found.provenance.source, found.provenance.table) == ("files", "visits")
    assert found.provenance.snapshot.startswith(f"{snapshot}")
    assert any(f"the Iceberg table 'visits' in its snapshot {snapshot}" in note for note in found.notes)
    again = cqox.analyze(str(folder_of(table)), **ROLES, estimators=list(SUMMED), session=session)
    assert again.provenance.cache == "hit"


def small(folder: Path) -> Table:
    part = frame_of(600, 1).to_arrow()
    made = catalog(folder).create_table("db.visits", schema=part.schema)
    made.append(part)
    return made


def test_another_snapshot_is_another_answer(tmp_path: Path, session: Session) -> None:
    made = small(tmp_path)
    first = cqox.analyze(folder_of(made), **ROLES, session=session)
    made.append(frame_of(600, 2).to_arrow())
    second = cqox.analyze(folder_of(made), **ROLES, session=session)
    assert (first.provenance.rows, second.provenance.rows) == (600, 1200)
    assert first.provenance.snapshot != second.provenance.snapshot
    assert cqox.roles(folder_of(made), session=session).mapping["y"] == "sales"


def test_what_is_not_read_says_what_to_do(tmp_path: Path, session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    made = small(tmp_path)
    folder = folder_of(made)
    with pytest.raises(UnreadableFile, match="only analysed where it is"):
        cqox.analyze(folder, **ROLES, engine="memory", session=session)
    with pytest.raises(InvalidRequest, match="'read' says how"):
        cqox.analyze(folder, **ROLES, read={"encoding": "utf-8"}, session=session)
    with monkeypatch.context() as patched:
        patched.setattr(own_tables, "find_spec", lambda name: None if name == "pyiceberg" else True)
        with pytest.raises(InvalidRequest, match=r"pip install 'cqox\[iceberg\]'"):
            cqox.analyze(folder, **ROLES, session=session)
    (file,) = (folder / "data").glob("*.parquet")
    file.rename(tmp_path / "gone.parquet")
    for _ in range(5):
        with pytest.raises(SourceDown, match=f"'{file.name}' of the Iceberg table 'visits' is not there"):
            cqox.analyze(folder, **ROLES, session=session)
    made.delete("campaign >= 0")
    with pytest.raises(UnusableData, match="no rows"):
        cqox.analyze(folder, **ROLES, session=session)
