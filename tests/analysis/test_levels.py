import numpy as np
import polars as pl
import pytest

from cqox.analysis.levels import Levels, choose_reference, treatment_levels
from cqox.errors import InvalidRequest, UnusableData


def levels_of(values: list[object], *, amount: bool = False, reference: str | float | bool | None = None) -> Levels:
    return treatment_levels(pl.Series("w", values), amount=amount, reference=reference)


@pytest.mark.parametrize(
    ("values", "reference"),
    [
        ([1, 2, 2, 1], 1),
        ([0.0, 1.0], 0.0),
        ([True, False], False),
        (["あり", "なし"], "なし"),
        (["介入群", "対照群"], "対照群"),
        (["Treated", "CONTROL"], "CONTROL"),
        (["new drug", "placebo"], "placebo"),
        (["○", "×"], "×"),
        (["B", "A"], "A"),
        (["参加", "非参加者"], "非参加者"),
    ],
)
def test_two_levels_of_any_kind_become_0_and_1_with_a_reference_chosen_by_rule(
    values: list[object], reference: object
) -> None:
    levels = levels_of(values)
    assert levels.kind == "binary"
    assert len(levels.contrasts) == 1
    expected = [0.0 if value == reference else 1.0 for value in values]
    np.testing.assert_array_equal(levels.contrasts[0].values, expected)
    assert "reference level" in levels.notes[0]


def test_the_reference_can_be_asked_for_by_value_or_by_its_text() -> None:
    for asked in (2, "2", 2.0):
        np.testing.assert_array_equal(levels_of([1, 2], reference=asked).contrasts[0].values, [1.0, 0.0])


def test_a_reference_that_is_no_level_is_refused_with_the_levels() -> None:
    with pytest.raises(InvalidRequest) as caught:
        levels_of(["a", "b"], reference="c")
    assert caught.value.choices == ("a", "b")
    assert caught.value.detail == "The treatment has no level 'c'. Its levels are a, b."


def test_three_levels_make_a_contrast_for_each_level_beyond_the_reference_on_its_rows() -> None:
    levels = levels_of(["control", "email", "call", "control", None])
    assert [contrast.label for contrast in levels.contrasts] == ["call vs control", "email vs control"]
    call = levels.contrasts[0]
    np.testing.assert_array_equal(call.rows, [True, False, True, True, False])
    np.testing.assert_array_equal(call.values[call.rows], [0.0, 1.0, 0.0])


def test_a_number_of_many_values_is_an_amount_and_so_is_one_with_fractions() -> None:
    assert levels_of(list(range(12))).kind == "continuous"
    assert levels_of([0.5, 1.5, 2.5]).kind == "continuous"


def test_few_whole_numbers_are_levels_unless_an_amount_is_asked_for() -> None:
    assert levels_of([0, 1, 2]).kind == "binary"
    assert levels_of([0, 1, 2], amount=True).kind == "continuous"


def test_whole_numbers_that_are_codes_are_levels_however_many_and_their_reference_can_be_asked_for() -> None:
    codes = pl.Series("arm", [number % 7 + 1 for number in range(70)])
    amount = treatment_levels(codes, amount=False, reference=None)
    assert amount.kind == "continuous"
    assert "Name the column in options.categorical to compare its levels." in amount.notes[0]
    levels = treatment_levels(codes, amount=False, category=True, reference=3)
    assert [level.label for level in levels.contrasts] == [f"{code} vs 3" for code in (1, 2, 4, 5, 6, 7)]
    assert levels.notes == ("Treatment 'arm': the reference level is '3' (as requested).",)
    with pytest.raises(InvalidRequest, match=r"no reference level\. Name the column in options\.categorical"):
        treatment_levels(codes, amount=False, reference=3)
    with pytest.raises(UnusableData, match=r"70 levels\. At most 50"):
        treatment_levels(pl.Series("arm", range(70)), amount=False, category=True, reference=None)


def test_a_missing_treatment_stays_missing() -> None:
    values = levels_of([1, None, 2]).contrasts[0].values
    assert values is not None
    assert np.isnan(values[1])


@pytest.mark.parametrize("values", [[1, 1, 1], ["a", "a"], [None, "a"]])
def test_a_constant_treatment_is_refused_by_name(values: list[object]) -> None:
    with pytest.raises(UnusableData, match="'w'"):
        levels_of(values)


def test_a_treatment_of_too_many_words_is_refused() -> None:
    with pytest.raises(UnusableData, match=r"51 levels\. At most 50"):
        levels_of([f"level {number}" for number in range(51)])


def test_an_amount_has_no_reference_level() -> None:
    with pytest.raises(InvalidRequest, match="amount"):
        levels_of(list(range(20)), reference=3)


def test_two_words_for_no_leave_the_choice_to_the_order() -> None:
    assert choose_reference(["control", "placebo"], None)[0] == "control"


def test_levels_that_differ_in_case_or_width_alone_are_said_to_be_taken_apart() -> None:
    notes = levels_of(["Yes", "No", "no", "Ｎｏ", "Yes"]).notes
    assert notes[1].startswith("Treatment 'w': 'No' and 'no' and 'Ｎｏ' differ only in case, width or spaces")
    assert len(levels_of(["Yes", "No"]).notes) == 1
