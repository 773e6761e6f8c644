"""One computation, with a pool that runs no task."""

import hashlib
import json
import math
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest

from cqox.analysis.admission import Admission
from cqox.analysis.computation import Computation
from cqox.analysis.datasets import Datasets
from cqox.analysis.metered_pool import MeteredPool
from cqox.analysis.quarantine import Quarantine
from cqox.analysis.results import Results
from cqox.contract import AnalyzeRequest, parse_model
from cqox.errors import BulkheadFull, UnusableData, WorkerLost
from cqox.storage import DatasetRecord, FileKeys, Readable, SqliteStore
from tests.analysis.fake_pool import FakePool
from tests.storage.bound import a_cache, in_default
from tests.storage.records import a_dataset

pytestmark = pytest.mark.anyio
KEY = f"{7:032x}"
REQUEST = parse_model(
    AnalyzeRequest, {"dataset_id": "d", "mapping": {"y": "y", "treatment": "w"}, "options": {"seed": 5}}
)


class Table:
    """The data sets: one table."""

    @asynccontextmanager
    async def reading(self, record: DatasetRecord) -> AsyncIterator[Readable]:
        yield Readable(path=Path("/tables") / record.dataset_id, keys=FileKeys())


@dataclass
class Waiting:
    """The callers of a computation."""

    left: float = math.inf
    steps: list[Mapping[str, object]] = field(default_factory=list)

    def report(self, step: Mapping[str, object]) -> None:
        self.steps.append(step)

    def seconds_left(self) -> float:
        return self.left


@dataclass
class Parts:
    computation: Computation
    pool: FakePool
    store: SqliteStore
    admission: Admission


@pytest.fixture
async def parts(tmp_path: Path) -> AsyncIterator[Parts]:
    pool, admission = FakePool(), Admission(size=1, max_queued=0)
    async with in_default(SqliteStore.open, tmp_path / "results.sqlite") as store:
        made = Computation(
            pool=cast("MeteredPool", pool), datasets=cast("Datasets", Table()), results=Results(store, a_cache()),
            admission=admission, quarantine=Quarantine(), threads=3, tenant="default",
        )  # fmt: skip
        yield Parts(made, pool, store, admission)


async def test_a_report_is_stored_with_its_id_its_figures_and_the_origin_of_its_numbers(parts: Parts) -> None:
    waiting = Waiting()
    found = await parts.computation.run(REQUEST, a_dataset("d"), KEY, waiting)
    report = found.report
    assert found.stored
    assert await parts.store.load(KEY) == report
    assert (report.analysis_id, report.dataset_id, report.status, report.verdict) == (KEY, "d", "ok", "GO")
    body = json.loads(report.report)
    assert (body["analysis_id"], body["dataset_id"]) == (KEY, "d")
    assert body["figures"] == {"forest": f"/api/analyses/{KEY}/figures/forest.svg"}
    assert report.digest == hashlib.blake2b(report.report, digest_size=16).hexdigest()
    origin = json.loads(report.provenance)
    assert (origin["dataset_digest"], origin["rows"], origin["rows_used"], origin["seed"]) == ("digest of d", 3, 2, 5)
    assert origin["folds_version"] == 2
    assert set(json.loads(report.figures)) == {"forest"}
    assert waiting.steps == [{"step": "analyze"}]


async def test_the_worker_gets_the_table_the_request_and_the_threads(parts: Parts) -> None:
    await parts.computation.run(REQUEST, a_dataset("d"), KEY, Waiting())
    assert parts.pool.arguments == [
        {"path": "/tables/d", "request": REQUEST.model_dump(mode="json"), "threads": 3},
    ]


@pytest.mark.parametrize(
    ("primary", "estimates", "listed"),
    [
        ("aipw", [{"name": "ols", "estimate": 1}, {"name": "aipw", "estimate": 2.5}], 2.5),
        ("ols", [{"name": "ols", "estimate": 1}], 1.0),
        ("aipw", [{"name": "aipw", "estimate": None}], None),
        ("aipw", [{"name": "aipw", "estimate": None}, {"name": "aipw", "estimate": 3.0}], 3.0),
        (None, [{"name": "ols", "estimate": 1}], None),
        ("aipw", [], None),
    ],
)
async def test_the_listed_estimate_is_the_first_number_of_the_primary(
    parts: Parts, primary: str | None, estimates: list[object], listed: float | None
) -> None:
    parts.pool.report |= {"estimates": estimates, "decision": {"verdict": "HOLD", "primary": primary}}
    report = (await parts.computation.run(REQUEST, a_dataset("d"), KEY, Waiting())).report
    assert (report.primary, report.estimate) == (primary, listed)


async def test_a_crash_of_the_worker_is_retried_once_and_the_second_refuses_the_key(parts: Parts) -> None:
    parts.pool.failure = WorkerLost("lost")
    assert (await parts.computation.run(REQUEST, a_dataset("d"), KEY, Waiting())).stored
    assert parts.pool.ran == ["analyze", "analyze"]

    class Crashing(FakePool):
        async def run(self, *_: object) -> object:  # type: ignore[override]
            raise WorkerLost("lost")

    parts.computation._pool = cast("MeteredPool", Crashing())
    with pytest.raises(UnusableData):
        await parts.computation.run(REQUEST, a_dataset("d"), f"{8:032x}", Waiting())


async def test_a_failure_stores_nothing_and_releases_the_place(parts: Parts) -> None:
    parts.pool.failure = UnusableData("too few rows")
    with pytest.raises(UnusableData, match="too few rows"):
        await parts.computation.run(REQUEST, a_dataset("d"), KEY, Waiting())
    assert await parts.store.load(KEY) is None
    assert parts.admission.running == 0
    assert (await parts.computation.run(REQUEST, a_dataset("d"), KEY, Waiting())).stored


async def test_no_worker_runs_while_all_places_are_taken(parts: Parts) -> None:
    async with parts.admission.slot():
        with pytest.raises(BulkheadFull):
            await parts.computation.run(REQUEST, a_dataset("d"), KEY, Waiting())
    assert not parts.pool.ran


async def test_a_report_that_another_engine_has_stored_is_not_computed_again(parts: Parts) -> None:
    first = await parts.computation.run(REQUEST, a_dataset("d"), KEY, Waiting())
    assert await parts.computation.run(REQUEST, a_dataset("d"), KEY, Waiting()) == first
    assert parts.pool.ran == ["analyze"]
