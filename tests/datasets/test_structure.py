"""The panel index, how 0/1 columns run within units, and sets of indicators are read from the cells."""

import polars as pl
import pytest

from cqox.datasets import Limits, ReadOptions, Structure, Table, read_table, rows_to_look_at, structure_of

UNITS, PERIODS = 12, 6


@pytest.fixture
def read(tmp_path):
    def read(frame: pl.DataFrame) -> Table:
        path = tmp_path / "table.csv"
        frame.write_csv(path)
        return read_table(path, name="table", limits=Limits(), options=ReadOptions())

    return read


def panel(**more: object) -> pl.DataFrame:
    rows = [(unit, period) for unit in range(UNITS) for period in range(PERIODS)]
    columns = {
        "nr": [100 + unit for unit, _ in rows],
        "year": [2000 + period for _, period in rows],
        "ever": [int(unit < 6) for unit, _ in rows],
        "late": [int(period >= 3) for _, period in rows],
        "law": [int(unit < 6 and period >= 2 + unit % 3) for unit, period in rows],
        "wavers": [int((unit * 5 + period * 3) % 4 == 0) for unit, period in rows],
        "y": [round((unit * 37 + period * 11) % 23 + 0.5, 1) for unit, period in rows],
    }
    return pl.DataFrame(columns | more)


def structure(table: Table) -> Structure:
    return structure_of(table.frame, table.columns)


@pytest.mark.parametrize("is_shuffled", [False, True])
def test_a_panel_is_found_by_pairs_that_are_unique_in_whatever_order(read, is_shuffled: bool) -> None:
    frame = panel()
    found = structure(read(frame.sample(fraction=1, shuffle=True, seed=3) if is_shuffled else frame))
    assert (found.unit, found.time) == ("nr", "year")
    assert found.absorbing == ("law",)
    assert found.varying == {"law", "wavers"}
    assert found.calendar == {"late"}
    assert "ever" in found.fixed
    assert "law" not in found.fixed


def test_repeated_pairs_are_no_panel(read) -> None:
    found = structure(read(pl.concat([panel(), panel()])))
    assert found.unit is None
    assert found.absorbing == ()
    assert found.calendar == {"late"}


def test_a_share_that_is_phased_in_at_another_time_is_seen_and_one_that_starts_with_a_column_is_not(read) -> None:
    law = panel()["law"].to_list()
    starts = [before == 0 and now == 1 for before, now in zip([0, *law], law, strict=False)]
    with_law = [0.4 if index < 8 and starts[index] else float(now) for index, now in enumerate(law)]
    other = [min(1.0, max(0.0, (row % PERIODS - 3) / 2)) * (row // PERIODS % 2) for row in range(UNITS * PERIODS)]
    found = structure(read(panel(with_law=with_law, other=other)))
    assert found.phased_in == {"other"}


def test_numbered_and_exhaustive_sets_of_0_1_columns_are_indicators(read) -> None:
    row = range(60)
    frame = pl.DataFrame(
        {f"occ{k}": [int(i % 5 == k) for i in row] for k in range(3)}
        | {"farm": [int(i % 3 == 0) if i % 9 else None for i in row], "mine": [int(i % 3 == 1) for i in row]}
        | {"trade": [int(i % 3 == 2 and i > 2) for i in row], "w": [int(i % 7 < 2) for i in row]}
    )
    assert structure(read(frame)).indicators == {"occ0", "occ1", "occ2", "farm", "mine", "trade"}


def test_of_many_rows_whole_units_are_looked_at(read) -> None:
    rows = range(30_000)
    frame = pl.DataFrame({"store_id": [f"s{i % 3000}" for i in rows], "y": [i % 97 + 0.5 for i in rows]})
    table = read(frame)
    kept = rows_to_look_at(table.frame.get_column, table.columns)
    chosen = table.frame.filter(kept)
    assert chosen.height == 20_000
    assert (chosen["store_id"].value_counts()["count"] == 10).all()
    two = read(frame.with_columns(pl.Series("store_id", [f"s{i % 29_000 == 7}" for i in rows])))
    assert 10_000 <= rows_to_look_at(two.frame.get_column, two.columns).sum() <= 20_000
    plain = read(frame.select("y"))
    assert 10_000 <= rows_to_look_at(plain.frame.get_column, plain.columns).sum() <= 20_000
    places = rows_to_look_at(plain.frame.get_column, plain.columns).arg_true()
    assert places[0] == 0
    assert places.diff().drop_nulls().n_unique() == 1
    assert rows_to_look_at(plain.frame.head(10).get_column, read(frame.head(10)).columns) is None


def test_a_period_within_the_year_is_no_unit(read) -> None:
    frame = pl.DataFrame({"year": [2000 + i // 4 for i in range(80)], "quarter": [1 + i % 4 for i in range(80)]})
    assert structure(read(frame)).unit is None


def test_a_table_of_one_row_has_no_structure(read) -> None:
    assert structure(read(panel().head(1))) == Structure()
