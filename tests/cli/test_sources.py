"""`cqox sources`, with the answers of a scripted server."""

import json

import pytest
from typer.testing import CliRunner

from cqox.cli.app import app
from cqox.client import Client
from tests.client.scripted import URL, Scripted, answer, problem

SHOP = {"name": "shop", "kind": "postgresql", "meaning": "Sales", "tables": ["public.sales", "public.returns"]}
WEATHER = {"name": "weather", "kind": "url", "meaning": "", "tables": []}


def listed(monkeypatch: pytest.MonkeyPatch, server: Scripted, *arguments: str) -> tuple[int, str, str]:
    monkeypatch.delenv("CQOX_URL", raising=False)
    monkeypatch.setattr("cqox.cli.sources.open_client", lambda url, token_file: Client(url, transport=server.transport))
    done = CliRunner().invoke(app, ["sources", "--lang", "en", *arguments], catch_exceptions=False)
    return done.exit_code, done.stdout, done.stderr


def test_a_line_for_each_table_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    status, out, _ = listed(monkeypatch, Scripted(answer({"sources": [SHOP, WEATHER]})), "--server", URL)
    lines = [line.split() for line in out.splitlines()]
    assert (status, lines[0]) == (0, ["source", "table", "kind", "meaning"])
    assert lines[1:] == [
        ["shop", "public.sales", "postgresql", "Sales"],
        ["shop", "public.returns", "postgresql", "Sales"],
        ["weather", "–", "url"],
    ]


def test_json_is_what_the_server_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    status, out, _ = listed(monkeypatch, Scripted(answer({"sources": [SHOP, WEATHER]})), "--server", URL, "--json")
    assert (status, json.loads(out)) == (0, {"sources": [SHOP, WEATHER]})


def test_no_sources_are_said_in_the_language(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Scripted(answer({"sources": []}))
    assert "has named no sources for you" in listed(monkeypatch, server, "--server", URL)[1]
    assert "データ元を指定していない" in listed(monkeypatch, server, "--server", URL, "--lang", "ja")[1]


def test_a_server_must_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    status, out, said = listed(monkeypatch, Scripted(answer({"sources": []})))
    assert (status, out) == (2, "")
    assert "--server, or set CQOX_URL" in said


def test_what_the_server_refuses_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = problem(403, "not-allowed", "You lack sources:use.")
    status, out, said = listed(monkeypatch, Scripted(refused), "--server", URL)
    assert (status, out) == (1, "")
    assert "sources:use" in said
