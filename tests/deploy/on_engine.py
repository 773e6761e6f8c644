"""The checks of `make compose-test` on a real engine; started by compose_test.sh, within its namespaces.

Each check says whether it held, and the run goes on: a stack takes minutes to build, and shows more than its first
failure.
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from cqox.telemetry import metric_definitions
from cqox.telemetry.metric_definitions import SERIES
from deploy.grafana import dashboard
from tests.deploy.asking import filled
from tests.deploy.stack import (
    GATEWAY,
    ROOT,
    Stack,
    ask,
    drawn,
    example,
    failures,
    holds,
    inspected,
    run,
    say,
    without_trace,
)
from tests.deploy.under_load import CERTIFICATE_SERIES, another_version, replicas, rolling, secured
from tools.images import LIMITS

PROMETHEUS = "http://127.0.0.1:9090"
# A long request has to outlast the 5 s until the sockets close, and to end within the 35 s of a drain.
LONG_SECONDS = 15.0
SCRAPE_SECONDS = 10.0
TABLE = "id,w,y\n" + "\n".join(f"{row},{row % 2},{row % 7 + 2 * (row % 2)}" for row in range(200))


def images(stack: Stack) -> None:
    stack.compose("--profile", "full", "--profile", "replicas", "config", "--quiet")
    holds("Compose takes the file with every profile", True)
    stack.build()
    for name in ("gateway", "engine"):
        tag = f"cqox-{name}:0.2.0"
        above = int(inspected(tag, ".Size")) - int(inspected("python:3.13-slim", ".Size"))
        limit = LIMITS[name]
        holds(f"the {name} has {above / 1e6:.1f} MB above its base of at most {limit / 1e6:.0f} MB", above <= limit)
        holds(
            f"the image of the {name} runs as 10001 and is checked",
            inspected(tag, ".Config.User") == "10001:10001"
            and "healthcheck.py" in inspected(tag, ".Config.Healthcheck.Test"),
        )
        imported = f"import services.{name}.app, services.cli"
        said = subprocess.run(
            ["docker", "run", "--rm", tag, "python", "-v", "-c", imported], capture_output=True, text=True, check=True
        )
        # Python says so of a module that it compiles: the file that it takes otherwise is in quotes, and ends with pyc.
        compiled = re.findall(r"^# code object from (/opt/cqox/\S+\.py)$", said.stderr, re.MULTILINE)
        holds(
            f"what the {name} imports is compiled in its image, but for {len(compiled)}: {compiled[:3]}", not compiled
        )
    absent = ("numpy", "polars", "scipy", "psycopg", "cqox_assets")
    numerics = f"import importlib.util as u; print([n for n in {absent} if u.find_spec(n)])"
    holds(
        "the gateway's holds no numerics and no drivers",
        run("docker", "run", "--rm", "cqox-gateway:0.2.0", "python", "-c", numerics).strip() == "[]",
    )
    gone = run("docker", "run", "--rm", "cqox-engine:0.2.0", "sh", "-c", "ls /opt/cqox/bin; ls /src 2>&1 || true")
    holds("neither holds pip or the source tree", "pip" not in gone and "pyproject" not in gone)


def starts(stack: Stack) -> None:
    began = time.monotonic()
    stack.up()
    holds(f"docker compose up is healthy ({time.monotonic() - began:.0f} s)", True)
    for line in run("docker", "ps", "--format", "{{.Names}} {{.Ports}}").splitlines():
        name, _, ports = line.partition(" ")
        published = [port for port in ports.split(", ") if "->" in port]
        holds(
            f"{name} publishes {published or 'nothing'}, on loopback",
            all(port.startswith("127.0.0.1:") for port in published),
        )
    for name in ("cqox-gateway", "cqox-engine", "cqox-postgres-1", "cqox-redis-1"):
        probe = "id -u; grep -E '^(CapEff|NoNewPrivs)' /proc/self/status; touch /probe 2>&1 || true"
        reported = run("docker", "exec", name, "sh", "-c", probe)
        held = (
            not reported.startswith("0\n") and "CapEff:\t0000000000000000" in reported and "NoNewPrivs:\t1" in reported
        )
        holds(f"{name} is no root, has no capability and a file system to read", held and "Read-only" in reported)
    reported = httpx.get("http://127.0.0.1:8080/api/health", trust_env=False).json()
    holds("the engine has its database and its cache", reported["status"] == "ok")


def main_job(stack: Stack) -> None:
    for name in ("request.json", "mini_retail_request.json"):
        report = ask(example(name))
        with httpx.Client(base_url=GATEWAY, trust_env=False) as client:
            figures = drawn(client, report)
        holds(f"{name} is analysed and its {len(figures)} figures are drawn", set(figures) == {200})
    sent = httpx.post(f"{GATEWAY}/api/datasets?name=a.csv", content=TABLE, timeout=60, trust_env=False)
    mapping = {"y": "y", "treatment": "w", "unit_id": "id"}
    report = ask({"dataset_id": sent.json()["dataset_id"], "mapping": mapping})
    holds("a file is uploaded and analysed", sent.status_code == 201 and report.status_code == 200)
    holds("it is stored", report.json()["provenance"]["stored"] is True)


def verifications(stack: Stack) -> None:
    long = example("long_request.json")
    sample = 2000
    # The first analysis of an engine pays for what the next ones find warm.
    ask(example("request.json"), seed=4)
    began = time.monotonic()
    ask(long | {"options": long["options"] | {"repetitions": sample, "seed": 5}})
    # The machine is shared with whatever else it does; what the example asks for is for one that is not.
    repetitions = int(sample * LONG_SECONDS / (time.monotonic() - began))
    command = ["deploy/verify.sh", "--repetitions", str(max(2000, min(16000, repetitions)))]
    say(" ".join(command))
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    print(re.sub("^", "  | ", done.stdout.rstrip(), flags=re.MULTILINE), flush=True)
    holds("the four verifications pass", done.returncode == 0)


def collected(stack: Stack) -> None:
    stack.up("--no-deps", "prometheus", "otel-collector")
    # The name `traces` is the collector's now; a connection that Jaeger has is kept until somebody closes it.
    run("docker", "restart", "cqox-gateway", "cqox-engine")
    stack.up()
    trace = ask(example("request.json"), seed=11).headers["x-trace-id"]
    seen = {}
    for _ in range(30):
        time.sleep(1)
        for name in ("otel-collector", "jaeger"):
            look = f"import urllib.request as r; print(r.urlopen('http://127.0.0.1:16686/api/traces/{trace}').status)"
            reported = subprocess.run(
                ["docker", "exec", f"cqox-{name}-1", "python", "-c", look], capture_output=True, text=True
            )
            seen[name] = "200" in reported.stdout
        if all(seen.values()):
            break
    holds("with a collector next to Jaeger, spans go through it to Jaeger", all(seen.values()))
    run("docker", "rm", "--force", "cqox-otel-collector-1")
    run("docker", "restart", "cqox-gateway", "cqox-engine")
    stack.up()


def answered_again(seconds: float) -> bool:
    """Ask until an analysis is answered 200, and return whether one is within this time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if ask(example("request.json")).status_code == 200:
            return True
        time.sleep(1)
    return False


def measured(stack: Stack) -> None:
    # A workload with trouble in it, for the series that a service that is well says nothing of.
    run("docker", "stop", "cqox-jaeger-1")
    for seed in range(3):
        ask(example("request.json"), seed=seed)
    ask(example("request.json"))
    httpx.post(f"{GATEWAY}/api/datasets?name=b.csv", content=TABLE + "\n", timeout=60, trust_env=False)
    late = httpx.post(
        f"{GATEWAY}/api/analyze/comprehensive",
        json=example("request.json"),
        headers={"X-Request-Timeout-Ms": "0"},
        trust_env=False,
    )
    holds("a request without time is answered 504", late.status_code == 504)
    # Two looks of Prometheus before the counts are gone with the process.
    time.sleep(2.5 * SCRAPE_SECONDS)
    run("docker", "stop", "cqox-engine")
    for _ in range(7):
        ask({"dataset_id": "test", "mapping": {"y": "y", "treatment": "w", "unit_id": "id"}})
    run("docker", "start", "cqox-engine")
    run("docker", "start", "cqox-jaeger-1")
    # The open circuit lets a single request through to see whether the engine is back, and refuses others meanwhile.
    recovered = answered_again(90)
    holds("with the engine back, the circuit closes by itself", recovered)
    time.sleep(2 * SCRAPE_SECONDS)

    def queried(expr: str) -> list[object]:
        answer = httpx.get(f"{PROMETHEUS}/api/v1/query", params={"query": expr}, trust_env=False).json()
        return answer["data"]["result"] if answer["status"] == "success" else [None]

    targets = queried('up{job=~"cqox-.*"} == 1')
    holds(f"Prometheus reaches gateway and engine, each once ({len(targets)})", len(targets) == 2)
    for one in SERIES:
        if one.prometheus_name.startswith(CERTIFICATE_SERIES):
            continue
        name = one.prometheus_name + ("_count" if one.kind == "histogram" else "")
        holds(f"there is data of {name}", queried(f"count_over_time({name}[1h])"))
    asked = [expr for _, expr in dashboard.expressions()]
    holds(
        f"Prometheus answers all {len(asked)} queries of the dashboard",
        all(queried(filled(expr)) != [None] for expr in asked),
    )
    silent = [expr for expr in asked if not queried(filled(expr, "1h"))]
    allowed = (
        metric_definitions.STORE_DURATION.prometheus_name + '_count{job=~"$job", instance=~"$instance", error_type',
        'status="failed"',
        "avg_over_time",
        "cqox:",
        CERTIFICATE_SERIES,
    )
    holds(
        "and all but those of failures that did not happen have an answer",
        not [expr for expr in silent if not any(word in expr for word in allowed)],
    )
    for expr in silent:
        say(f"      no answer yet: {expr}")
    rules = httpx.get(f"{PROMETHEUS}/api/v1/rules", trust_env=False).json()["data"]["groups"]
    health = {rule["health"] for group in rules for rule in group["rules"]}
    holds(f"its {sum(len(group['rules']) for group in rules)} rules are evaluated", health == {"ok"})
    stack.compose("rm", "--stop", "--force", "prometheus")


def versions(stack: Stack) -> None:
    another_version()
    before = ask(example("request.json"))
    for step, version in (("upgrade", "0.2.1"), ("rollback", "0.2.0")):
        stack.up(CQOX_VERSION=version)
        image = inspected("cqox-engine", ".Config.Image")
        after = ask(example("request.json"))
        same = after.status_code == 200 and without_trace(after)["analysis_id"] == without_trace(before)["analysis_id"]
        holds(f"{step}: the engine runs {image}, and knows its reports", image.endswith(version) and same)


def backups(stack: Stack) -> None:
    saved = stack.work / "backup"
    listed = httpx.get(f"{GATEWAY}/api/analyses", trust_env=False).json()["analyses"]
    paths = [f"{GATEWAY}/api/analyses/{one['analysis_id']}" for one in listed]
    before = [without_trace(httpx.get(path, trust_env=False)) for path in paths]
    run("deploy/backup.sh", saved)
    stack.compose("down", "--volumes")
    stack.up()
    holds("a new stack knows nothing", httpx.get(paths[0], trust_env=False).status_code == 404)
    stack.up("engine-replica", COMPOSE_PROFILES="replicas")
    reported = run("deploy/restore.sh", saved)
    holds("a replica is there again after it", inspected("cqox-engine-replica-1", ".State.Running") == "true")
    holds("rows and files belong together after a restore", "Rows and files are consistent." in reported)
    after = [without_trace(httpx.get(path, trust_env=False)) for path in paths]
    holds(f"all {len(paths)} reports are back as they were", before == after)


def ends(stack: Stack) -> None:
    profiles = [part for name in ("replicas", "edge", "secure", "full") for part in ("--profile", name)]
    stack.compose(*profiles, "down", "--volumes")
    holds(
        "down leaves no container and no volume",
        not run("docker", "ps", "-aq") and not run("docker", "volume", "ls", "-q"),
    )


STEPS: tuple[Callable[[Stack], None], ...] = (
    images,
    starts,
    main_job,
    verifications,
    collected,
    measured,
    replicas,
    versions,
    rolling,
    backups,
    secured,
    ends,
)


def main(work: Path) -> int:
    stack = Stack(work)
    named = {step.__name__: step for step in STEPS}
    only = os.environ.get("COMPOSE_TEST_ONLY", "").split()
    for step in [named[name] for name in only] if only else STEPS:
        began = time.monotonic()
        print(f"compose-test: {step.__name__}", flush=True)
        try:
            step(stack)
        except Exception as error:
            failures.append(step.__name__)
            say(f"NOT   {step.__name__}: {type(error).__name__}: {error}")
            if step is starts or step is images:
                break
        say(f"      {time.monotonic() - began:.0f} s, load {os.getloadavg()[0]:.1f}")
    if "COMPOSE_TEST_KEEP" in os.environ and failures:
        stack.logs.save(stack.kept / f"logs-{time.strftime('%H%M%S')}")
    print("compose-test: not run, because their images cannot be had here: Jaeger, the collector (stand-ins of ours),")
    print("compose-test: Grafana, Elasticsearch, Kibana (`docker compose config` and tests of their files only)")
    print(f"compose-test: {'FAILED: ' + '; '.join(failures) if failures else 'passed'}", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
