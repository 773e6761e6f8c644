import pytest

from cqox.contract.bounds import MAX_SHOWN_CHARACTERS, MOST_COLUMNS, MOST_ITEMS, MOST_VALUES, check_size, shortened
from cqox.errors import InvalidRequest


def test_what_a_data_set_can_be_asked_for_is_no_more_than_is_accepted() -> None:
    names = [f"c{number}" for number in range(MOST_COLUMNS)]
    check_size({"dataset_id": "d", "mapping": {"covariates": names, "cluster": names[:10]}})
    check_size({"dataset_id": "d", "mapping": [{"role": "covariates", "column": name} for name in names]})


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"mapping": {"y": "y", "covariates": ["x"] * (MOST_COLUMNS + 1)}}, "mapping.covariates"),
        ({"mapping": [{"role": "x", "column": "y"}] * (MOST_COLUMNS + 1)}, "mapping"),
        ({"mapping": [{"role": "x", "column": ["y"] * (MOST_COLUMNS + 1)}]}, "mapping.0.column"),
        ({"options": {"estimators": ["aipw"] * (MOST_ITEMS + 1)}}, "options.estimators"),
        ({"mapping": {f"r{number}": 1 for number in range(MOST_ITEMS + 1)}}, "mapping"),
        ({f"r{number}": 1 for number in range(MOST_ITEMS + 1)}, ""),
    ],
)
def test_too_many_values_in_one_place_are_refused_by_its_name(body: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidRequest, match="At most") as caught:
        check_size(body)  # type: ignore[arg-type]
    assert caught.value.field == field


def test_too_many_values_in_all_are_refused() -> None:
    mapping = {f"r{number}": ["x"] * MOST_COLUMNS for number in range(MOST_VALUES // MOST_COLUMNS + 1)}
    with pytest.raises(InvalidRequest, match=f"exceeds the limit of {MOST_VALUES:,} values"):
        check_size({"mapping": mapping})  # type: ignore[dict-item]


def test_a_long_word_is_shortened() -> None:
    assert shortened("short") == "short"
    assert len(shortened("x" * 1_000_000)) == MAX_SHOWN_CHARACTERS


def test_invisible_characters_of_a_word_are_shown_as_escapes() -> None:
    assert shortened("\ufeffid") == r"\ufeffid"
    assert shortened("売上\n(円)") == r"売上\n(円)"
    assert shortened("購入 金額（円）") == "購入 金額（円）"
