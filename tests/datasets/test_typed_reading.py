"""Columns are read one after another, in slices where they are long texts, and give the same table as whole."""

import io
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from unittest import mock

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cqox.datasets import (
    Limits,
    Table,
    columnar,
    dates,
    delimited,
    numbers,
    parsed_cells,
    sliced_texts,
    slices,
    typed_reading,
)  # fmt: skip
from cqox.datasets.interpret import interpret
from cqox.datasets.typed_columns import TypedColumns
from cqox.datasets.typed_reading import TextSizes
from cqox.errors import CqoxError, LimitExceeded
from tests.datasets.conftest import Read

_REMARKS = st.one_of(
    st.integers(0, 99).map("{} 番目の感想は、とても長い".format),
    st.sampled_from(
        ["", " ", "NA", "-", "なし", "合計", "商品の合計", "Total", "か\u3099んそう です、とても", " 感想, とても長い "]
    ),
)
_ROWS = st.lists(st.tuples(_REMARKS, st.sampled_from(["1", "2.5", ""]), _REMARKS), min_size=4, max_size=40)


@contextmanager
def _in_slices(*, on_disk: bool, together: int) -> Iterator[None]:
    """Read columns of texts in slices of a few rows, in memory or on the disk, whatever their size."""
    stack = ExitStack()
    for owner, name, value in (
        (typed_reading, "_LEAST_BYTES", -1), (sliced_texts, "_FIRST", 3), (sliced_texts, "_LOOKED_AT", 8),
        (slices, "_ROWS", 3), (slices, "_FIRST_ROWS", 2), (slices, "_MOST_ROWS", 3),
        (delimited, "_SPOOLED_BYTES", 0), (columnar, "_SPOOLED_CELLS", 0 if on_disk else 1 << 40),
        (parsed_cells, "_HELD_BYTES", 0 if on_disk else 1 << 40), (TypedColumns, "_MOST_TOGETHER", together),
    ):  # fmt: skip
        stack.enter_context(mock.patch.object(owner, name, value))
    with stack:
        yield


def _outcome(read: Read, content: bytes | str, **options: object) -> tuple[object, ...]:
    try:
        table = read(content, **options)
    except CqoxError as error:
        return (type(error), str(error))
    assert isinstance(table, Table)
    return (table.frame.to_dict(as_series=False), table.frame.schema, table.description)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(
    rows=_ROWS, blank=st.sampled_from([0, 3]), on_disk=st.booleans(), together=st.sampled_from([-1, 1 << 40]),
    na=st.sampled_from([None, ("なし", "NA")]),
)  # fmt: skip
def test_a_table_is_the_same_in_slices(
    read: Read, rows: list[tuple[str, str, str]], blank: int, on_disk: bool, together: int, na: tuple[str] | None
) -> None:
    lines = ["感想,値,理由", *(",".join(f'"{cell}"' if cell else "" for cell in row) for row in rows)]
    if blank:
        lines.insert(blank, "")
    content = "\n".join(lines) + "\n"
    # A few texts decide here what hundreds do otherwise.
    with mock.patch.object(numbers, "_SAMPLE", 3), mock.patch.object(dates, "_SAMPLE", 2):
        expected = _outcome(read, content, na=na)
        with _in_slices(on_disk=on_disk, together=together):
            assert _outcome(read, content, na=na) == expected


@pytest.mark.parametrize("together", [-1, 1 << 40])
@pytest.mark.parametrize("on_disk", [False, True])
def test_remarks_are_read_in_slices(read: Read, on_disk: bool, together: int) -> None:
    content = "番,感想\n" + "".join(
        f"{row},{row} 番目の感想は、とても長い{' ' * (row % 5 == 4)}\n" for row in range(60)
    )
    expected = _outcome(read, content)
    with (
        _in_slices(on_disk=on_disk, together=together),
        mock.patch.object(typed_reading, "interpret", wraps=interpret) as whole,
    ):
        assert _outcome(read, content) == expected
    assert [call.args[0].name for call in whole.call_args_list] == ["番"]


@pytest.mark.parametrize(
    ("label", "kind", "different"),
    [("分類 {}", "category", 5), ("分類 {}", "binary", 2), ("とても長い説明 " * 9 + "{}", "text", 5),
     ("2024-01-1{}", "date", 5), ("{}円", "count", 5), ("00{}", "id", 5), ("  {} 番目 ", "category", 5)],
)  # fmt: skip
def test_texts_that_repeat_are_read_from_disk_by_the_different_ones(
    read: Read, label: str, kind: str, different: int
) -> None:
    content = "番,語\n" + "".join(f"{row},{label.format(row % different)}\n" for row in range(100))
    expected = _outcome(read, content)
    with (
        _in_slices(on_disk=True, together=-1),
        mock.patch.object(typed_reading, "interpret", wraps=interpret) as whole,
    ):
        found = read(content)
    assert found.columns[1].kind == kind
    assert (found.frame.to_dict(as_series=False), found.frame.schema, found.description) == expected
    assert [call.args[0].name for call in whole.call_args_list] == ["番"]


@pytest.mark.parametrize("on_disk", [False, True])
@pytest.mark.parametrize("limits", [Limits(max_field_bytes=30), Limits(max_expanded_bytes=5000)])
def test_texts_of_parquet_are_within_limits(read: Read, limits: Limits, on_disk: bool) -> None:
    file = io.BytesIO()
    pl.DataFrame({"番": range(200), "感想": [f"{row} 番目の感想は、とても長い" for row in range(200)]}).write_parquet(
        file
    )
    with _in_slices(on_disk=on_disk, together=0), pytest.raises(LimitExceeded, match=r"感想|5,?000"):
        read(file.getvalue(), limits=limits)
    with _in_slices(on_disk=on_disk, together=0):
        assert read(file.getvalue()).frame.height == 200


def test_the_sizes_of_texts_add_up() -> None:
    sizes = TextSizes(Limits(max_expanded_bytes=10))
    sizes.check(pl.Series(["東京", None]))
    sizes.check(pl.Series([1, 2]))
    with pytest.raises(LimitExceeded):
        sizes.check(pl.Series(["大阪"]))
