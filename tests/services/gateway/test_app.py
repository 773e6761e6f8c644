"""The gateway's app: what it loads, which paths it has, and which settings it refuses."""

import subprocess
import sys
from pathlib import Path

import pytest

from services.config.configuration import SettingsError
from services.config.settings import Settings
from services.engine.app import create_app as create_engine
from services.gateway.app import create_app
from services.http.server.app import App
from services.page.routes import PAGE_PATHS


def test_the_gateway_loads_no_numerics():
    program = "import sys, services.gateway.app, services.http.server.serving\nprint(*sys.modules)"
    loaded = set(subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout.split())
    assert "services.gateway.routes" in loaded
    assert not loaded & {"numpy", "polars", "scipy", "altair", "vl_convert", "cqox.analysis", "cqox.datasets"}


def test_gateway_and_engine_answer_the_same_paths(tmp_path):
    settings = Settings(data_dir=tmp_path)

    def paths(app: App) -> set[tuple[str, str]]:
        automatic = {"HEAD", "OPTIONS"}
        return {(rule.rule, method) for rule in app.url_map.iter_rules() for method in rule.methods - automatic}

    shell = {*PAGE_PATHS, "/page/text.<language>.json", "/page/<path:name>"}
    of_page = {(path, "GET") for path in shell} | {("/page/sign-in", method) for method in ("GET", "POST")}
    of_page |= {("/page/sign-in/programs", "GET")}
    # The engine's root leads to the description of the API, and only gateways ask for sums of its samples.
    of_engine = {("/", "GET"), ("/api/internal/panels/<panel>", "GET")}
    assert paths(create_app(settings)) - of_page == paths(create_engine(settings)) - of_engine


def test_certificates_that_cannot_be_read_are_refused_by_their_variable_only_for_https(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = tmp_path / "missing.pem"
    monkeypatch.setenv("SSL_CERT_FILE", str(missing))
    with pytest.raises(SettingsError, match=f"SSL_CERT_FILE={missing}"):
        create_app(Settings(engine_url="http://one:8080, https://two:8443"))
    create_app(Settings(engine_url="http://one:8080"))


@pytest.mark.trio
async def test_the_gateway_lives_without_an_engine_and_a_wrong_path_is_a_problem() -> None:
    client = create_app(Settings()).test_client()
    live = await client.get("/health/live")
    assert (live.status_code, await live.get_json()) == (200, {"status": "alive"})
    missing = await client.get("/api/nothing")
    assert missing.status_code == 404
    assert missing.headers["Content-Type"] == "application/problem+json"
