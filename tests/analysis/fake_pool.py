"""A pool of workers that run no task: each has an answer that is written here."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

from cqox.analysis.workers import Progress, Reply, Serve
from cqox.analysis.written import write
from cqox.contract.messages import Message, as_json

REASON = Message("analysis.no-job", job="j")
SPEC = {"title": {"text": str(REASON)}, "usermeta": {"messages": {"/title/text": as_json(REASON)}}}


class FakePool:
    """Reads every file as one table, and finds the same in it by every analysis.

    Attributes:
        ran: names of the tasks in order.
        failure: raised by the next analysis.
        cpu_seconds: what each task uses.
        step: reported by every task; None for its name.
    """

    restarts, idle, busy = 0, 1, 0

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.arguments: list[Mapping[str, object]] = []
        self.failure: Exception | None = None
        self.cpu_seconds = 0.0
        self.step: dict[str, object] | None = None
        self.report: dict[str, object] = {
            "status": "ok",
            "estimates": [{"name": "ols", "estimate": 1}, {"name": "aipw", "estimate": 2.5}],
            "gates": {"overlap": {"status": "pass"}},
            "mapping": {"y": "y", "treatment": "w"},
            "decision": {"verdict": "GO", "primary": "aipw", "reasons": [str(REASON)]},
            "messages": {"/decision/reasons/0": as_json(REASON)},
        }

    @asynccontextmanager
    async def open(self, **_: object) -> AsyncIterator[Self]:
        """Stand in for `WorkerPool.open`."""
        yield self

    async def run(
        self,
        name: str,
        arguments: Mapping[str, object],
        progress: Progress | None = None,
        *,
        serve: Serve | None = None,
        spent: Callable[[float], None] | None = None,
    ) -> Reply:
        assert serve is None, "these tasks ask nothing"
        if spent is not None:
            spent(self.cpu_seconds)
        self.ran.append(name)
        self.arguments.append(arguments)
        tasks: dict[str, Callable[[], Reply]] = {
            "analyze": self._analyze,
            "definitions": lambda: Reply(body={"definitions": [], "messages": {}}, payload=b""),
            "catalog": lambda: Reply(body={"estimators": [{"name": "aipw"}]}, payload=b""),
            "export": lambda: Reply(body={}, payload=str(arguments["format"]).encode()),
            "ingest": self._ingest,
            "render": lambda: Reply(body={}, payload=str(arguments["spec"]["title"]["text"]).encode()),  # type: ignore[index]
        }
        if progress is not None:
            progress(self.step or {"step": name})
        return tasks[name]()

    def _analyze(self) -> Reply:
        failure, self.failure = self.failure, None
        if failure is not None:
            raise failure
        body, payload = write(self.report, {"forest": SPEC}, rows=3, rows_used=2, seconds={"total": 0.25})
        return Reply(body=body, payload=payload)

    def _ingest(self) -> Reply:
        (Path(str(self.arguments[-1]["folder"])) / "table.parquet").write_bytes(b"table")
        columns = [{"name": "y", "notes": ["note on y"]}, {"name": "w", "notes": []}, {"name": "x", "notes": ["on x"]}]
        return Reply(body={"rows": 3, "columns": columns, "notes": ["note on the file"]}, payload=b"")
