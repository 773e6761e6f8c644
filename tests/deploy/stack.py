"""The stack of compose.yaml on the engine of `make compose-test`, and what its steps say of it."""

import json
import os
import re
import subprocess
import time
from pathlib import Path

import httpx

from tests.deploy.container_logs import Logs

ROOT = Path(__file__).parents[2]
STANDINS = ROOT / "tests" / "deploy" / "standins"
EXAMPLES = ROOT / "examples"
GATEWAY = "http://127.0.0.1:8082"
EDGE = "http://127.0.0.1:8090"

failures: list[str] = []


def say(text: str) -> None:
    print(f"  {text}", flush=True)


def holds(what: str, there: object) -> None:
    say(f"{'ok   ' if there else 'NOT  '} {what}")
    if not there:
        failures.append(what)


def run(*command: str | Path, quiet: bool = True, **more: str) -> str:
    done = subprocess.run(
        [str(part) for part in command], cwd=ROOT, env=os.environ | more, capture_output=quiet, text=True
    )
    if done.returncode:
        raise RuntimeError(f"{command}: {done.returncode}\n{(done.stdout or '')[-2000:]}{(done.stderr or '')[-2000:]}")
    return done.stdout or ""


class Stack:
    """The stack of compose.yaml, with stand-ins for the images that cannot be pulled here."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.kept = (work / "from").resolve()
        self.logs = Logs(work / "data")
        never = "{pull_policy: never}"
        wheels = f"{{pull_policy: never, build: {{additional_contexts: {{wheels: {self.kept / 'wheels'}}}}}}}"
        relay = "{pull_policy: never, environment: {RELAY_TO: 'http://jaeger:4318/v1/traces'}}"
        lines = {
            "gateway": wheels,
            "engine": wheels,
            "password": wheels,
            "certificates": wheels,
            "otel-collector": relay,
        }
        lines |= dict.fromkeys(
            ("gateway-replica", "engine-replica", "edge", "postgres", "redis", "jaeger", "prometheus"), never
        )
        override = work / "never-pull.yaml"
        override.write_text("services:\n" + "".join(f"  {key}: {value}\n" for key, value in lines.items()))
        os.environ["COMPOSE_FILE"] = f"{ROOT / 'compose.yaml'}:{override}"
        os.environ["COMPOSE_PROJECT_NAME"] = "cqox"

    def compose(self, *arguments: str, **more: str) -> str:
        return run("docker", "compose", *arguments, **more)

    def up(self, *arguments: str, **more: str) -> None:
        self.compose("up", "--detach", "--wait", "--no-build", *arguments, **more)

    def build(self) -> None:
        """The images of the project as everybody builds them, but from a directory of wheels; then the stand-ins."""
        self.compose("build", "engine", "gateway")
        (self.work / "contexts").mkdir()
        for name, tag in (
            ("postgres", "postgres"),
            ("redis", "redis"),
            ("prometheus", "prom/prometheus"),
            ("haproxy", "haproxy"),
        ):
            context = self.work / "contexts" / name
            run("cp", "-r", STANDINS / name, context)
            (context / "root.tar").hardlink_to(self.kept / f"{name}.tar")
            run("docker", "build", "--quiet", "--tag", self.image(tag), context)
        for tag in ("jaegertracing/jaeger", "otel/opentelemetry-collector-contrib"):
            contexts = f"wget={STANDINS / 'prometheus'}"
            tagged = ["--build-context", contexts, "--tag", self.image(tag)]
            run("docker", "build", "--quiet", *tagged, STANDINS / "jaeger")

    def image(self, name: str) -> str:
        return re.search(rf"image: ({re.escape(name)}:\S+)", (ROOT / "compose.yaml").read_text())[1]


def ask(body: dict[str, object], seed: int | None = None, seconds: float = 120.0) -> httpx.Response:
    if seed is not None:
        body = body | {"options": {"seed": seed}}
    return httpx.post(f"{GATEWAY}/api/analyze/comprehensive", json=body, timeout=seconds, trust_env=False)


def example(name: str) -> dict[str, object]:
    return json.loads((EXAMPLES / name).read_text(encoding="utf-8"))


def drawn(client: httpx.Client, report: httpx.Response) -> list[int]:
    """Return the statuses of the figures of a report; on a busy machine one may take longer than a request."""
    statuses = []
    for url in report.json().get("figures", {}).values() if report.status_code == 200 else ():
        for _ in range(5):
            status = client.get(url, timeout=60).status_code
            if status not in (503, 504):
                break
            time.sleep(15)
        statuses.append(status)
    return statuses


def inspected(container: str, what: str) -> str:
    return run("docker", "inspect", "--format", f"{{{{{what}}}}}", container).strip()


def without_trace(report: httpx.Response) -> dict[str, object]:
    reported = report.json()
    reported["provenance"] = {key: value for key, value in reported["provenance"].items() if key != "trace_id"}
    return reported
