import pytest

from cqox.analysis.own_columns import OwnColumns, free_name


@pytest.mark.parametrize(
    ("taken", "name"),
    [([], "key"), (["Keys"], "key"), (["key"], "key_"), (["KEY", "key_"], "key__"), (["straße", "Key"], "key_")],
)
def test_a_name_that_no_column_has_in_any_case(taken: list[str], name: str) -> None:
    assert free_name("key", taken) == name


def test_what_an_engine_adds_has_names_that_the_table_does_not_have() -> None:
    names = ["row number", "Row Key", "fold key", "fold key_"]
    own = OwnColumns.of(names)
    found = {own.row, own.row_key, own.fold_key}
    assert len(found) == 3
    assert found.isdisjoint(names)
