"""`cqox admin` against running services."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-c", "from services.cli import main; main()", "admin"]
ANALYZE = "_call_engine_analyze"


@pytest.fixture(scope="module")
def folder():
    # That of pytest may be too long for a socket.
    with tempfile.TemporaryDirectory(dir="/tmp") as made:
        yield Path(made)


def admin(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CQOX_")}
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={**inherited, "COLUMNS": "200"} | variables,
    )


@pytest.fixture(scope="module")
def up(folder):
    """Run both services with `cqox up` and a token; return the gateway's URL and the command's environment."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CQOX_")}
    settings = {"CQOX_DATA_DIR": str(folder / "data"), "CQOX_ADMIN_TOKEN": "s3cret"}
    ports = {"CQOX_GATEWAY_PORT": "0", "CQOX_ENGINE_PORT": "0"}
    process = subprocess.Popen(
        [*COMMAND[:-1], "up"], env={**inherited, **settings, **ports}, stdout=subprocess.PIPE, text=True,
        stdin=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    with process:
        try:
            url = next(line for line in process.stdout if line.startswith("Serving at")).split()[2].rstrip(";")
            yield url, {"CQOX_DATA_DIR": settings["CQOX_DATA_DIR"]}
        finally:
            process.send_signal(signal.SIGINT)
            process.stdout.read()
    assert process.returncode == 0
    assert not list((folder / "data").glob("*.sock"))


def circuits(*arguments: str, **variables: str) -> dict[str, str]:
    done = admin("policies", *arguments, **variables)
    assert done.returncode == 0, done.stderr
    heading, *lines = done.stdout.splitlines()
    assert heading.split() == ["policy", "circuit", "running", "waiting", "refused"]
    return {line.split("  ")[0]: line.split("  ", 1)[1].split("  ")[0].strip() or line.split()[1] for line in lines}


def test_the_policies_of_each_service_are_shown_as_a_table_and_as_json(up):
    _, settings = up
    assert ANALYZE in circuits(**settings)
    engine = json.loads(admin("policies", "--service", "engine", "--json", **settings).stdout)
    assert "sqlite" in engine
    assert ANALYZE not in engine


def test_a_circuit_is_steered_and_shown_as_it_is_then(up):
    _, settings = up
    for action, shown in (("isolate", "isolated"), ("disable", "disabled"), ("observe", "observe only")):
        done = admin(action, ANALYZE, **settings)
        assert (done.returncode, done.stderr) == (0, "")
        assert shown in done.stdout
        assert "_call_engine_read" not in done.stdout
    state = json.loads(admin("reset", ANALYZE, "--json", **settings).stdout)[ANALYZE]
    (mode,) = [part["state"]["mode"] for part in state["parts"] if part["kind"] == "CircuitBreaker"]
    assert mode == "normal"
    sqlite = admin("isolate", "sqlite", "--service", "engine", **settings)
    assert (sqlite.returncode, "isolated" in sqlite.stdout) == (0, True)
    listed = json.loads(admin("policies", "--service", "engine", "--json", **settings).stdout)
    assert listed.keys() == {"sqlite", "sqlite breaker"}
    assert listed["sqlite breaker"]["mode"] == listed["sqlite"]["parts"][0]["state"]["mode"] == "isolated"
    assert admin("reset", "sqlite", "--service", "engine", **settings).returncode == 0


def test_settings_are_changed(up):
    _, settings = up
    done = admin("set", ANALYZE, "recovery_timeout=30", "max_attempts=2", "jitter=false", **settings)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-3:] == [
        "recovery_timeout is 30 now.",
        "max_attempts is 2 now.",
        "jitter is false now.",
    ]
    json.loads(admin("set", ANALYZE, "max_attempts=3", "--json", **settings).stdout)


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("isolate", "nobody"), 1, "There is no policy 'nobody'. There are: _call_engine_analyze"),
        (("isolate", "engine retry budget"), 1, "has no circuit to isolate"),
        (("set", ANALYZE, "nonsense=1"), 1, "has no setting 'nonsense'. These settings can be changed: "),
        (
            ("set", ANALYZE, "failure_if=1"),
            1,
            "can be changed in code only. These settings can be changed: base_delay",
        ),
        (("set", ANALYZE, "recovery_timeout=soon"), 1, "recovery_timeout"),
        (("set", ANALYZE, "recovery_timeout=1e999"), 1, "recovery_timeout"),
        (("set", ANALYZE, "recovery_timeout=NaN"), 1, "recovery_timeout"),
        (("set", ANALYZE, "recovery_timeout"), 2, "'recovery_timeout' is no NAME=VALUE"),
        (("set", ANALYZE, "=1"), 2, "is no NAME=VALUE"),
        (("set", ANALYZE), 2, ""),
        (("isolate",), 2, ""),
        (("policies", "--service", "redis"), 2, ""),
        (("policies", "--socket", "/nowhere.sock"), 1, "There is no socket /nowhere.sock"),
        (("policies", "--socket", "/nowhere.sock", "--url", "http://localhost:1"), 2, "either --socket or --url"),
        (("policies", "--url", "localhost:8082"), 2, "--url must be an address"),
        (("policies", "--url", "http://u:hunter2@localhost"), 2, "without user and password"),
        (("policies", "--url", "http://localhost:1"), 2, "CQOX_ADMIN_TOKEN or CQOX_ADMIN_TOKEN_FILE"),
    ],
)
def test_what_cannot_be_done_says_what_can(up, arguments, status, said):
    _, settings = up
    done = admin(*arguments, **settings)
    assert done.returncode == status, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "hunter2" not in done.stderr


def test_a_service_is_asked_on_its_port_with_the_token(up, tmp_path):
    url, _ = up
    (tmp_path / "token").write_text("s3cret\n")
    assert ANALYZE in circuits("--url", url, CQOX_ADMIN_TOKEN="s3cret")
    assert ANALYZE in circuits("--url", f"{url}/", CQOX_ADMIN_TOKEN_FILE=str(tmp_path / "token"))
    wrong = admin("policies", "--url", url, CQOX_ADMIN_TOKEN="hunter2")
    assert wrong.returncode == 1
    assert "404: it has no CQOX_ADMIN_TOKEN, or another one" in wrong.stderr
    assert "hunter2" not in wrong.stderr
    unread = admin("policies", "--url", url, CQOX_ADMIN_TOKEN_FILE="/nowhere")
    assert unread.returncode == 2
    assert "CQOX_ADMIN_TOKEN_FILE=/nowhere" in unread.stderr
    with socket.create_server(("127.0.0.1", 0)) as free:
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}"
    gone = admin("policies", "--url", nobody, CQOX_ADMIN_TOKEN="s3cret")
    assert (gone.returncode, "is it running?" in gone.stderr) == (1, True)


def test_no_secret_has_to_be_readable_to_ask_on_the_socket(up):
    _, settings = up
    assert circuits(**settings, CQOX_ADMIN_TOKEN_FILE="/nowhere", POSTGRES_URL_FILE="/nowhere")


def test_where_nothing_runs_the_setting_and_the_sockets_that_there_are_are_named(folder, tmp_path):
    with tempfile.TemporaryDirectory(dir="/tmp") as empty:
        done = admin("policies", CQOX_DATA_DIR=empty)
        assert done.returncode == 1
        assert f"There is no socket {empty}/admin-gateway.sock" in done.stderr
        assert "CQOX_ADMIN_SOCKET or CQOX_DATA_DIR" in done.stderr
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(f"{empty}/admin-engine.sock")
        assert f"There is {empty}/admin-engine.sock" in admin("policies", CQOX_DATA_DIR=empty).stderr
        dead = admin("policies", "--service", "engine", CQOX_DATA_DIR=empty)
        assert (dead.returncode, "is it running?" in dead.stderr) == (1, True)


@pytest.mark.parametrize("name", ["gateway", "engine"])
def test_in_a_container_one_path_is_enough(start, name):
    with tempfile.TemporaryDirectory(dir="/tmp") as made:
        setting = {"CQOX_ADMIN_SOCKET": f"{made}/cqox-admin.sock"}
        service = start("-m", f"services.{name}", **setting)
        service.wait_line("Admin socket at ")
        policy = {"gateway": ANALYZE, "engine": "sqlite"}[name]
        assert policy in circuits(**setting)
        assert policy in circuits("--service", name, **setting)
        other = {"gateway": "engine", "engine": "gateway"}[name]
        wrong = admin("policies", "--service", other, **setting)
        assert (wrong.returncode, f"That is the {name} and not the {other}" in wrong.stderr) == (2, True)


def test_with_one_socket_path_for_both_the_engines_is_in_the_same_directory(start):
    with tempfile.TemporaryDirectory(dir="/tmp") as made:
        path = f"{made}/steer.sock"
        service = start(*COMMAND[1:-1], "up", CQOX_ADMIN_SOCKET=path)
        for title in ("Gateway", "Engine"):
            service.wait_line(f"[{title}] Admin socket at ")
        assert ANALYZE in circuits(CQOX_ADMIN_SOCKET=path)
        assert "sqlite" in circuits("--service", "engine", CQOX_ADMIN_SOCKET=path)
        assert sorted(one.name for one in Path(made).glob("*.sock")) == ["steer-engine.sock", "steer.sock"]
        other = start(*COMMAND[1:-1], "up", CQOX_ADMIN_SOCKET=path)
        for title in ("Gateway", "Engine"):
            assert "belongs to another process" in other.wait_line(f"[{title}] {made}")
        assert len(list(Path(made).glob("*.sock"))) == 4
        assert other.stop(signal.SIGINT) == 0
        assert ANALYZE in circuits(CQOX_ADMIN_SOCKET=path)
        assert service.stop(signal.SIGINT) == 0
