"""Record what real workers answer to everything in the catalog: `python -m services.simulation.record FILE`."""

import os
import sys
import tempfile
from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from pathlib import Path

import trio

from cqox.analysis.parts import Parts
from cqox.analysis.pools import open_pool
from cqox.analysis.workers import Progress, Reply, Serve
from cqox.analysis.workers.limits import ProcessLimits
from cqox.analysis.workers.process import WorkerProcess
from cqox.analysis.workers.worker import Worker
from services.config.settings import Settings
from services.engine.app import create_app
from services.simulation.catalog import ANALYSES, FIGURES, FILES, JOBS, OWN_ANALYSES, OWN_FILES
from services.simulation.recordings import Recorded, Recordings, digest_of_sources, task_key

__all__ = ["main", "record"]

_ROOT = Path(__file__).parents[2]
_SECONDS = 300.0


class _RecordingWorker:
    """A real worker whose answers are recorded."""

    def __init__(self, worker: WorkerProcess, recordings: Recordings) -> None:
        self._worker = worker
        self._recordings = recordings
        self.confined = worker.confined
        self.settle, self.kill, self.ended = worker.settle, worker.kill, worker.ended
        self.cpu_seconds, self.memory_bytes = worker.cpu_seconds, worker.memory_bytes

    @property
    def pid(self) -> int:
        return self._worker.pid

    @property
    def alive(self) -> bool:
        return self._worker.alive

    @property
    def abandoned(self) -> bool:
        return self._worker.abandoned

    async def run(
        self,
        name: str,
        arguments: Mapping[str, object],
        progress: Progress | None = None,
        serve: Serve | None = None,
    ) -> Reply:
        key, steps = task_key(name, arguments), list[Mapping[str, object]]()

        def step(body: Mapping[str, object]) -> None:
            steps.append(body)
            if progress is not None:
                progress(body)

        reply = await self._worker.run(name, arguments, step, serve)
        files = {}
        if "folder" in arguments:
            folder = trio.Path(str(arguments["folder"]))
            files = {path.name: await path.read_bytes() for path in await folder.iterdir()}
        self._recordings.add(key, Recorded(body=reply.body, payload=reply.payload, steps=steps, files=files))
        return reply


async def record() -> Recordings:
    """Ask a real engine for everything in the catalog, and return what its workers answered.

    Raises:
        RuntimeError: it answers with an error.
    """
    recordings = Recordings()

    async def start(*, work: str, limits: ProcessLimits, threads: int) -> Worker:
        worker = await WorkerProcess.start(work=work, limits=limits, threads=threads)
        return _RecordingWorker(worker, recordings)

    parts = Parts(open_pool=partial(open_pool, start=start))
    with tempfile.TemporaryDirectory(prefix="recorded-") as folder, trio.fail_after(_SECONDS):
        app = create_app(Settings(data_dir=Path(folder), auth="open"), parts=parts)
        async with app.test_app() as served:
            client = served.test_client()

            async def ask(method: str, path: str, **given: object) -> dict[str, object]:
                answer = await client.open(path, method=method, **given)  # type: ignore[arg-type]
                if not HTTPStatus(answer.status_code).is_success:
                    raise RuntimeError(f"{method} {path}: {answer.status_code} {await answer.get_data()!r}")
                return dict(await answer.get_json()) if (answer.mimetype or "").endswith("json") else {}

            ids = {"test": "test"}
            for name, data in (FILES | OWN_FILES).items():
                described = await ask("POST", f"/api/datasets?name={name}", data=data)
                ids[name] = str(described["dataset_id"])
            for path in ("/api/estimators", "/api/definitions"):
                await ask("GET", path)
            for one in [*ANALYSES, *JOBS, *OWN_ANALYSES.values()]:
                request = {"dataset_id": ids[str(one["dataset"])], "mapping": one["mapping"], "options": one["options"]}
                report = await ask("POST", "/api/analyze/comprehensive", json=request)
                await ask("POST", "/api/analyze/preview", json=request)
                figures = report["figures"]
                assert isinstance(figures, dict)
                for figure in list(figures.values())[:FIGURES]:
                    await ask("GET", str(figure))
    return recordings


def main() -> int:
    """Record, and write the file that the command line names."""
    os.environ["OTEL_SDK_DISABLED"] = "true"
    path = Path(sys.argv[1])
    recordings = trio.run(record)
    recordings.write(path, digest_of_sources(_ROOT))
    sys.stdout.write(f"{len(recordings)} answers of workers recorded\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
