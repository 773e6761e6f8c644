"""A real Prometheus over samples that are written into its storage."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from cqox.dashboards.history import Sample
from tests.servers.parent import ending_with_parent
from tests.servers.ports import free_port
from tests.servers.promtool import promtool
from tests.waiting import wait_until

__all__ = ["Backfilled", "backfilled"]


def program(name: str) -> str:
    """Return the path of a program: on PATH, or where tests/servers/prometheus.sh puts it."""
    found = shutil.which(name) or shutil.which(name, path=str(Path(sys.prefix) / "bin"))
    assert found, f"There is no {name}: run tests/servers/prometheus.sh .venv, or put it on PATH."
    return found


class Backfilled:
    """The API of a running Prometheus."""

    def __init__(self, url: str) -> None:
        self.url = url

    def range(
        self, expr: str, start: float, end: float, step: float
    ) -> dict[tuple[tuple[str, str], ...], dict[float, float]]:
        """Return values by time and by labels."""
        given: dict[str, str | float] = {"query": expr, "start": start, "end": end, "step": step}
        answer = httpx.post(f"{self.url}/api/v1/query_range", data=given, timeout=30, trust_env=False)
        assert answer.status_code == 200, answer.text
        return {
            tuple(sorted(one["metric"].items())): {at: float(value) for at, value in one["values"]}
            for one in json.loads(answer.content)["data"]["result"]
        }


@contextmanager
def backfilled(folder: Path, samples: Sequence[tuple[float, Sample]]) -> Iterator[Backfilled]:
    """Run a Prometheus that has these samples, each with its time in seconds since the epoch."""
    text = folder / "samples.txt"
    lines = [
        f"{_series(sample)} {sample.value!r} {at:.3f}" for at, sample in sorted(samples, key=lambda each: each[1].name)
    ]
    text.write_text("\n".join([*lines, "# EOF", ""]), encoding="utf-8")
    data = folder / "data"
    made = [promtool(), "tsdb", "create-blocks-from", "openmetrics", "--quiet", str(text), str(data)]
    subprocess.run(made, check=True, capture_output=True)
    configuration = folder / "prometheus.yml"
    configuration.write_text("scrape_configs: []\n")
    port = free_port()
    arguments = [
        program("prometheus"),
        f"--config.file={configuration}",
        f"--storage.tsdb.path={data}",
        # The blocks are of the past, and are to stay.
        "--storage.tsdb.retention.time=100y",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    log = folder / "prometheus.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=ending_with_parent(9),
        )
    url = f"http://127.0.0.1:{port}"

    def is_ready() -> bool:
        assert process.poll() is None, log.read_text()
        try:
            return httpx.get(f"{url}/-/ready", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    try:
        wait_until(is_ready, failure=lambda: f"Prometheus is not ready: {log.read_text()}")
        yield Backfilled(url)
    finally:
        process.kill()
        process.wait()


def _series(sample: Sample) -> str:
    return sample.name + "{" + ",".join(f'{name}="{value}"' for name, value in sample.labels.items()) + "}"
