import numpy as np
import pytest

from cqox.analysis.missing import with_indicators
from cqox.analysis.roles import Covariates
from cqox.contract.messages import Message

NAN = np.nan


def covariates(*columns: list[float], labels: tuple[str, ...] | None = None) -> Covariates:
    matrix = np.column_stack([np.array(column, dtype=float) for column in columns])
    return Covariates(matrix=matrix, labels=labels or tuple("abcdef"[: matrix.shape[1]]), absorbed=())


def test_without_a_gap_nothing_changes_and_there_is_no_note() -> None:
    whole, notes = covariates([1, 2], [3, 4]), list[Message]()
    assert with_indicators(whole, role="covariates", notes=notes) is whole
    assert not notes


def test_a_gap_gets_the_mean_of_the_other_rows_and_an_indicator() -> None:
    given, notes = covariates([1, NAN, 4, 10], [1, 2, 3, 4]), list[Message]()
    before = given.matrix.copy()
    filled = with_indicators(given, role="covariates", notes=notes)
    np.testing.assert_array_equal(filled.matrix, [[1, 1, 0], [5, 2, 1], [4, 3, 0], [10, 4, 0]])
    assert filled.labels == ("a", "b", "a missing")
    assert filled.matrix.flags.c_contiguous
    np.testing.assert_array_equal(given.matrix, before)
    (note,) = notes
    assert note.params == {"columns": 1, "role": "covariates", "indicators": 1}


def test_columns_with_gaps_in_the_same_rows_share_an_indicator() -> None:
    notes: list[Message] = []
    filled = with_indicators(covariates([1, NAN, 3], [NAN, 5, 5], [2, NAN, 6]), role="covariates", notes=notes)
    assert filled.labels == ("a", "b", "c", "a missing", "b missing")
    np.testing.assert_array_equal(filled.matrix[:, 3:], [[0, 1], [1, 0], [0, 0]])
    assert notes[0].params["columns"] == 3
    assert notes[0].params["indicators"] == 2


def test_a_column_without_any_value_is_filled_with_zero() -> None:
    filled = with_indicators(covariates([NAN, NAN]), role="covariates", notes=[])
    np.testing.assert_array_equal(filled.matrix, [[0, 1], [0, 1]])


def test_an_indicator_of_levels_is_named_by_their_column() -> None:
    levels = covariates([0, NAN, 1], [1, NAN, 0], labels=("region=N", "region=S"))
    assert with_indicators(levels, role="covariates", notes=[]).labels == ("region=N", "region=S", "region missing")


def test_the_regression_with_indicators_is_the_one_of_the_complete_rows_where_one_gap_is() -> None:
    """With one incomplete row its indicator absorbs the row: the other coefficients are those of the complete rows."""
    rng = np.random.default_rng(5)
    x, y = rng.standard_normal((30, 2)), rng.standard_normal(30)
    x[7, 1] = NAN
    filled = with_indicators(covariates(*x.T.tolist()), role="covariates", notes=[]).matrix
    all_rows, *_ = np.linalg.lstsq(np.column_stack([np.ones(30), filled]), y)
    keep = np.arange(30) != 7
    complete, *_ = np.linalg.lstsq(np.column_stack([np.ones(29), x[keep]]), y[keep])
    assert all_rows[:3] == pytest.approx(complete, rel=1e-10)
