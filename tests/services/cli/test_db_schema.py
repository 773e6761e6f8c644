"""Migrations of the schema on a SQLite file."""

import pytest

from cqox.storage import SqliteStore
from cqox.storage.schema import MigrationStatus
from services.cli.db_schema import migrate, status

pytestmark = pytest.mark.usefixtures("data_dir")


def test_the_schema_is_made_once_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert migrate() == 0
    assert status() == 0
    assert "reports, data sets and jobs" in capsys.readouterr().out


def test_a_pending_migration_is_shown_and_makes_the_status_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = [
        MigrationStatus(number=1, name="first", applied_at="2026-01-01"),
        MigrationStatus(number=2, name="second", applied_at=None),
    ]

    async def migrations(self: SqliteStore) -> list[MigrationStatus]:
        return steps

    async def apply(self: SqliteStore) -> int:
        return len(applied)

    applied = ["second"]
    monkeypatch.setattr(SqliteStore, "migrations", migrations)
    monkeypatch.setattr(SqliteStore, "migrate", apply)
    assert status() == 1
    first, second = capsys.readouterr().out.splitlines()[1:]
    assert (first.split()[-1], second.split()[-1]) == ("2026-01-01", "pending")
    assert migrate() == 0
    assert capsys.readouterr().out.startswith("1 step applied")
    applied.append("third")
    assert migrate() == 0
    assert capsys.readouterr().out.startswith("2 steps applied")


def test_a_store_is_prepared_for_several_tenants_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    assert migrate() == 0
    assert (status(), "with the second tenant" in capsys.readouterr().out) == (0, True)
    assert migrate(finish=True) == 0
    assert "Earlier releases refuse it" in capsys.readouterr().out
    assert migrate(finish=True) == 0
    assert "already" in capsys.readouterr().out
    assert (status(), "with the second tenant" in capsys.readouterr().out) == (0, False)
