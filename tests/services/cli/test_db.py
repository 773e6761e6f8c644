"""`cqox db`: its options, and its commands on a server."""

from collections.abc import Iterator
from pathlib import Path

import anyio
import polars as pl
import pytest
from typer.testing import CliRunner

from cqox.storage.postgres import PostgresStore
from services.cli.db import app
from services.cli.db_check import check
from services.cli.db_export import export
from services.cli.db_schema import migrate, status
from tests.servers import Postgres, running
from tests.storage.bound import in_default
from tests.storage.records import a_dataset, a_report

pytestmark = pytest.mark.usefixtures("data_dir")


@pytest.fixture(scope="module")
def postgres_server() -> Iterator[Postgres]:
    with running(Postgres()) as server:
        yield server


@pytest.mark.parametrize("arguments", [[], ["migrate"], ["status"], ["check"], ["export"]])
def test_every_command_has_help_and_ends_with_2_for_an_option_that_it_does_not_have(arguments: list[str]) -> None:
    run = CliRunner().invoke
    shown = run(app, [*arguments, "--help"])
    assert shown.exit_code == 0
    assert "Usage" in shown.output
    assert run(app, [*arguments, "--nonsense"]).exit_code == 2


@pytest.mark.xdist_group("servers")
def test_the_commands_work_on_a_server_as_they_do_on_a_file(
    postgres_server: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url = postgres_server.fresh()
    monkeypatch.setenv("POSTGRES_URL", url)
    assert status() == 1
    assert "pending" in capsys.readouterr().out
    assert migrate() == 0
    assert migrate() == 0
    assert status() == 0
    assert "pending" not in capsys.readouterr().out

    async def fill() -> None:
        async with in_default(PostgresStore.open, url) as store:
            for number in range(3):
                await store.save(a_report(number, dataset_id="a" if number else "b"))
            await store.register(a_dataset("missing"))

    anyio.run(fill)
    assert export(tmp_path / "a.parquet", form="auto", dataset_id="a") == 0
    assert pl.read_parquet(tmp_path / "a.parquet").height == 2
    assert export(tmp_path / "all.jsonl", form="auto", dataset_id=None) == 0
    assert len((tmp_path / "all.jsonl").read_text().splitlines()) == 3
    assert check(remove=False) == 1
    assert "missing: the files of the data set missing" in capsys.readouterr().out
