"""Check, export and head of the audit log, on the store of a data directory and on files."""

import io
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from services.cli.audit_log import export, head, verify
from services.cli.key_store import Wanted, create
from tests.services.cli.stores import given_to
from tests.storage.records import an_event


@pytest.fixture
def logs(data_dir: Path) -> Path:
    """Two tenants with five and two entries."""
    for tenant, count in (("default", 5), ("acme", 2)):
        given_to(
            data_dir,
            tenant,
            lambda store, _, tenant=tenant, count=count: store.append_audit(
                [an_event(number, tenant) for number in range(count)]
            ),
        )
    return data_dir


def change(data_dir: Path, statement: str) -> None:
    with closing(sqlite3.connect(data_dir / "results.sqlite")) as connection:
        for trigger in ("audit_no_update", "audit_no_delete"):
            connection.execute(f"DROP TRIGGER {trigger}")
        connection.execute(statement)
        connection.commit()


def test_unbroken_logs_are_verified_in_the_store_and_in_a_file(
    logs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify(tenant=None, file=None, heads=()) == 0
    said = capsys.readouterr().out
    assert ("default: 5 entries, unbroken" in said, "acme: 2 entries, unbroken" in said) == (True, True)
    assert export(tmp_path / "log.jsonl", tenant=None) == 0
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 7
    assert verify(tenant=None, file=tmp_path / "log.jsonl", heads=()) == 0
    capsys.readouterr()
    assert verify(tenant="acme", file=tmp_path / "log.jsonl", heads=()) == 0
    assert capsys.readouterr().out.startswith("acme: 2 entries, unbroken")


@pytest.mark.parametrize(
    ("statement", "finding"),
    [
        ("UPDATE audit SET subject = 'key:b' WHERE tenant_id = 'default' AND seq = 3", "entry 3 is altered"),
        ("DELETE FROM audit WHERE tenant_id = 'default' AND seq = 2", "entry 2 is missing"),
        ("UPDATE audit SET seq = -seq WHERE tenant_id = 'default' AND seq = 4", "entry 4 is missing"),
    ],
)
def test_one_changed_entry_in_the_store_is_named(
    logs: Path, statement: str, finding: str, capsys: pytest.CaptureFixture[str]
) -> None:
    change(logs, statement)
    assert verify(tenant=None, file=None, heads=()) == 1
    said = capsys.readouterr().out
    assert (f"default: {finding}" in said, "acme: 2 entries, unbroken" in said) == (True, True)


def test_a_changed_line_of_a_file_is_named(logs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "log.jsonl"
    export(file, tenant="default")
    lines = file.read_text().splitlines()
    altered = json.dumps(json.loads(lines[2]) | {"object": "dataset:x"})
    for changed, finding in (
        ([*lines[:2], altered, *lines[3:]], "entry 3 is altered"),
        (lines[1:], "entry 1 is missing"),
        ([*lines[:3], lines[1], *lines[3:]], "entry 2 is out of order"),
    ):
        file.write_text("\n".join(changed) + "\n")
        capsys.readouterr()
        assert verify(tenant=None, file=file, heads=()) == 1
        assert finding in capsys.readouterr().out
    file.write_text("no entry\n")
    assert verify(tenant=None, file=file, heads=()) == 1
    assert "Line 1" in capsys.readouterr().err
    assert verify(tenant=None, file=tmp_path / "nowhere", heads=()) == 1


def test_a_noted_head_finds_a_tail_that_was_cut_off(
    logs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert head(tenant=None) == 0
    heads = capsys.readouterr().out.splitlines()
    assert [each.partition(":")[0] for each in heads] == ["acme/2", "default/5"]
    assert verify(tenant=None, file=None, heads=heads) == 0
    change(logs, "DELETE FROM audit WHERE tenant_id = 'default' AND seq > 3")
    assert verify(tenant=None, file=None, heads=()) == 0
    capsys.readouterr()
    assert verify(tenant=None, file=None, heads=heads) == 1
    assert "default: entry 4 is missing, with every one after it." in capsys.readouterr().out
    # A log that is gone as a whole.
    (tmp_path / "empty").write_text("")
    assert verify(tenant=None, file=tmp_path / "empty", heads=heads) == 1
    assert verify(tenant=None, file=None, heads=["acme"]) == 2


def test_an_unknown_tenant_is_refused_and_not_registered(logs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify(tenant="nobody", file=None, heads=()) == 2
    assert "no tenant nobody" in capsys.readouterr().err
    assert head(tenant=None) == 0
    assert "nobody" not in capsys.readouterr().out


def test_a_log_passes_through_standard_streams(
    logs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert export(Path("-"), tenant=None) == 0
    monkeypatch.setattr("sys.stdin", io.StringIO(capsys.readouterr().out))
    assert verify(tenant=None, file=Path("-"), heads=()) == 0


def test_keys_made_on_the_command_line_are_recorded(
    data_dir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = Wanted(tenant="default", roles=["reader"], scopes=None, name="n", days=None, new_tenant=False)
    assert create(wanted) == 0
    monkeypatch.setenv("CQOX_AUDIT", "on")
    assert create(wanted) == 0
    capsys.readouterr()
    assert export(Path("-"), tenant=None) == 0
    (line,) = capsys.readouterr().out.splitlines()
    entry = json.loads(line)
    assert (entry["subject"], entry["action"], entry["object"][:4]) == ("command-line", "create_key", "key:")
