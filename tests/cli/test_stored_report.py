import json
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from cqox.api.report import Report
from cqox.cli.installation import LIBRARY, Installation, StorePlace
from cqox.cli.stored_report import Shown, show_stored
from tests.cli.stored import keep, served

NONE = Shown(analysis_id=None, server=None, data_dir=None, form=None, output=None, language="en")


@pytest.fixture
def stored(tmp_path: Path, report: Report) -> Shown:
    return replace(NONE, analysis_id=keep(tmp_path, report), data_dir=tmp_path)


def test_a_stored_report_is_shown_as_text_in_the_language_that_is_asked_for(
    stored: Shown, capsys: pytest.CaptureFixture[str]
):
    assert show_stored(replace(stored, language="ja"), LIBRARY) == 0
    text = capsys.readouterr().out
    assert "推定量" in text
    assert "判定：" in text
    assert "aipw" in text


def test_without_an_id_the_latest_are_listed(stored: Shown, capsys: pytest.CaptureFixture[str]):
    assert show_stored(replace(stored, analysis_id=None), LIBRARY) == 0
    heading, row = capsys.readouterr().out.splitlines()
    assert heading.split()[0] == "analysis"
    assert row.startswith(f"{stored.analysis_id}  2026-")
    assert "GO" in row


def test_it_is_exported_by_format_or_by_suffix(stored: Shown, tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    assert show_stored(replace(stored, form="json"), LIBRARY) == 0
    printed = json.loads(capfd.readouterr().out)
    assert show_stored(replace(stored, output=tmp_path / "r.json"), LIBRARY) == 0
    written = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert printed == written
    assert (written["analysis_id"], written["provenance"]["cache"]) == (stored.analysis_id, "hit")
    assert show_stored(replace(stored, output=tmp_path / "r.html", language="ja"), LIBRARY) == 0
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "判定" in page
    assert "<svg" in page
    assert show_stored(replace(stored, form="text", output=tmp_path / "r"), LIBRARY) == 0
    assert "aipw" in (tmp_path / "r").read_text(encoding="utf-8")


def test_the_store_is_that_of_the_installation(stored: Shown, capsys: pytest.CaptureFixture[str]):
    assert stored.data_dir is not None
    place = StorePlace(data_dir=stored.data_dir)
    installation = Installation(
        check=lambda environ: None, checks=lambda environ: (), store=lambda environ: nullcontext(place)
    )
    assert show_stored(replace(stored, data_dir=None), installation) == 0
    assert "aipw" in capsys.readouterr().out


def test_a_server_is_asked_for_the_report(report: Report, capsys: pytest.CaptureFixture[str]):
    path = f"/api/analyses/{report.analysis_id}"
    with served({path: (200, report.to_json().encode())}) as url:
        assert show_stored(replace(NONE, analysis_id=report.analysis_id, server=url), LIBRARY) == 0
        assert "aipw" in capsys.readouterr().out
        assert show_stored(replace(NONE, analysis_id="other", server=url), LIBRARY) == 1
    assert "There is none." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changed", "status", "said"),
    [
        ({"analysis_id": "no"}, 1, "Valid: "),
        ({"output": Path("none/r.html")}, 2, "does not exist"),
        ({"output": Path("r.xls")}, 2, "Valid: html"),
        ({"analysis_id": None, "output": Path("r.pdf")}, 2, "--output needs the id"),
        ({"analysis_id": None, "form": "json"}, 2, "--format needs the id"),
        ({"server": "http://127.0.0.1:1"}, 2, "either --server or --data-dir"),
        ({"data_dir": Path("/nowhere")}, 1, "no stored reports"),
    ],
)
def test_a_mistake_ends_with_its_status_and_what_to_change(
    stored: Shown, changed: dict[str, object], status: int, said: str, capsys: pytest.CaptureFixture[str]
):
    assert show_stored(replace(stored, **changed), LIBRARY) == status  # type: ignore[arg-type]
    out, err = capsys.readouterr()
    assert (out, said in err) == ("", True), err


def test_a_report_of_another_tenant_is_found_by_its_tenant_alone(
    tmp_path: Path, report: Report, capsys: pytest.CaptureFixture[str]
):
    analysis_id = keep(tmp_path, report, tenant="acme")
    mine = replace(NONE, analysis_id=analysis_id, data_dir=tmp_path, tenant="acme")
    assert show_stored(mine, LIBRARY) == 0
    assert "aipw" in capsys.readouterr().out
    assert show_stored(replace(mine, analysis_id=None), LIBRARY) == 0
    assert analysis_id in capsys.readouterr().out
    assert show_stored(replace(mine, tenant=None), LIBRARY) == 1
    assert show_stored(replace(mine, tenant="No Tenant"), LIBRARY) == 2
    assert show_stored(replace(mine, server="http://localhost:1", data_dir=None), LIBRARY) == 2
    assert "--tenant" in capsys.readouterr().err


def test_the_library_alone_says_what_a_user_of_a_vault_needs(
    stored: Shown, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("POSTGRES_URL", "postgresql://db/cqox")
    monkeypatch.setenv("CQOX_VAULT_DATABASE_ROLE", "cqox")
    assert show_stored(replace(stored, data_dir=None), LIBRARY) == 2
    said = capsys.readouterr().err
    assert "CQOX_VAULT_DATABASE_ROLE" in said
    assert "pip install cqox-services" in said
    assert "--server" in said
