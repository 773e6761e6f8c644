"""`cqox.AsyncClient`: analyses by a server, from asyncio or Trio."""

import ssl
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Literal, Self, Unpack

import httpx
from anyio import to_thread
from pydantic import JsonValue

from cqox.api.arguments import check_language, split
from cqox.api.keywords import Keywords
from cqox.api.portal import Portal
from cqox.api.progress import Progress, shown
from cqox.api.report import Report
from cqox.api.signatures import with_keywords
from cqox.client import analyses, operations, places
from cqox.client.access_tokens import Grant
from cqox.client.address import given_once, server_at
from cqox.client.async_job import AsyncJob
from cqox.client.async_stored import AsyncStoredCalls
from cqox.client.connection import Connection
from cqox.client.jobs import Started
from cqox.client.places import data_or_table
from cqox.client.remote_source import RemoteSource, report_of
from cqox.contract import (
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

__all__ = ["AsyncClient"]


class AsyncClient(AsyncStoredCalls):
    """A client of a gateway or an engine, for asyncio and Trio; `cqox.Client` is its synchronous form.

    Connections open at the first call, in any event loop. Requests are retried with a budget under one circuit for the
    server, each carries its deadline, and none runs twice: an analysis has an idempotency key, and equal data are one
    data set. Redirects are refused, so that a token reaches no other host. Errors are those of local calls.

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
        async with cqox.AsyncClient("http://localhost:8082") as client:
            report = await client.analyze(frame, y="sales", treatment="campaign", assignment="randomized")
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
        self._connection = Connection(server)
        # Figures are drawn when a report is looked at, which no event loop waits for.
        self._portal = Portal(lambda: Connection.open(server))

    @property
    def url(self) -> str:
        """Address of the server."""
        return self._connection.server.url

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections; another call opens them again."""
        await self._connection.aclose()
        await to_thread.run_sync(self._portal.close)

    async def analyze(
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
        restarts, and a cancellation cancels it.

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
        return await self.analyze_request(
            data, mapping, options, source=source, table=table, read=read, language=language, progress=progress,
            timeout=timeout,
        )  # fmt: skip

    async def analyze_request(
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
        with shown(progress) as on_step:
            found = await analyses.analyze(
                self._connection, named, mapping, options, read=read, timeout=timeout, on_step=on_step
            )
        return report_of(*found, self._portal, language)

    async def submit(
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
    ) -> AsyncJob:
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
        """
        check_language(language)
        mapping, options = split(keywords)
        named = data_or_table(data, source, table)
        with shown(progress) as on_step:
            job = await analyses.submit(self._connection, named, mapping, options, read=read, key=key, on_step=on_step)
        return AsyncJob(self._connection, self._portal, job, language)

    def job(self, job_id: str, *, language: Language = LANGUAGES[0]) -> AsyncJob:
        """Return a job by its id, such as one that another process has started."""
        check_language(language)
        return AsyncJob(self._connection, self._portal, Started(job_id=job_id), language)

    async def upload(
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
        with shown(progress) as on_step:
            return await operations.upload(self._connection, data, name=name, read=read, on_step=on_step)

    async def datasets(self) -> Sequence[DatasetSummary]:
        """Return the data sets of the server: samples first, then newest first."""
        return await operations.datasets(self._connection)

    async def sources(self) -> Sequence[SourceSummary]:
        """Return the sources that the operator of the server has named; those with tables are analysed in place."""
        return await places.sources(self._connection)

    async def columns(self, source: str, table: str) -> Sequence[PlaceColumn]:
        """Return name and kind of the columns of a table that is analysed in place."""
        return await places.columns(self._connection, source, table)

    async def delete_dataset(self, dataset_id: str, *, reports: bool = False) -> None:
        """Delete a data set, and with `reports` its reports, their figures and the ended jobs on it."""
        await operations.delete_dataset(self._connection, dataset_id, reports=reports)

    async def roles(
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
        with shown(progress) as on_step:
            return await operations.roles(self._connection, named, read=read, on_step=on_step)

    async def preview(
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
        with shown(progress) as on_step:
            return await operations.preview(
                self._connection, named, mapping, options, read=read, language=language, on_step=on_step
            )

    async def report(self, analysis_id: str, *, language: Language = LANGUAGES[0]) -> Report:
        """Return a stored report."""
        document = await operations.report_document(self._connection, analysis_id)
        return Report(document, RemoteSource(self._portal, analysis_id), language=language)

    async def reports(self, *, dataset_id: str | None = None) -> AsyncGenerator[AnalysisSummary]:
        """Yield the stored reports, newest first, page by page as they are asked for.

        Args:
            dataset_id: only those on this data set.
        """
        before: str | None = None
        while True:
            page = await operations.reports_page(self._connection, dataset_id=dataset_id, before=before)
            for each in page.analyses:
                yield each
            before = page.next
            if before is None:
                return

    async def delete_report(self, analysis_id: str) -> None:
        """Delete a stored report with its figures."""
        await operations.delete_report(self._connection, analysis_id)

    async def figure(
        self,
        analysis_id: str,
        name: str,
        suffix: Literal["svg", "png", "json"] = "svg",
        *,
        language: Language = LANGUAGES[0],
    ) -> bytes:
        """Return a figure of a report without blocking the loop, which `Report.draw` does."""
        return await operations.figure(self._connection, analysis_id, name, suffix, language=language)

    async def export(
        self,
        analysis_id: str,
        suffix: ExportFormat,
        *,
        language: Language = LANGUAGES[0],
    ) -> bytes:
        """Return a report as a document without blocking the loop, which `Report.to_html` and others do."""
        return await operations.export(self._connection, analysis_id, suffix, language=language)

    async def catalog(self) -> Sequence[EstimatorDescription]:
        """Return every estimator of the server, as `cqox.catalog` does."""
        return await operations.catalog(self._connection)

    async def definitions(self, *, language: Language = LANGUAGES[0]) -> Sequence[Definition]:
        """Return what every verdict, gate and assumption means, as `cqox.definitions` does."""
        return await operations.definitions(self._connection, language=language)

    async def health(self) -> Health:
        """Return the health of the service that answers."""
        return await operations.health(self._connection)


with_keywords(AsyncClient.analyze, Keywords)
with_keywords(AsyncClient.preview, Keywords)
with_keywords(AsyncClient.submit, Keywords)
