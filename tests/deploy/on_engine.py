"""The checks of `make compose-test` on a real engine; started by compose_test.sh, within its namespaces.

Each check says whether it held, and the run goes on: a stack takes minutes to build, and shows more than its first
failure.
"""

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import httpx

from cqox.telemetry import metric_definitions
from cqox.telemetry.metric_definitions import SERIES
from deploy.grafana import dashboard
from tests.deploy.asking import filled

ROOT = Path(__file__).parents[2]
STANDINS = ROOT / "tests" / "deploy" / "standins"
EXAMPLES = ROOT / "examples"
GATEWAY = "http://127.0.0.1:8082"
EDGE = "http://127.0.0.1:8090"
PROMETHEUS = "http://127.0.0.1:9090"
PATIENCE_SECONDS = 600.0
# A long request has to outlast the 5 s until the sockets close, and to end within the 35 s of a drain.
LONG_SECONDS = 15.0
SCRAPE_SECONDS = 10.0
TABLE = "id,w,y\n" + "\n".join(f"{row},{row % 2},{row % 7 + 2 * (row % 2)}" for row in range(200))

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
        never = "{pull_policy: never}"
        wheels = f"{{pull_policy: never, build: {{additional_contexts: {{wheels: {self.kept / 'wheels'}}}}}}}"
        relay = "{pull_policy: never, environment: {RELAY_TO: 'http://jaeger:4318/v1/traces'}}"
        lines = {"gateway": wheels, "engine": wheels, "password": wheels, "otel-collector": relay}
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


def inspected(container: str, what: str) -> str:
    return run("docker", "inspect", "--format", f"{{{{{what}}}}}", container).strip()


def without_trace(report: httpx.Response) -> dict[str, object]:
    reported = report.json()
    reported["provenance"] = {key: value for key, value in reported["provenance"].items() if key != "trace_id"}
    return reported


def images(stack: Stack) -> None:
    stack.compose("--profile", "full", "--profile", "replicas", "config", "--quiet")
    holds("Compose takes the file with every profile", True)
    stack.build()
    for name in ("gateway", "engine"):
        tag = f"cqox-{name}:0.2.0"
        size = int(inspected(tag, ".Size")) / 1e6
        holds(
            f"the image of the {name} runs as 10001 and is checked ({size:.0f} MB)",
            inspected(tag, ".Config.User") == "10001:10001"
            and "healthcheck.py" in inspected(tag, ".Config.Healthcheck.Test"),
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
        figures = list(report.json().get("figures", {}).values()) if report.status_code == 200 else []
        drawn = [httpx.get(f"{GATEWAY}{url}", timeout=60, trust_env=False).status_code for url in figures]
        holds(f"{name} is analysed and its {len(figures)} figures are drawn", figures and set(drawn) == {200})
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
    time.sleep(45)
    run("docker", "start", "cqox-jaeger-1")

    def queried(expr: str) -> list[object]:
        answer = httpx.get(f"{PROMETHEUS}/api/v1/query", params={"query": expr}, trust_env=False).json()
        return answer["data"]["result"] if answer["status"] == "success" else [None]

    targets = queried('up{job=~"cqox-.*"} == 1')
    holds(f"Prometheus reaches gateway and engine, each once ({len(targets)})", len(targets) == 2)
    for one in SERIES:
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


def replicas(stack: Stack) -> None:
    stack.up("--scale", "engine-replica=2", "engine-replica", COMPOSE_PROFILES="replicas")
    names = ["cqox-engine", "cqox-engine-replica-1", "cqox-engine-replica-2"]
    # The gateway asks every five seconds who is behind the name of the replicas.
    time.sleep(7)
    statuses: list[int] = []

    def load(first: int, count: int) -> None:
        for seed in range(first, first + count):
            statuses.append(ask(example("request.json"), seed=seed).status_code)

    def while_asking(act: Callable[[], object]) -> list[int]:
        statuses.clear()
        threads = [
            threading.Thread(target=load, args=(int(time.time() * 1000) % 10**8 + 100 * lane, 8)) for lane in range(3)
        ]
        for thread in threads:
            thread.start()
        time.sleep(2)
        act()
        for thread in threads:
            thread.join()
        return statuses

    def served() -> list[int]:
        return [run("docker", "logs", name).count('"POST /api/analyze/comprehensive 200"') for name in names]

    before = served()
    answered = while_asking(lambda: run("docker", "kill", names[1]))
    spread = [after - ago for ago, after in zip(before, served(), strict=True)]
    holds(
        f"a replica is killed under load: {len(answered)} requests, all answered ({spread}, {sorted(set(answered))})",
        set(answered) == {200},
    )
    holds("the two that are left share the work", spread[0] > 0 and spread[2] > 0)
    run("docker", "start", names[1])
    answered = while_asking(lambda: run("docker", "kill", names[0]))
    holds(
        f"the engine with a name is killed under load: {len(answered)} requests, all answered", set(answered) == {200}
    )
    run("docker", "start", names[0])
    answered = while_asking(lambda: run("docker", "stop", names[2]))
    holds(f"a replica is stopped under load: {len(answered)} requests, all answered", set(answered) == {200})
    holds("and it ends with exit status 0", inspected(names[2], ".State.ExitCode") == "0")
    stack.compose("--profile", "replicas", "rm", "--stop", "--force", "engine-replica")
    stack.up()


def another_version() -> None:
    for name in ("gateway", "engine"):
        run("docker", "tag", f"cqox-{name}:0.2.0", f"cqox-{name}:0.2.1")


def versions(stack: Stack) -> None:
    another_version()
    before = ask(example("request.json"))
    for step, version in (("upgrade", "0.2.1"), ("rollback", "0.2.0")):
        stack.up(CQOX_VERSION=version)
        image = inspected("cqox-engine", ".Config.Image")
        after = ask(example("request.json"))
        same = after.status_code == 200 and without_trace(after)["analysis_id"] == without_trace(before)["analysis_id"]
        holds(f"{step}: the engine runs {image}, and knows its reports", image.endswith(version) and same)


def rolling(stack: Stack) -> None:
    """Replace every gateway and engine by another version while requests come to the one address of all gateways."""
    another_version()
    stack.up(COMPOSE_PROFILES="replicas,edge")
    dataset = {"dataset_id": "test", "mapping": {"y": "y", "treatment": "w", "unit_id": "id"}}
    known = ask(example("request.json"))
    for step, version in (("upgrade", "0.2.1"), ("rollback", "0.2.0")):
        answered: Counter[str] = Counter()
        over = threading.Event()

        def load(lane: int, answered: Counter[str] = answered, over: threading.Event = over) -> None:
            # Half of the lanes keep their connection, half of them open one for each request.
            seed = time.monotonic_ns() % 10**8 * 10 + lane
            kept = httpx.Client(base_url=EDGE, timeout=60, trust_env=False)
            while not over.is_set():
                seed += 10
                client = kept if lane % 2 else httpx.Client(base_url=EDGE, timeout=60, trust_env=False)
                try:
                    asked = client.get(f"/api/analyses/{known.json()['analysis_id']}")
                    answered[f"read {asked.status_code}"] += 1
                    if seed // 10 % 10 == 0:
                        body = dataset | {"options": {"seed": seed % 10**8}}
                        answered[f"analyze {client.post('/api/analyze/comprehensive', json=body).status_code}"] += 1
                except httpx.HTTPError as error:
                    answered[f"{type(error).__name__}: {error}"] += 1
                time.sleep(0.05)

        threads = [threading.Thread(target=load, args=(lane,)) for lane in range(6)]
        for thread in threads:
            thread.start()
        began = time.monotonic()
        try:
            run("deploy/upgrade.sh", *(["--back"] if step == "rollback" else []), CQOX_VERSION=version)
        finally:
            seconds = time.monotonic() - began
            over.set()
            for thread in threads:
                thread.join()
        holds(
            f"{step} of two gateways and two engines under load in {seconds:.0f} s: {dict(answered)}",
            set(answered) == {"read 200", "analyze 200"},
        )
        for name in ("cqox-gateway", "cqox-gateway-replica-1", "cqox-engine", "cqox-engine-replica-1"):
            running = inspected(name, ".Config.Image")
            holds(f"{step}: {name} runs {running}", running.endswith(version))
    stack.compose(
        "--profile",
        "replicas",
        "--profile",
        "edge",
        "rm",
        "--stop",
        "--force",
        "edge",
        "gateway-replica",
        "engine-replica",
    )
    stack.up()


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
    stack.compose("--profile", "replicas", "--profile", "edge", "--profile", "full", "down", "--volumes")
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
        say(f"      {time.monotonic() - began:.0f} s")
    print("compose-test: not run, because their images cannot be had here: Jaeger, the collector (stand-ins of ours),")
    print("compose-test: Grafana, Elasticsearch, Kibana (`docker compose config` and tests of their files only)")
    print(f"compose-test: {'FAILED: ' + '; '.join(failures) if failures else 'passed'}", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
