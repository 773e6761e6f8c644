import pytest
from typer.testing import CliRunner

from cqox.cli.app import app
from cqox.cli.language import language_of_locale


@pytest.mark.parametrize(
    ("variables", "language"),
    [
        ({"LANG": "ja_JP.UTF-8"}, "ja"),
        ({"LANG": "ja"}, "ja"),
        ({"LANG": "en_GB.UTF-8", "LC_MESSAGES": "ja_JP"}, "ja"),
        ({"LANG": "ja_JP.UTF-8", "LC_ALL": "C.UTF-8"}, "en"),
        ({"LANG": "ja_JP.UTF-8", "LC_ALL": ""}, "ja"),
        ({"LANG": "jam_JM"}, "en"),
        ({}, "en"),
    ],
)
def test_the_language_is_that_of_the_first_variable_that_is_set(
    variables: dict[str, str], language: str, monkeypatch: pytest.MonkeyPatch
):
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert language_of_locale() == language


def test_the_flag_wins_over_the_locale():
    japanese = {"LC_ALL": "ja_JP.UTF-8"}
    assert "CANARY (判定)" in CliRunner().invoke(app, ["explain", "CANARY"], env=japanese).output
    assert "CANARY (verdict)" in CliRunner().invoke(app, ["explain", "CANARY", "--lang", "en"], env=japanese).output
