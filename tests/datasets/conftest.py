"""Files made in memory, and a way to read them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cqox.datasets import Limits, ReadOptions, Table, read_table

type Read = Callable[..., Table]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Reads bytes as a file whose name misleads on purpose."""

    def read(content: bytes | str, *, limits: Limits | None = None, **options: object) -> Table:
        path = tmp_path / "upload.png"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_table(path, name="upload.png", limits=limits or Limits(), options=ReadOptions(**options))

    return read
