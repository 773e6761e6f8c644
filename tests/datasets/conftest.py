"""Files made in memory, and a way to read them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cqox.datasets import Limits, ReadOptions, Table, read_table

type Read = Callable[..., Table]

MESSY_CELLS = (
    "", " ", "1", " 1", "1 ", "+5", "01", "-01", "00.5", "2.0", "2.5", "1e3", "-0.0", "1,5", "1,300", "300円", "5%",
    "▲5", "-999", "inf", "nan", "∞", "9007199254740993", "1234567890123456", "1e400", "東京", "が", "か\u3099", "NA",
    "なし", "-", "+", "true", "TRUE", "合計", "2024-01-05", "令和6年1月5日", "01/02/2024", "a b", 'a "b"', "x" * 70,
)  # fmt: skip
"""Cells that are no plain number, or one in a notation of its own."""


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Reads bytes as a file whose name misleads on purpose."""

    def read(content: bytes | str, *, limits: Limits | None = None, **options: object) -> Table:
        path = tmp_path / "upload.png"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_table(path, name="upload.png", limits=limits or Limits(), options=ReadOptions(**options))

    return read
