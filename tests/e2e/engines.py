"""Engines on one data directory, and what is asked of them."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.e2e.stack import Service
from tests.servers.ports import free_port
from tests.waiting import wait_until

__all__ = ["LONG", "MAPPING", "Engines", "analyze", "asking", "engines_in", "get", "listed", "wait_for_status"]

MAPPING = {"y": "y", "treatment": "w", "unit_id": "id"}
LONG = json.loads((Path(__file__).parents[2] / "examples" / "long_request.json").read_text())


@contextmanager
def engines_in(folder: Path) -> Iterator["Engines"]:
    """Engines that are ended on leaving."""
    made = Engines(folder)
    try:
        yield made
    finally:
        for one in made.all:
            one.kill()


class Engines:
    """Engines on one data directory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.all: list[Service] = []

    def start(self, **environment: str) -> Service:
        port = free_port()
        variables = {"CQOX_DATA_DIR": str(self._folder / "data"), "CQOX_ENGINE_PORT": str(port), **environment}
        engine = Service("engine", port, variables, self._folder / f"engine{len(self.all)}.log")
        engine.start()
        self.all.append(engine)
        return engine

    def wait_gone(self, engine: Service, path: str) -> None:
        wait_until(lambda: get(engine, path).status_code == 404)

    def gateway(self, engines: Sequence[Service]) -> Service:
        port = free_port()
        variables = {
            "CQOX_DATA_DIR": str(self._folder / "data"),
            "CQOX_GATEWAY_PORT": str(port),
            "ENGINE_URL": ",".join(engine.url for engine in engines),
        }
        gateway = Service("gateway", port, variables, self._folder / "gateway.log")
        gateway.start()
        self.all.append(gateway)
        return gateway


def asking(seed: int) -> dict[str, object]:
    return {
        "dataset_id": "test",
        "mapping": MAPPING,
        "options": {"seed": seed, "estimators": ["difference_in_means"]},
    }


def analyze(engine: Service, body: object, **headers: str) -> httpx.Response:
    url = f"{engine.url}/api/analyze/comprehensive"
    return httpx.post(url, json=body, headers=headers, timeout=60, trust_env=False)


def get(engine: Service, path: str) -> httpx.Response:
    return httpx.get(f"{engine.url}{path}", timeout=30, trust_env=False)


def wait_for_status(engine: Service, path: str, status: str, *fields: str) -> dict[str, object]:
    """Wait until that is the status of a job or service, and these fields are not null."""
    answer: dict[str, object] = {}

    def reached() -> bool:
        answer.update(get(engine, path).json())
        return answer["status"] == status and all(answer[name] is not None for name in fields)

    wait_until(reached, failure=lambda: answer)
    return answer


def listed(engine: Service, *, dataset_id: str = "test", limit: int = 50) -> list[str]:
    """The ids of all analyses of a data set, page by page."""
    found, query = list[str](), {"dataset_id": dataset_id, "limit": str(limit)}
    while True:
        page = get(engine, f"/api/analyses?{httpx.QueryParams(query)}").json()
        found += [one["analysis_id"] for one in page["analyses"]]
        if page["next"] is None:
            return found
        query["before"] = page["next"]
