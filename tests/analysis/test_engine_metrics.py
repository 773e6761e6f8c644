"""The metrics of an engine that are read when somebody looks."""

from pathlib import Path

import pytest

from cqox.analysis.admission import Admission
from cqox.analysis.disk_usage import DiskUsage
from cqox.analysis.engine_metrics import watched
from cqox.analysis.workers import WorkerPool
from cqox.storage import MemoryCache
from cqox.telemetry import metric_definitions, metrics
from cqox.telemetry.series import Series
from tests.analysis.workers import chores

pytestmark = pytest.mark.anyio


def shown(series: Series) -> dict[str, float]:
    return {",".join(map(str, labels.values())): value for value, labels in metrics.read(series)}


async def test_the_parts_of_an_engine_are_read_while_it_is_open(tmp_path: Path) -> None:
    disks, cache = DiskUsage(tmp_path, tmp_path), MemoryCache()
    disks.look()
    # Another test of this process may have left an engine open, such as the session of a page's examples.
    before = _of_engine()
    async with WorkerPool.open(work=chores.__name__, size=1, spares=0) as pool:
        await pool.ready()
        with watched(
            pool=pool,
            admission=Admission(size=3, max_queued=4),
            disks=disks,
            store=object(),
            cache=cache,
            unstored=MemoryCache(),
            pending=lambda: 2,
        ):
            assert shown(metric_definitions.ANALYSIS_PLACES) == {"": 3}
            assert {"gate": "overlap", "status": "fail"} in metrics.births(metric_definitions.GATE_RESULTS)
            assert {"estimator": "iv_2sls"} in metrics.births(metric_definitions.ESTIMATOR_SKIPPED)
            assert {"step": "diagnostics"} in metrics.births(metric_definitions.STEP_DURATION)
            assert shown(metric_definitions.QUEUE_OLDEST) == {"": 0}
            assert shown(metric_definitions.REPORTS_UNSTORED) == {"": 2}
            assert shown(metric_definitions.WORKERS) == {"idle": 1, "busy": 0}
            assert shown(metric_definitions.WORKER_CPU)[""] > 0
            assert shown(metric_definitions.WORKER_MEMORY)[""] > 2**20
            assert shown(metric_definitions.CACHE_BYTES) == {"unstored": 0, "memory": 0}
            assert shown(metric_definitions.DISK_FREE)["data"] <= shown(metric_definitions.DISK_SIZE)["data"]
    assert _of_engine() == before


def _of_engine() -> tuple[object, ...]:
    sizes = set(shown(metric_definitions.DISK_SIZE))
    return shown(metric_definitions.ANALYSIS_PLACES), sizes, metrics.births(metric_definitions.GATE_RESULTS)
