"""A list that names a column twice is refused, and the refusal stays short."""

import pytest

from cqox.contract.messages import of
from cqox.contract.repeated import check_repeated
from cqox.errors import InvalidRequest


def test_different_columns_pass() -> None:
    check_repeated(of("options.categorical"), ["a", "b"], field="options.categorical")


def test_repeated_columns_are_named_up_to_five() -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_repeated(
            of("options.categorical"), [f"c{number % 9}" for number in range(18)], field="options.categorical"
        )
    assert refused.value.detail.params["columns"] == ["c0", "c1", "c2", "c3", "c4"]
    assert refused.value.detail.params["others"] == 4
    assert refused.value.field == "options.categorical"
