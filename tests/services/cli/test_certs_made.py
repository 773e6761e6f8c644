import sys
from pathlib import Path

import pytest

from cqox.contract.messages import Language
from services.cli.certs_made import Wanted, init, issue, renew, replace, show
from tests.servers.certificates import authority_in, expired


def wanted(*parts: str, domain: str = "cqox", hosts: tuple[str, ...] = ()) -> Wanted:
    return Wanted(parts=parts, hosts=hosts, domain=domain, days=1)


@pytest.mark.parametrize(("language", "words"), [("en", "nothing was changed"), ("ja", "何も変更しなかった")])
def test_an_existing_authority_is_left_alone_and_the_commands_that_change_it_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], language: Language, words: str
) -> None:
    authority_in(tmp_path, "engine")
    before = (tmp_path / "authority/signing/key.pem").read_bytes(), (tmp_path / "engine/current").readlink()
    assert init(tmp_path, wanted("engine"), language=language) == 1
    said = capsys.readouterr().err
    assert words in said
    for command in ("renew", "issue", "authority"):
        assert f"cqox certs {command} {tmp_path}" in said
    assert ((tmp_path / "authority/signing/key.pem").read_bytes(), (tmp_path / "engine/current").readlink()) == before


@pytest.mark.parametrize(
    "command",
    [
        lambda folder: issue(folder, wanted("engine"), language="en"),
        lambda folder: renew(folder, [], days=None, language="en"),
        lambda folder: replace(folder, language="en"),
        lambda folder: show(folder, as_json=False, language="en"),
    ],
)
def test_without_an_authority_every_command_says_how_to_make_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command
) -> None:
    assert command(tmp_path) == 1
    assert f"cqox certs init {tmp_path}" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (wanted("engine", "a/b"), "'a/b' cannot be a part"),
        (wanted("authority"), "'authority' cannot be a part"),
        (wanted("engine", domain="no domain"), "'no domain' cannot be a trust domain"),
    ],
)
def test_invalid_names_are_refused_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], given: Wanted, words: str
) -> None:
    assert init(tmp_path / "tls", given, language="en") == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "tls").exists()


def test_a_part_that_is_not_there_cannot_be_renewed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    authority_in(tmp_path, "engine")
    assert renew(tmp_path, ["gateway"], days=None, language="en") == 1
    assert "certificate of gateway cannot be read" in capsys.readouterr().err


def test_a_directory_that_cannot_be_written_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert init(tmp_path / "file", wanted("engine"), language="en") == 1
    said = capsys.readouterr().err
    assert "file" in said
    assert said.count("\n") == 1


def test_the_table_shows_what_has_expired_and_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    authority = authority_in(tmp_path, "engine", "gateway")
    assert show(tmp_path, as_json=False, language="en") == 0
    shown = capsys.readouterr().out
    assert "spiffe://cqox/engine" in shown
    assert "0.997 days" in shown or "0.996 days" in shown
    expired(authority, "engine")
    assert show(tmp_path, as_json=False, language="ja") == 1
    assert "期限切れ" in capsys.readouterr().out


def test_a_missing_package_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cqox.certificates.authority", None)
    assert init(tmp_path / "tls", wanted("engine"), language="en") == 1
    assert "cqox[security]" in capsys.readouterr().err
