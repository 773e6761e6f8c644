import json

import pytest
from typer.testing import CliRunner

from cqox.cli.app import app
from cqox.cli.asked import Asked
from cqox.cli.preview import print_preview
from cqox.datasets import sample_path
from tests.cli.stored import served

pytestmark = pytest.mark.usefixtures("warm")
ROLES = {"y": ["売上"], "treatment": ["キャンペーン"], "covariates": ["売場面積"]}


def asked(**changes: object) -> Asked:
    given: dict[str, object] = {
        "data": str(sample_path("mini_retail")), "server": None, "token_file": None, "source": None, "table": None,
        "query": None, "roles": ROLES, "options": [], "read_options": [], "as_json": False, "language": "en",
    }  # fmt: skip
    return Asked(**{**given, **changes})  # type: ignore[arg-type]


def test_a_preview_says_what_would_be_used_in_both_languages(capsys: pytest.CaptureFixture[str]) -> None:
    assert print_preview(asked(as_json=True)) == 0
    document = json.loads(capsys.readouterr().out)
    main = document["contrasts"][document["main"]]
    assert print_preview(asked()) == 0
    said = capsys.readouterr().out
    assert said.startswith(main["statement"])
    assert f"Rows that count: {main['rows']['kept']:,} of {main['rows']['read']:,}." in said
    for arm in main["arms"]:
        assert any(line.startswith(arm["level"]) and str(arm["rows"]) in line for line in said.splitlines())
    assert "sample" not in said
    assert print_preview(asked(language="ja")) == 0
    assert "対象となる行" in capsys.readouterr().out


def test_a_preview_of_a_sample_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert print_preview(asked(as_json=True)) == 0
    document = {**json.loads(capsys.readouterr().out), "sample": {"rows": 30, "of": 4_000}}
    with served({"/api/analyze/preview?lang=en": (200, json.dumps(document).encode())}) as url:
        assert print_preview(asked(data=None, source="shop", table="public.sales", server=url)) == 0
    assert "All counts are of a sample of 30 of the 4,000 rows of the table." in capsys.readouterr().out


def test_what_cannot_be_previewed_ends_with_a_status(capsys: pytest.CaptureFixture[str]) -> None:
    assert print_preview(asked(roles={**ROLES, "y": ["none"]})) == 2
    assert print_preview(asked(data="none.csv")) == 1
    done = CliRunner().invoke(app, ["preview", "--source", "shop", "--table", "t", "--y", "a", "--lang", "en"])
    assert done.exit_code == 2
    assert "--server" in done.stderr
