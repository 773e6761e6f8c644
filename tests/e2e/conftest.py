"""Gateway and engine, engines on one data directory, and the servers of their stores."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.access_keys import HOP_KEY, make_key
from tests.e2e.engines import Engines, engines_in
from tests.e2e.stack import Stack, build, running_stack
from tests.servers import Postgres, Redis, running


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Both services, shared by the tests of a process; who stops or kills one takes `own_stack`."""
    made = build(tmp_path_factory.mktemp("stack"))
    made.engine.start()
    made.gateway.start()
    try:
        made.engine.wait_ready()
        made.gateway.wait_ready()
        yield made
    finally:
        made.gateway.stop()
        made.engine.stop()


@pytest.fixture
def own_stack(tmp_path: Path) -> Iterator[Stack]:
    """Both services for one test, not started."""
    made = build(tmp_path)
    try:
        yield made
    finally:
        for service in (made.gateway, made.engine):
            if hasattr(service, "process"):
                service.kill()


@pytest.fixture
def engines(tmp_path: Path) -> Iterator[Engines]:
    with engines_in(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with running(Postgres()) as server:
        yield server


@pytest.fixture(scope="module")
def redis() -> Iterator[Redis]:
    with running(Redis()) as server:
        yield server


@pytest.fixture
def api(stack: Stack) -> Iterator[httpx.Client]:
    """A client of the shared gateway."""
    with stack.client() as client:
        yield client


def reference_dir() -> Path:
    """Return the folder of the reference data."""
    default = Path(__file__).parents[3] / "shared" / "reference"
    return Path(os.environ.get("CQOX_REFERENCE_DIR", default))


def reference_cases() -> list[dict[str, object]]:
    """The reference cases; none where the data are not there."""
    path = reference_dir() / "reference.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("keyed")
    (folder / "hop").write_text(HOP_KEY)
    environment = {"CQOX_HOP_KEY_FILE": str(folder / "hop"), "CQOX_SHARE_LINKS": "on"}
    with running_stack(folder, CQOX_AUTH="keys", **environment) as made:
        yield made


@pytest.fixture(scope="module")
def steward(keyed: Stack) -> str:
    return make_key(keyed, "--tenant", "default", "--role", "steward")
