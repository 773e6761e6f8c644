"""`cqox.Client`: analyses by a server, from scripts and notebooks.

Requests run in a loop of a thread of their own, so that a call works inside a running loop as well, and Ctrl-C ends it
at once.
"""

import ssl
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, Self, Unpack

import httpx
from pydantic import JsonValue

from cqox.api.arguments import check_language, split
from cqox.api.keywords import Keywords
from cqox.api.portal import OnStep, Portal
from cqox.api.progress import Progress, shown
from cqox.api.report import Report
from cqox.api.signatures import with_keywords
from cqox.client import analyses, operations, places
from cqox.client.access_tokens import Grant
from cqox.client.address import given_once, server_at
from cqox.client.analyses import Finished
from cqox.client.connection import Connection
from cqox.client.jobs import Started
from cqox.client.places import data_or_table
from cqox.client.portal_calls import started
from cqox.client.remote_source import RemoteSource, report_of
from cqox.client.sync_job import Job
from cqox.client.sync_stored import StoredCalls
from cqox.contract import (
    AnalysisListing,
    AnalysisSummary,
    DatasetDescription,
    DatasetSummary,
    Definition,
    EstimatorDescription,
    ExportFormat,
    Health,
    Inference,
    PlaceColumn,
    Preview,
    SourceSummary,
)
from cqox.contract.messages import LANGUAGES, Language

__all__ = ["Client"]


class Client(StoredCalls):
    """A client of a gateway or an engine; `cqox.AsyncClient` is its form for event loops.

    It works in scripts, in notebooks and inside a running loop. Connections open at the first call and again after a
    fork; a process that was forked after polars had started its threads sends files and refuses frames at once, unlike
    one that was started by `spawn` or `forkserver`. Requests are retried with a budget under one circuit for the
    server, each carries its deadline, that of an enclosing `cqox.resilience.deadline` included, and none runs twice: an
    analysis has an idempotency key, and equal data are one data set. Redirects are refused, so that a token reaches no
    other host. Errors are those of local calls.

    Args:
        url: address of the server, such as `http://localhost:8082`; `CQOX_URL` by default.
        token: sent as bearer token; `CQOX_TOKEN` by default, with the server of `CQOX_URL` alone if that is set.
        api_key: an API key of the server, in place of a token; `CQOX_API_KEY` by default.
        credentials: where access tokens come from, such as `ClientCredentials`; they are renewed before their end.
        headers: further fields of every request.
        timeout: seconds for a call that runs no analysis and uploads no file, retries included.
        tls: certificates and trust of `https`; by default `CQOX_CLIENT_CERT`, `CQOX_CA_CERT`, or the usual authorities.
        transport: replaces the network, for tests.

    Raises:
        InvalidRequest: the address, the token or a field cannot be used.

    Examples:
        ```python
        with cqox.Client("http://localhost:8082") as client:
            report = client.analyze(frame, y="sales", treatment="campaign", assignment="randomized")
            report.to_pdf("report.pdf")
            try:
                client.analyze(frame, y="salse", treatment="campaign")
            except cqox.errors.InputError as error:
                print(error, error.choices)
        ```
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        token: str | None = None,
        api_key: str | None = None,
        credentials: Grant | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 60.0,
        tls: ssl.SSLContext | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        token = given_once(token, api_key)
        server = server_at(
            url, token=token, credentials=credentials, headers=headers, timeout=timeout, tls=tls, transport=transport
        )
        self._url = server.url
        self._portal = Portal(lambda: Connection.open(server))

    @property
    def url(self) -> str:
        """Address of the server."""
        return self._url

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections and end the thread; another call, or a figure of a report, opens them again."""
        self._portal.close()

    def analyze(
        self,
        data: object = None,
        *,
        source: str | None = None,
        table: str | None = None,
        read: Mapping[str, object] | None = None,
        language: Language = LANGUAGES[0],
        progress: Progress = None,
        timeout: float | None = None,
        **keywords: Unpack[Keywords],
    ) -> Report:
        """Answer a causal question on the server: the same report as `cqox.analyze` gives for the same data.

        Data that the server lacks are uploaded. The analysis is a job: it goes on through lost connections and
        restarts, and an interrupt cancels it.

        Args:
            data: a frame or the path of a file as in `cqox.analyze`, or a data set of the server: its id, the name of
                a sample, or what `upload` or `datasets` returned.
            source: in place of data, a source of the server whose table is analysed where it is; `sources` lists them.
            table: one of the tables of the source.
            read: how to read a file, such as `{"encoding": "cp932"}`.
            language: language of the sentences, `en` or `ja`.
            progress: as in `cqox.analyze`; an upload has the step `upload` with `sent_bytes` and `size_bytes`.
            timeout: seconds for everything; by default as long as the server allows.
            **keywords: roles and options, as in `cqox.analyze`.

        Raises:
            InputError: data, a role or an option must be corrected; `choices` are valid values.
            ServiceError: the server cannot be reached, or failed.
            ResilienceError: the server or the client's own circuit refused the call, or its time is over.
        """
        mapping, options = split(keywords)
        return self.analyze_request(
            data, mapping, options, source=source, table=table, read=read, language=language, progress=progress,
            timeout=timeout,
        )  # fmt: skip

    def analyze_request(
        self,
        data: object,
        mapping: Mapping[str, JsonValue],
        options: Mapping[str, JsonValue],
        *,
        source: str | None = None,
        table: str | None = None,
        read: Mapping[str, object] | None = None,
        language: Language = LANGUAGES[0],
        progress: Progress = None,
        timeout: float | None = None,
    ) -> Report:
        """Do the same as `analyze` for `mapping` and `options` as the HTTP interface takes them."""
        check_language(language)
        named = data_or_table(data, source, table)

        async def work(connection: Connection, on_step: OnStep) -> Finished:
            return await analyses.analyze(
                connection, named, mapping, options, read=read, timeout=timeout, on_step=on_step
            )

        with shown(progress) as on_step:
            return report_of(*started(self._portal, work).wait(on_step), self._portal, language)

    def submit(
        self,
        data: object = None,
        *,
        source: str | None = None,
        table: str | None = None,
        read: Mapping[str, object] | None = None,
        language: Language = LANGUAGES[0],
        progress: Progress = None,
        key: str | None = None,
        **keywords: Unpack[Keywords],
    ) -> Job:
        """Start an analysis and return its job, which goes on without this client.

        Args:
            data: as in `analyze`.
            source: as in `analyze`.
            table: as in `analyze`.
            read: as in `analyze`.
            language: of its report.
            progress: of the upload.
            key: idempotency key: the same key with the same request is the same job, from any process.
            **keywords: roles and options, as in `analyze`.

        Raises:
            CqoxError: as `analyze`.

        Examples:
            ```python
            job = client.submit(frame, y="sales", treatment="campaign", key="sales-of-may")
            for event in job.events():
                print(event.event, event.body.get("step"))
            report = job.wait()
            ```
        """
        check_language(language)
        mapping, options = split(keywords)
        named = data_or_table(data, source, table)

        async def work(connection: Connection, on_step: OnStep) -> Started:
            return await analyses.submit(connection, named, mapping, options, read=read, key=key, on_step=on_step)

        with shown(progress) as on_step:
            return Job(self._portal, started(self._portal, work).wait(on_step), language)

    def job(self, job_id: str, *, language: Language = LANGUAGES[0]) -> Job:
        """Return a job by its id, such as one that another process has started."""
        check_language(language)
        return Job(self._portal, Started(job_id=job_id), language)

    def upload(
        self,
        data: object,
        *,
        name: str | None = None,
        read: Mapping[str, object] | None = None,
        progress: Progress = None,
    ) -> DatasetDescription:
        """Upload a frame or a file, unless the server has it; return its description.

        Args:
            data: as in `analyze`.
            name: for people; the file's name by default.
            read: as in `analyze`.
            progress: as in `analyze`.
        """

        async def work(connection: Connection, on_step: OnStep) -> DatasetDescription:
            return await operations.upload(connection, data, name=name, read=read, on_step=on_step)

        with shown(progress) as on_step:
            return started(self._portal, work).wait(on_step)

    def datasets(self) -> Sequence[DatasetSummary]:
        """Return the data sets of the server: samples first, then newest first."""
        return started(self._portal, lambda connection, _: operations.datasets(connection)).wait()

    def sources(self) -> Sequence[SourceSummary]:
        """Return the sources that the operator of the server has named; those with tables are analysed in place."""
        return started(self._portal, lambda connection, _: places.sources(connection)).wait()

    def columns(self, source: str, table: str) -> Sequence[PlaceColumn]:
        """Return name and kind of the columns of a table that is analysed in place."""
        return started(self._portal, lambda connection, _: places.columns(connection, source, table)).wait()

    def delete_dataset(self, dataset_id: str, *, reports: bool = False) -> None:
        """Delete a data set, and with `reports` its reports, their figures and the ended jobs on it."""
        started(
            self._portal, lambda connection, _: operations.delete_dataset(connection, dataset_id, reports=reports)
        ).wait()

    def roles(
        self,
        data: object = None,
        *,
        source: str | None = None,
        table: str | None = None,
        read: Mapping[str, object] | None = None,
        progress: Progress = None,
    ) -> Inference:
        """Suggest which column plays which role, with reasons, as `cqox.roles` does; for the rest as in `analyze`."""
        named = data_or_table(data, source, table)

        async def work(connection: Connection, on_step: OnStep) -> Inference:
            return await operations.roles(connection, named, read=read, on_step=on_step)

        with shown(progress) as on_step:
            return started(self._portal, work).wait(on_step)

    def preview(
        self,
        data: object = None,
        *,
        source: str | None = None,
        table: str | None = None,
        read: Mapping[str, object] | None = None,
        language: Language = LANGUAGES[0],
        progress: Progress = None,
        **keywords: Unpack[Keywords],
    ) -> Preview:
        """Say what `analyze` would do with the same arguments, as `cqox.preview` does."""
        mapping, options = split(keywords)
        named = data_or_table(data, source, table)
        call = started(
            self._portal,
            lambda connection, on_step: operations.preview(
                connection, named, mapping, options, read=read, language=language, on_step=on_step
            ),
        )
        with shown(progress) as on_step:
            return call.wait(on_step)

    def report(self, analysis_id: str, *, language: Language = LANGUAGES[0]) -> Report:
        """Return a stored report."""
        document = started(
            self._portal, lambda connection, _: operations.report_document(connection, analysis_id)
        ).wait()
        return Report(document, RemoteSource(self._portal, analysis_id), language=language)

    def reports(self, *, dataset_id: str | None = None) -> Iterator[AnalysisSummary]:
        """Yield the stored reports, newest first, page by page as they are asked for.

        Args:
            dataset_id: only those on this data set.
        """
        before: str | None = None
        while True:
            page = self._page(dataset_id, before)
            yield from page.analyses
            before = page.next
            if before is None:
                return

    def _page(self, dataset_id: str | None, before: str | None) -> AnalysisListing:
        return started(
            self._portal,
            lambda connection, _: operations.reports_page(connection, dataset_id=dataset_id, before=before),
        ).wait()

    def delete_report(self, analysis_id: str) -> None:
        """Delete a stored report with its figures."""
        started(self._portal, lambda connection, _: operations.delete_report(connection, analysis_id)).wait()

    def figure(
        self,
        analysis_id: str,
        name: str,
        suffix: Literal["svg", "png", "json"] = "svg",
        *,
        language: Language = LANGUAGES[0],
    ) -> bytes:
        """Return a figure of a report, as `Report.draw` does."""
        return RemoteSource(self._portal, analysis_id).drawn(name, suffix, language)

    def export(
        self,
        analysis_id: str,
        suffix: ExportFormat,
        *,
        language: Language = LANGUAGES[0],
    ) -> bytes:
        """Return a report as a document, as `Report.to_html` and others do."""
        return RemoteSource(self._portal, analysis_id).export(suffix, language)

    def catalog(self) -> Sequence[EstimatorDescription]:
        """Return every estimator of the server, as `cqox.catalog` does."""
        return started(self._portal, lambda connection, _: operations.catalog(connection)).wait()

    def definitions(self, *, language: Language = LANGUAGES[0]) -> Sequence[Definition]:
        """Return what every verdict, gate and assumption means, as `cqox.definitions` does."""
        return started(self._portal, lambda connection, _: operations.definitions(connection, language=language)).wait()

    def health(self) -> Health:
        """Return the health of the service that answers."""
        return started(self._portal, lambda connection, _: operations.health(connection)).wait()


with_keywords(Client.analyze, Keywords)
with_keywords(Client.preview, Keywords)
with_keywords(Client.submit, Keywords)
