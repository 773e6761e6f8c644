"""A command on the configured store, and the statuses of errors."""

from pathlib import Path

import pytest

from cqox.errors import StoreUnavailable
from cqox.storage import SqliteStore
from services.cli.db_check import check
from services.cli.db_schema import status
from services.cli.db_session import run

pytestmark = pytest.mark.usefixtures("data_dir")


def test_a_command_gets_the_open_store_and_the_settings_and_its_status_is_returned(data_dir: Path) -> None:
    async def command(store, settings) -> int:
        await store.ping()
        assert isinstance(store, SqliteStore)
        assert settings.data_dir == data_dir
        return 7

    assert run(command) == 7


@pytest.mark.parametrize(
    ("error", "expected"), [(ValueError("wrong"), 2), (StoreUnavailable("away"), 1), (OSError("full"), 1)]
)
def test_an_error_is_one_line_with_its_status(
    capsys: pytest.CaptureFixture[str], error: Exception, expected: int
) -> None:
    async def command(store, settings) -> int:
        raise error

    assert run(command) == expected
    assert capsys.readouterr().err == f"{error}\n"


def test_a_defect_is_raised() -> None:
    async def command(store, settings) -> int:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(command)


def test_a_store_that_cannot_be_reached_ends_with_1_and_a_bad_address_with_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("POSTGRES_URL", "postgresql://127.0.0.1:1/x")
    assert status() == 1
    assert "refused" in capsys.readouterr().err
    monkeypatch.setenv("POSTGRES_URL", "nonsense")
    assert status() == 2


def test_a_data_directory_that_is_none_ends_with_1_and_one_line(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (data_dir / "file").touch()
    monkeypatch.setenv("CQOX_DATA_DIR", str(data_dir / "file"))
    assert check(remove=False) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
