import json
import os
import signal
import socket
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import httpx
import pytest
import trio

from cqox.api.session import Session
from cqox.client import Client
from cqox.storage import DEFAULT_TENANT
from cqox.storage.postgres import PostgresStore
from services.config.table import table
from tests.cli.stored import made, record_of
from tests.servers.certificates import authority_in, client_of
from tests.servers.openbao import OpenBao
from tests.servers.postgres_users import GuardedPostgres
from tests.waiting import PATIENCE_SECONDS, wait_until

COMMAND = [sys.executable, "-c", "from services.cli import main; main()"]


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CQOX_")}
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        env={**inherited, "COLUMNS": "200", **variables},
    )


def test_the_version_is_that_of_the_package():
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"cqox {version('cqox')}\n")


@pytest.mark.parametrize("arguments", [("--help",), ("-h",), ("up", "--help"), ("estimators", "--help")])
def test_every_command_has_help(arguments):
    done = run(*arguments)
    assert done.returncode == 0
    assert "Usage: cqox" in done.stdout


def test_help_of_up_lists_every_setting_with_its_default():
    text = " ".join(run("up", "--help").stdout.replace("│", " ").split())
    for setting in table():
        if "up" in setting.services:
            assert setting.flag in text
            assert f"({setting.variable}; default {setting.default})" in text


@pytest.mark.parametrize("arguments", [("nothing",), ("up", "--nothing"), ("up", "--gateway-port", "many")])
def test_a_wrong_command_line_ends_with_status_2(arguments):
    assert run(*arguments).returncode == 2


def test_an_unknown_variable_ends_with_status_2_and_the_nearest_name():
    done = run("up", CQOX_GATWAY_PORT="1")
    assert done.returncode == 2
    assert "the nearest is CQOX_GATEWAY_PORT" in done.stdout


@pytest.mark.parametrize("service", ["gateway", "engine"])
def test_a_port_in_use_is_said_with_the_flag_before_anything_starts(service):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("up", "--gateway-port", "0", "--engine-port", "0", f"--{service}-port", str(port))
    assert done.returncode == 1
    assert f"Port {port} of 127.0.0.1 is in use" in done.stdout
    assert f"--{service}-port" in done.stdout


def test_the_estimators_are_listed_without_a_server():
    done = run("estimators")
    assert done.returncode == 0
    assert "difference_in_means" in done.stdout
    assert "cqox[boost] is installed" in done.stdout


def test_the_demonstration_shows_estimates_and_keeps_serving_until_the_signal(start, tmp_path):
    service = start(*COMMAND[1:], "up", "--demo", CQOX_DATA_DIR=str(tmp_path))
    url = service.wait_line("Serving at http://127.0.0.1:").split()[2].rstrip(";")
    address = service.wait_line("To go from a file to an answer in a browser, open http").split()[-1]
    assert "/page/js/main.js" in httpx.get(address, timeout=PATIENCE_SECONDS, trust_env=False).text
    analysis_id = service.wait_line("Report: http").rpartition("/")[2]
    for place in (("--server", url), ("--data-dir", str(tmp_path))):
        shown = run("report", analysis_id, *place, "--lang", "ja")
        assert (shown.returncode, shown.stderr) == (0, "")
        assert "判定：" in shown.stdout
        assert "difference_in_means" in shown.stdout
    suggested = run("roles", "test", "--server", url, "--json")
    assert json.loads(suggested.stdout)["mapping"]["y"] == "y"
    assert service.stop(signal.SIGINT) == 0
    assert service.has_in_order(
        "difference_in_means",
        "Verdict: ",
        "Figure forest: http",
        "Serving at",
        f"open {url}/",
        "[Gateway] Received signal SIGINT",
        "[Gateway] Shutting down gracefully...",
        "[Engine] Received signal SIGINT",
        "[Engine] Shutting down gracefully...",
    )


def test_an_engine_that_is_killed_is_started_again_and_the_gateway_serves_on(start):
    service = start(*COMMAND[1:], "up")
    url = service.wait_line("Serving at http://").split()[2].rstrip(";")
    os.kill(child_of(service.process.pid, "services.engine"), signal.SIGKILL)
    service.wait_line("The engine ended by itself by SIGKILL; it is started again in 1 s.")
    asked = {"dataset_id": "test", "mapping": {"y": "y", "treatment": "w"}}
    statuses, end = [], time.monotonic() + PATIENCE_SECONDS
    while not statuses or (statuses[-1] != 200 and time.monotonic() < end):
        answer = httpx.post(f"{url}/api/analyze/comprehensive", json=asked, timeout=PATIENCE_SECONDS, trust_env=False)
        statuses.append(answer.status_code)
    assert statuses[-1] == 200
    assert set(statuses) <= {200, 503}
    assert service.stop(signal.SIGINT) == 0


def child_of(process: int, word: str) -> int:
    children = Path(f"/proc/{process}/task/{process}/children").read_text(encoding="ascii").split()
    (found,) = [each for each in children if word in Path(f"/proc/{each}/cmdline").read_text(encoding="utf-8")]
    return int(found)


@pytest.mark.parametrize("arguments", [("explain", "overlap"), ("db", "status"), ("up", "--help")])
def test_output_that_cannot_be_written_ends_with_one_sentence(arguments, tmp_path):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*COMMAND, *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=PATIENCE_SECONDS,
            env={**os.environ, "CQOX_DATA_DIR": str(tmp_path), "LANG": "C.UTF-8"},
        )
    assert (done.returncode, done.stderr) == (1, "Standard output cannot be written: No space left on device.\n")


def test_both_services_run_with_tls_where_there_are_certificates_for_them(start, tmp_path: Path, monkeypatch):
    authority = authority_in(tmp_path / "tls", "gateway", "engine", "client")
    service = start(*COMMAND[1:], "up", CQOX_TLS_DIR=str(tmp_path / "tls" / "{service}"))
    line = service.wait_line("Serving at https://")
    url = line.partition("Serving at ")[2].partition(";")[0]
    answer = httpx.get(f"{url}/api/estimators", verify=client_of(authority, "client"), trust_env=False)
    assert answer.status_code == 200
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "tls/gateway/current/ca.pem"))
    with Client(url) as client:
        assert client.catalog()
    assert service.stop() == 0


def test_a_report_is_read_as_a_user_that_a_vault_creates_for_the_command(tmp_path: Path):
    bao, postgres = OpenBao(), GuardedPostgres()
    try:
        bao.start()
        bao.allow()
        bao.mount("database")
        postgres.guard()
        postgres.known_to(bao, seconds=3600)
        with Session() as session:
            record = record_of(made(session))

        async def save() -> None:
            await postgres.migrate()
            async with PostgresStore.open(postgres.owner_url) as store:
                await store.within(DEFAULT_TENANT).save(record)

        trio.run(save)
        settings = {
            "CQOX_DATA_DIR": str(tmp_path),
            "POSTGRES_URL": postgres.bare_url,
            "CQOX_VAULT_ADDR": bao.url,
            "CQOX_VAULT_ROLE_FILE": str(bao.app_role(tmp_path / "role.json")),
            "CQOX_VAULT_DATABASE_ROLE": "database/cqox",
        }
        before = postgres.users()
        shown = run("report", record.analysis_id, **settings)
        assert (shown.returncode, shown.stderr) == (0, "")
        assert "aipw" in shown.stdout
        assert record.analysis_id in run("report", **settings).stdout
        wait_until(lambda: postgres.users() <= before)
        refused = run("report", **settings | {"CQOX_VAULT_DATABASE_ROLE": "other"})
        assert refused.returncode == 2
        assert "CQOX_VAULT_DATABASE_ROLE" in refused.stderr
        with bao.sealed():
            away = run("report", **settings)
        assert (away.returncode, "it is sealed" in away.stderr) == (1, True), away.stderr
    finally:
        bao.close()
        postgres.close()
