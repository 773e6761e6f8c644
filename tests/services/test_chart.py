"""Real services with the variables of the chart: its probes, its migration, and an end within its grace period."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.deploy.chart.rendering import MATRIX, environment, find, pods, rendered
from tests.servers import Postgres, running
from tests.services.conftest import Service
from tests.waiting import wait_until

CASE = "route"
assert MATRIX[CASE]["auth"] == {"mode": "keys"}


def on_this_machine(component: str, folder: Path) -> dict[str, str]:
    """The variables of a pod, with the volumes of the pod as folders, and any port of this machine."""
    given = environment(pods(rendered(CASE))[component])
    return {
        **{name: _moved(value, folder) for name, value in given.items()},
        "CQOX_HOST": "127.0.0.1",
        f"CQOX_{component.upper()}_PORT": "0",
        "CQOX_ADMIN_SOCKET": str(folder / f"{component}.sock"),
        "OTEL_SDK_DISABLED": "true",
    }


def _moved(value: str, folder: Path) -> str:
    for mount, place in {"/etc/cqox": folder, "/var/lib/cqox": folder / "data", "/tmp": folder}.items():
        if value.startswith(f"{mount}/"):
            return f"{place}{value.removeprefix(mount)}"
    return re.sub(r"\$\(\w+\)", "pod", value)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "hop-key").write_text("h" * 64 + "\n")
    (tmp_path / "secrets" / "admin-token").write_text("a" * 64 + "\n")
    return tmp_path


def test_the_pods_of_the_chart_start_answer_their_probes_and_end_in_time(
    folder: Path, start: Callable[..., Service]
) -> None:
    engine = start("-m", "services.engine", **on_this_machine("engine", folder))
    variables = on_this_machine("gateway", folder)
    gateway = start("-m", "services.gateway", **{**variables, "ENGINE_URL": engine.url})
    for name, service in (("engine", engine), ("gateway", gateway)):
        pod = pods(rendered(CASE))[name]
        with service.ready_client() as client:
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                path = pod["containers"][0][probe]["httpGet"]["path"]
                # A probe has the address of the pod as its host.
                assert client.get(path).status_code == 200
            # The name of the Service, which callers in the cluster use.
            address = f"cqox-{name}.cqox.svc.cluster.local"
            assert client.get("/api/health", headers={"Host": address}).status_code == 200
            assert client.get("/api/datasets", headers={"Host": address}).status_code == 401
            assert client.get("/api/datasets", headers={"Host": "elsewhere.example.com"}).status_code == 421
    with gateway.ready_client() as client:
        wait_until(lambda: client.get("/health/ready").json()["degraded"] == {})
    for service, component in ((gateway, "gateway"), (engine, "engine")):
        began = time.monotonic()
        assert service.stop() == 0
        assert time.monotonic() - began < pods(rendered(CASE))[component]["terminationGracePeriodSeconds"]


def test_the_migration_of_the_chart_brings_a_database_up_to_date(folder: Path) -> None:
    pod = find(rendered("stores"), "Job", "cqox-migration")["spec"]["template"]["spec"]
    program, *arguments = pod["containers"][0]["command"]
    command = [Path(sys.executable).parent / program, *arguments]
    with running(Postgres()) as server:
        (folder / "secrets" / "postgres-url").write_text(f"{server.url}\n")
        variables = {name: _moved(value, folder) for name, value in environment(pod).items()}
        for said in ("applied.", "The schema is up to date."):
            run = subprocess.run(command, capture_output=True, text=True, env={"PATH": os.environ["PATH"], **variables})
            assert run.returncode == 0, run.stderr
            assert said in run.stdout
