import json

import pytest

from cqox.cli.server_report import list_reports, load_report
from cqox.errors import EngineUnavailable, InvalidRequest, NotFound
from tests.cli.stored import served

DOCUMENT = {"analysis_id": "a/b", "figures": {"forest": "/x"}}
ANSWERS = {
    "/api/analyses/a%2Fb": (200, json.dumps(DOCUMENT).encode()),
    "/api/analyses/a%2Fb/figures/forest.json": (200, b'{"mark": "bar"}'),
    "/api/analyses?limit=20": (200, b'{"analyses": [{"analysis_id": "a/b"}], "next": null}'),
    "/api/analyses/busy": (503, b'{"detail": "Later."}'),
    "/api/analyses/page": (200, b"<html>"),
    "/api/analyses/list": (200, b"[]"),
}


def test_a_report_comes_with_the_specifications_of_its_figures_where_they_are_wanted():
    with served(ANSWERS) as url:
        body, specs = load_report(f"{url}/", "a/b", figures=True)
        assert (json.loads(body), json.loads(specs)) == (DOCUMENT, {"forest": {"mark": "bar"}})
        assert load_report(url, "a/b", figures=False)[1] == b"{}"
        assert list_reports(url) == [{"analysis_id": "a/b"}]


@pytest.mark.parametrize(
    ("analysis_id", "error", "said"),
    [
        ("none", NotFound, "There is none."),
        ("busy", EngineUnavailable, "answered 503: Later."),
        ("page", EngineUnavailable, "no server of CQOx"),
        ("list", EngineUnavailable, "no server of CQOx"),
    ],
)
def test_what_is_no_report_is_an_error_that_names_it(analysis_id: str, error: type[Exception], said: str):
    with served(ANSWERS) as url, pytest.raises(error, match=said):
        load_report(url, analysis_id, figures=False)


@pytest.mark.parametrize(
    ("url", "error"),
    [("localhost:8082", InvalidRequest), ("http://a:b", InvalidRequest), ("http://127.0.0.1:1", EngineUnavailable)],
)
def test_an_address_that_is_none_differs_from_a_server_that_is_silent(url: str, error: type[Exception]):
    with pytest.raises(error):
        list_reports(url)


def test_a_missing_package_is_named_with_its_command(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "httpx", None)
    with pytest.raises(InvalidRequest, match=r"pip install 'cqox\[client\]'"):
        list_reports("http://127.0.0.1:1")
