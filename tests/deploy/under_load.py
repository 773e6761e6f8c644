"""Steps of `make compose-test` that kill, stop and replace containers while requests come."""

import secrets
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from tests.deploy.container_logs import Logs
from tests.deploy.stack import EDGE, GATEWAY, Stack, drawn, example, holds, inspected, run, say

__all__ = ["CERTIFICATE_SERIES", "another_version", "replicas", "rolling", "secured"]

DATASET = {"dataset_id": "test", "mapping": {"y": "y", "treatment": "w", "unit_id": "id"}}
ANALYZE = "/api/analyze/comprehensive"
# Without TLS there are none.
CERTIFICATE_SERIES = "cqox_certificate_"
_SHOWN = 3


TLS_EDGE = EDGE.replace("http:", "https:")
TLS = {"CQOX_TLS_DIR": "/var/lib/cqox-tls", "COMPOSE_PROFILES": "secure,replicas,edge"}


@dataclass(frozen=True, slots=True)
class Reply:
    """The outcome of one request: a status, or the name of an error of the connection."""

    what: str
    outcome: str
    seconds: float
    trace: str
    clock: str
    began: float
    body: str

    @property
    def good(self) -> bool:
        return self.outcome == "200"

    @property
    def cut_off(self) -> bool:
        return not self.outcome.isdecimal()


class Load:
    """Requests from several lanes, each of which names its trace, so that what failed is found in the logs."""

    def __init__(self, logs: Logs) -> None:
        self._logs = logs
        self.replies: list[Reply] = []
        self.killed_at = -1.0

    def ask(self, client: httpx.Client, what: str, method: str, url: str, **more: object) -> httpx.Response | None:
        trace = secrets.token_hex(16)
        headers = {"traceparent": f"00-{trace}-{secrets.token_hex(8)}-01"}
        began, clock = time.monotonic(), time.strftime("%H:%M:%S", time.gmtime())
        asked, body = None, ""
        try:
            asked = client.request(method, url, headers=headers, **more)
            outcome, body = str(asked.status_code), "" if asked.status_code == 200 else asked.text[:600]
        except httpx.HTTPError as error:
            outcome = f"{type(error).__name__}: {error}"
        self.replies.append(Reply(what, outcome, time.monotonic() - began, trace, clock, began, body))
        return asked

    @property
    def counts(self) -> dict[str, int]:
        return dict(sorted(Counter(f"{reply.what} {reply.outcome}" for reply in self.replies).items()))

    def killed(self) -> None:
        """Excuse the requests that had begun by now, if their connection was cut off."""
        self.killed_at = time.monotonic()

    def holds(self, what: str) -> None:
        """Say whether every request was answered 200, and of those that were not what every container said."""
        lost = [reply for reply in self.replies if reply.cut_off and reply.began <= self.killed_at]
        failed = [reply for reply in self.replies if not reply.good and reply not in lost]
        slowest = max((reply.seconds for reply in self.replies), default=0.0)
        holds(f"{what}: {self.counts}, the slowest in {slowest:.1f} s", self.replies and not failed)
        if lost:
            say(f"      {len(lost)} of them were in flight at what was killed")
        for reply in failed[:_SHOWN]:
            say(f"      {reply.what} at {reply.clock} for {reply.seconds:.2f} s: {reply.outcome} {reply.body}")
            for line in self._logs.saying(reply.trace):
                say(f"      | {line[:600]}")


def another_version() -> None:
    for name in ("gateway", "engine"):
        run("docker", "tag", f"cqox-{name}:0.2.0", f"cqox-{name}:0.2.1")


def replicas(stack: Stack) -> None:
    stack.up("--scale", "engine-replica=2", "engine-replica", COMPOSE_PROFILES="replicas")
    names = ["cqox-engine", "cqox-engine-replica-1", "cqox-engine-replica-2"]
    # The gateway asks every five seconds who is behind the name of the replicas.
    time.sleep(7)

    def while_asking(what: str, act: Callable[[], object]) -> None:
        load = Load(stack.logs)

        def lane(first: int) -> None:
            with httpx.Client(base_url=GATEWAY, timeout=120, trust_env=False) as client:
                for seed in range(first, first + 8):
                    body = example("request.json") | {"options": {"seed": seed}}
                    load.ask(client, "analyze", "POST", ANALYZE, json=body)

        threads = [
            threading.Thread(target=lane, args=(int(time.time() * 1000) % 10**8 + 100 * each,)) for each in range(3)
        ]
        for thread in threads:
            thread.start()
        time.sleep(2)
        act()
        for thread in threads:
            thread.join()
        load.holds(what)

    def served() -> list[int]:
        return [run("docker", "logs", name).count(f'"POST {ANALYZE} 200"') for name in names]

    before = served()
    while_asking("a replica is killed under load", lambda: run("docker", "kill", names[1]))
    spread = [after - ago for ago, after in zip(before, served(), strict=True)]
    holds(f"the two that are left share the work {spread}", spread[0] > 0 and spread[2] > 0)
    run("docker", "start", names[1])
    while_asking("the engine with a name is killed under load", lambda: run("docker", "kill", names[0]))
    run("docker", "start", names[0])
    while_asking("a replica is stopped under load", lambda: run("docker", "stop", names[2]))
    holds("and it ends with exit status 0", inspected(names[2], ".State.ExitCode") == "0")
    stack.compose("--profile", "replicas", "rm", "--stop", "--force", "engine-replica")
    stack.up()


@contextmanager
def loaded(stack: Stack, what: str, edge: Callable[[], httpx.Client], analysis_id: str) -> Iterator[Load]:
    """Ask at the one address of all gateways as long as the block runs, and say what was answered."""
    load, over = Load(stack.logs), threading.Event()

    def lane(number: int) -> None:
        # Half of the lanes keep their connection, half of them open one for each request.
        seed, kept = time.monotonic_ns() % 10**8 * 10 + number, edge()
        while not over.is_set():
            seed += 10
            each = kept if number % 2 else edge()
            load.ask(each, "read", "GET", f"/api/analyses/{analysis_id}")
            if seed // 10 % 10 == 0:
                load.ask(each, "analyze", "POST", ANALYZE, json=DATASET | {"options": {"seed": seed % 10**8}})
            if each is not kept:
                each.close()
            time.sleep(0.05)

    threads = [threading.Thread(target=lane, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    began = time.monotonic()
    try:
        yield load
    finally:
        seconds = time.monotonic() - began
        over.set()
        for thread in threads:
            thread.join()
        load.holds(f"{what} in {seconds:.0f} s")


def known_through(edge: Callable[[], httpx.Client]) -> str:
    """Return the id of a report, which every engine can read."""
    with edge() as client:
        return client.post(ANALYZE, json=example("request.json")).json()["analysis_id"]


def replaced(stack: Stack, step: str, version: str, edge: Callable[[], httpx.Client], **more: str) -> None:
    """Replace every gateway and engine by another version while requests come to the one address of all gateways."""
    with loaded(stack, f"{step} of two gateways and two engines under load", edge, known_through(edge)):
        run("deploy/upgrade.sh", *(["--back"] if step == "rollback" else []), CQOX_VERSION=version, **more)
    for name in ("cqox-gateway", "cqox-gateway-replica-1", "cqox-engine", "cqox-engine-replica-1"):
        running = inspected(name, ".Config.Image")
        holds(f"{step}: {name} runs {running}", running.endswith(version))


def rolling(stack: Stack) -> None:
    """Upgrade and go back under load."""
    another_version()
    stack.up(COMPOSE_PROFILES="replicas,edge")

    def edge() -> httpx.Client:
        return httpx.Client(base_url=EDGE, timeout=60, trust_env=False)

    for step, version in (("upgrade", "0.2.1"), ("rollback", "0.2.0")):
        replaced(stack, step, version, edge)
    gone = ("edge", "gateway-replica", "engine-replica")
    stack.compose("--profile", "replicas", "--profile", "edge", "rm", "--stop", "--force", *gone)
    stack.up()


def secured(stack: Stack) -> None:
    """The same with certificates: HAProxy passes TLS on to the gateways."""
    another_version()
    stack.up(**TLS)
    # As docs/deploying.md says.
    authority = stack.compose("exec", "gateway", "cat", "/var/lib/cqox-tls/current/ca.pem", **TLS)
    file = stack.work / "cqox-ca.pem"
    file.write_text(authority, encoding="utf-8")
    reported = run("curl", "--silent", "--show-error", "--noproxy", "*", "--cacert", file, f"{TLS_EDGE}/health/ready")
    holds(
        f"curl with the authority reaches a gateway through HAProxy: {reported[:60]}", '"service":"gateway"' in reported
    )
    trusted = ssl.create_default_context(cadata=authority)

    def edge() -> httpx.Client:
        return httpx.Client(base_url=TLS_EDGE, verify=trusted, timeout=60, trust_env=False)

    with edge() as client:
        report = client.post(ANALYZE, json=example("request.json"), timeout=120)
        figures = drawn(client, report)
        holds(
            "the gateway shows until when its certificate is valid", CERTIFICATE_SERIES in client.get("/metrics").text
        )
    holds(
        f"an analysis over TLS through HAProxy is answered {report.status_code}, stored, and its figures are drawn",
        report.status_code == 200 and report.json()["provenance"]["stored"] and figures and set(figures) == {200},
    )
    for what, address in (("HAProxy", EDGE), ("the engine", "https://127.0.0.1:8080")):
        try:
            refused = (
                httpx.get(f"{address}/health/ready", verify=trusted, timeout=10, trust_env=False).status_code == 400
            )
        except httpx.TransportError:
            refused = True
        holds(f"{what} has no answer for a client without TLS or without a certificate", refused)
    encrypted = (
        "SELECT bool_and(ssl), count(*) > 0 FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)"
        " WHERE host(client_addr) <> '127.0.0.1'"
    )
    reported = run("docker", "exec", "cqox-postgres-1", "psql", "-U", "cqox", "-d", "cqox", "-tAc", encrypted).strip()
    holds("every connection of engines to PostgreSQL is encrypted", reported == "t|t")
    with loaded(stack, "with TLS, a gateway is killed under load", edge, known_through(edge)) as load:
        time.sleep(5)
        run("docker", "kill", "cqox-gateway-replica-1")
        load.killed()
        time.sleep(20)
        run("docker", "start", "cqox-gateway-replica-1")
        stack.up("--no-recreate", **TLS)
        time.sleep(5)
    replaced(stack, "upgrade", "0.2.1", edge, **TLS)
