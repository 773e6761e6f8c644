"""A stored report, small and real, and a server that has it."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from hashlib import blake2b
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import trio

from cqox.analysis.stores import RESULTS_FILE
from cqox.api.calls import analyze
from cqox.api.report import Report
from cqox.api.session import Session
from cqox.cli.doctor.trial import data
from cqox.storage import DEFAULT_TENANT, SqliteStore, StoredReport, TenantRecord
from tests.storage.records import a_report

__all__ = ["keep", "made", "record_of", "served"]


def made(session: Session) -> Report:
    """Return a report of an analysis."""
    return analyze(data(), y="y", treatment="w", covariates=["x"], estimators=["aipw"], session=session)


def record_of(report: Report) -> StoredReport:
    """Return a report as stores have it."""
    document = report.to_dict()
    provenance = document.pop("provenance")
    content = json.dumps(document, separators=(",", ":")).encode()
    specs = {name: json.loads(report.draw(name, "json")) for name in report.figures}
    return replace(
        a_report(1, body=content),
        analysis_id=report.analysis_id,
        provenance=json.dumps(provenance, separators=(",", ":")).encode(),
        figures=json.dumps(specs).encode(),
        digest=blake2b(content, digest_size=16).hexdigest(),
    )


def keep(data_dir: Path, report: Report, *, tenant: str = DEFAULT_TENANT) -> str:
    """Store the report of a tenant in a data directory; return its id."""
    stored = record_of(report)

    async def save() -> None:
        async with SqliteStore.open(data_dir / RESULTS_FILE) as store:
            if tenant != DEFAULT_TENANT:
                await store.put_tenant(
                    TenantRecord(tenant_id=tenant, name=tenant, created_at=stored.created_at, erased_at=None)
                )
            await store.within(tenant).save(stored)

    trio.run(save)
    return report.analysis_id


@contextmanager
def served(answers: Mapping[str, tuple[int, bytes]]) -> Iterator[str]:
    """Serve status and body of each path, 404 elsewhere; yield the URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answers.get(self.path, (404, b'{"detail": "There is none."}'))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.do_GET()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
