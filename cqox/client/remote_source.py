"""Figures and exports of a report, made by the server that computed it."""

import json
from collections.abc import Awaitable, Callable, Mapping

from pydantic import JsonValue

from cqox.api.portal import OnStep, Portal
from cqox.api.report import Report
from cqox.client.connection import Connection
from cqox.client.jobs import Started
from cqox.client.operations import export, figure
from cqox.contract.messages import Language, Message
from cqox.errors import AnswerNotUnderstood

__all__ = ["RemoteSource", "report_of"]


class RemoteSource:
    """Figures and exports over HTTP, synchronous also for reports of an asynchronous client.

    Args:
        portal: a loop with a connection to the server; it opens at the first figure.
        analysis_id: of the report.
    """

    def __init__(self, portal: Portal[Connection], analysis_id: str) -> None:
        self._portal = portal
        self._analysis_id = analysis_id

    def specification(self, name: str, language: Language) -> Mapping[str, object]:
        """See `cqox.api.report.Source`."""
        found = json.loads(self.drawn(name, "json", language))
        if not isinstance(found, dict):
            raise AnswerNotUnderstood(Message("client.no-figure", name=name))
        return found

    def drawn(self, name: str, suffix: str, language: Language) -> bytes:
        """See `cqox.api.report.Source`."""
        return self._run(lambda connection: figure(connection, self._analysis_id, name, suffix, language=language))

    def export(self, suffix: str, language: Language) -> bytes:
        """See `cqox.api.report.Source`."""
        return self._run(lambda connection: export(connection, self._analysis_id, suffix, language=language))

    def _run(self, work: Callable[[Connection], Awaitable[bytes]]) -> bytes:
        async def run(connection: Connection, on_step: OnStep) -> bytes:
            return await work(connection)

        return self._portal.start(run).wait()


def report_of(
    document: Mapping[str, JsonValue], job: Started, portal: Portal[Connection], language: Language
) -> Report:
    """Return the report of a job, whose figures come from the server."""
    return Report(document, RemoteSource(portal, str(document["analysis_id"])), kind=job.kind, language=language)
