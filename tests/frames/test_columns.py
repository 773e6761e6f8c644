"""Columns of arrays and Python objects."""

import datetime
import decimal
import zoneinfo

import numpy as np
import polars as pl
import pytest

from cqox.errors import InvalidRequest
from cqox.frames.columns import check_names, of_array, of_objects

NAN = float("nan")


@pytest.mark.parametrize(
    ("values", "form", "wanted"),
    [
        ([1, None, 3], pl.Int64, [1, None, 3]), ([1, 2.5, None], pl.Float64, [1.0, 2.5, None]),
        ([True, None], pl.Boolean, [True, None]), (["a", NAN], pl.String, ["a", None]),
        ([datetime.date(2020, 1, 2), None], pl.Date, [datetime.date(2020, 1, 2), None]),
        ([decimal.Decimal("1.5"), 2], pl.Float64, [1.5, 2.0]), ([None, NAN], pl.Null, [None, None]),
        ([2**70, 1], pl.Float64, [2.0**70, 1.0]), ([np.int32(4), np.float64(5)], pl.Float64, [4.0, 5.0]),
        ([np.int32(4)], pl.Int64, [4]), ([np.bool_(True)], pl.Boolean, [True]),
    ],
)  # fmt: skip
def test_objects_of_one_kind_are_a_column(values: list[object], form: pl.DataType, wanted: list[object]) -> None:
    column = of_objects("c", values)
    assert column.dtype == form
    assert column.to_list() == wanted


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ([1, "x"], "mixes number and str"), ([True, 1], "mixes bool and number"),
        ([datetime.date(2020, 1, 1), datetime.datetime(2020, 1, 1)], "mixes date and datetime"),
        ([[1], [2]], "cells of type list"), ([1j], "cells of type complex"), ([b"x"], "cells of type bytes"),
    ],
)  # fmt: skip
def test_objects_of_no_kind_or_of_several_are_named_with_their_column(values: list[object], named: str) -> None:
    with pytest.raises(InvalidRequest, match=f"'c' .*{named}") as caught:
        of_objects("c", values)
    assert caught.value.field == "data"


@pytest.mark.parametrize(
    ("values", "form", "wanted"),
    [
        (np.array([1.0, NAN]), pl.Float64, [1.0, None]), (np.array([1, 2], np.int16), pl.Int16, [1, 2]),
        (np.array([1, 2], np.float16), pl.Float64, [1.0, 2.0]), (np.array(["a", "bc"]), pl.String, ["a", "bc"]),
        (np.array([True, False]), pl.Boolean, [True, False]), (np.arange(6)[::2], pl.Int64, [0, 2, 4]),
        (np.array(["2020-01-01", "NaT"], "datetime64[D]"), pl.Datetime("us"), [datetime.datetime(2020, 1, 1), None]),
        (np.array([1, None, "x"][:2], dtype=object), pl.Int64, [1, None]), ((1, 2), pl.Int64, [1, 2]),
        (pl.Series("other", [1.0]), pl.Float64, [1.0]), (np.array([], np.float64), pl.Float64, []),
    ],
)  # fmt: skip
def test_arrays_are_columns(values: object, form: pl.DataType, wanted: list[object]) -> None:
    column = of_array("c", values)
    assert column.name == "c"
    assert column.dtype == form
    assert column.to_list() == wanted


@pytest.mark.parametrize(
    ("cells", "wanted"),
    [
        ([1.0, 1e6, 3.0], [1.0, None, 3.0]), ([1, 999, 3], [1, None, 3]), (["a", "b", "c"], ["a", None, "c"]),
        ([True, True, False], [True, None, False]), (np.array([1, "x", None], dtype=object), [1, None, None]),
        (np.array(["NaT", "2020-01-01", "2020-01-01"], "datetime64[D]"), [None, None, datetime.datetime(2020, 1, 1)]),
    ],
)  # fmt: skip
def test_masked_cells_of_arrays_are_missing(cells: object, wanted: list[object]) -> None:
    assert of_array("c", np.ma.array(cells, mask=[False, True, False])).to_list() == wanted
    assert of_array("c", np.ma.array([1.0, NAN])).to_list() == [1.0, None]
    assert of_array("c", [1.5, np.ma.masked]).to_list() == [1.5, None]


TOKYO, UTC = zoneinfo.ZoneInfo("Asia/Tokyo"), datetime.UTC


@pytest.mark.parametrize("zones", [(UTC, TOKYO), (TOKYO, None), (None, UTC)])
def test_moments_of_several_zones_are_refused_with_the_column(zones: tuple[datetime.tzinfo | None, ...]) -> None:
    with pytest.raises(InvalidRequest, match=r"'c' mixes time zones.*utc=True"):
        of_objects("c", [datetime.datetime(2020, 1, 1, tzinfo=zone) for zone in zones])


def test_numbers_that_no_float_holds_are_named_by_row_and_every_nan_is_missing() -> None:
    for number in (10**400, -(10**5000)):
        with pytest.raises(InvalidRequest, match="'c' has a number in row 2 that is too large"):
            of_objects("c", [1, number])
    cells = [decimal.Decimal("sNaN"), decimal.Decimal("NaN"), decimal.Decimal("1.5"), 2]
    assert of_objects("c", cells).to_list() == [None, None, 1.5, 2.0]


@pytest.mark.parametrize("values", [["a", None, "b\ud800"], np.array(["a", "b", "b\ud800"])])
def test_text_that_is_not_utf_8_is_named_by_column_and_row(values: object) -> None:
    with pytest.raises(InvalidRequest, match="'c' has a text in row 3 with a character that UTF-8 cannot encode"):
        of_array("c", values)
    with pytest.raises(InvalidRequest, match=r"column name 'b\\ud800' has a character that UTF-8 cannot encode"):
        check_names(["a", "b\ud800"])


def test_a_read_only_array_stays_as_it_is() -> None:
    values = np.array([1.0, NAN])
    values.flags.writeable = False
    assert of_array("c", values).to_list() == [1.0, None]
    assert np.isnan(values[1])


@pytest.mark.parametrize(
    ("values", "named"),
    [
        (np.zeros((2, 2)), "2 dimensions"), ("text", "of type str"), (5, "of type int"),
        (np.array([1j]), "cells of type complex128"), (np.array([1], "timedelta64[s]"), "holds durations"),
        (np.array([b"x"]), r"cells of type \|S1"),
    ],
)  # fmt: skip
def test_arrays_that_are_no_column_are_named(values: object, named: str) -> None:
    with pytest.raises(InvalidRequest, match=named):
        of_array("c", values)


def test_names_are_texts_and_different() -> None:
    check_names(["a", "b"])
    with pytest.raises(InvalidRequest, match="The column 0 has a name that is not text"):
        check_names([0])
    with pytest.raises(InvalidRequest, match="Two columns have the name 'a'"):
        check_names(["a", "b", "a"])
