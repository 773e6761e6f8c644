"""The data directory of a command that runs in the test's process."""

from pathlib import Path

import pytest


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CQOX_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("POSTGRES_URL", raising=False)
    return tmp_path
