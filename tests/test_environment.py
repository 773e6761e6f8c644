from pathlib import Path

import pytest

from cqox.environment import data_home, parse_size


def test_data_are_where_the_xdg_specification_says() -> None:
    assert data_home({"XDG_DATA_HOME": "/srv/data"}) == Path("/srv/data/cqox")
    usual = Path("~/.local/share/cqox").expanduser()
    assert data_home({}) == usual
    # Relative paths are invalid in the specification, and ignored.
    assert data_home({"XDG_DATA_HOME": "data"}) == usual


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [("1000", 1000), ("2k", 2000), ("2KiB", 2048), ("1.5 GiB", 1536 * 2**20), ("3MB", 3_000_000), ("7B", 7)],
)
def test_a_size_has_a_decimal_or_a_binary_unit(text: str, size_bytes: int) -> None:
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize("text", ["", "GiB", "-1", "1 XB", "1e9", "9" * 30, "１ GiB x"])
def test_what_is_no_size_gives_none(text: str) -> None:
    assert parse_size(text) is None
