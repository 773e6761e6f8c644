"""The data set of one client: what follows what, and when a deletion is final."""

from pathlib import Path
from random import Random

import pytest
import trio
import trio.testing

from cqox.chaos.simulation.world import World
from services.simulation.asking import Asking, Mix
from services.simulation.client import Answer
from services.simulation.expectations import Expectations
from services.simulation.own_data import OwnData
from services.simulation.tenants import Tenant

NAME = "own-0.csv"
REPORT = {
    "analysis_id": "a",
    "dataset_id": "d",
    "options": {"seed": 5},
    "estimates": [{"name": "difference_in_means"}],
    "provenance": {"stored": True},
}


class Site:
    """A site with or without faults."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.broken = False

    def has_faults(self, since: float, *kinds: str, aftermath: float = 0.0) -> bool:
        return self.broken


class Draw(Random):
    """Draws one number again and again."""

    number = 0.0

    def random(self) -> float:
        return self.number


class Answered(Asking):
    """A client whose requests are answered without a network."""

    asked_for: list[str]

    async def ask(self, name: str, method: str, target: str, **_: object) -> Answer | None:  # type: ignore[override]
        self.asked_for.append(f"{method} {target}")
        return None if self.site.broken else Answer(status=204)  # type: ignore[attr-defined]

    async def upload(self, name: str, content: bytes) -> bool:
        self.expected.uploaded(name, {"dataset_id": "d"})
        return True

    async def analyze(self, asked: object, *, most: float, fields: object) -> bool:
        self.expected.reported(asked, REPORT)  # type: ignore[arg-type]
        return True


@pytest.fixture
def client(tmp_path: Path) -> Answered:
    made = list[World]()

    async def main() -> None:
        made.append(World(1, tmp_path))

    trio.run(main, clock=trio.testing.MockClock())
    made[0]._time.elapsed = lambda: 0.0  # type: ignore[method-assign]
    tenant = Tenant(name="", key="", files=(), expected=Expectations(made[0]))
    client = Answered(Site(made[0]), tenant, Mix(), Draw())  # type: ignore[arg-type]
    client.asked_for = []
    return client


def use(own: OwnData, client: Answered, number: float = 0.0) -> None:
    Draw.number = number
    trio.run(own.use, client)


def test_it_is_uploaded_and_analysed_and_its_report_is_gone_for_good_once_it_is_deleted(client: Answered) -> None:
    own = OwnData(NAME)
    use(own, client)
    use(own, client)
    assert list(client.expected.reports) == ["a"]
    use(own, client, 0.6)
    assert client.asked_for == ["DELETE /api/analyses/a"]
    assert client.expected.removed == {"/api/analyses/a": "read_analysis"}
    use(own, client)
    assert (list(client.expected.reports), client.expected.removed) == (["a"], {})


def test_with_its_data_set_the_report_is_gone_as_well(client: Answered) -> None:
    own = OwnData(NAME)
    use(own, client)
    use(own, client)
    use(own, client, 0.9)
    assert client.asked_for == ["DELETE /api/datasets/d?erase=reports"]
    assert sorted(client.expected.removed) == ["/api/analyses/a", "/api/datasets/d"]
    assert (client.expected.datasets, client.expected.reports) == ({}, {})


def test_nothing_is_final_where_an_earlier_request_may_still_be_under_way(client: Answered) -> None:
    own = OwnData(NAME)
    client.site.broken = True  # type: ignore[attr-defined]
    use(own, client)
    use(own, client)
    use(own, client, 0.6)
    assert client.asked_for == ["DELETE /api/analyses/a"]
    assert (client.expected.removed, client.expected.reports) == ({}, {})
    assert client.expected.doubtful == {"a"}
    use(own, client)
    assert list(client.expected.reports) == ["a"]
    assert not client.expected.is_promised("a")
