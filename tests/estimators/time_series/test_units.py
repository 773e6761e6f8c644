from typing import get_args

import pytest

from cqox.estimators.numerics.calendar import CalendarUnit
from cqox.estimators.time_series.units import length_in_words, unit_in_words


@pytest.mark.parametrize("unit", get_args(CalendarUnit.__value__))
def test_every_unit_has_a_word_and_lengths_in_both_languages(unit: CalendarUnit):
    word = "period" if unit == "number" else unit
    assert unit_in_words(unit, "when") == ("unit of 'when'" if unit == "number" else unit)
    assert [length_in_words(unit, length) for length in (1.0, 52.18)] == [f"1 {word}", f"52.18 {word}s"]
    assert "[en]" not in unit_in_words(unit, "when").in_language("ja")
    assert length_in_words(unit, 12.0).in_language("ja").startswith("12")
