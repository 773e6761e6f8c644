"""Operations on a server that run no analysis: data sets, roles, reports, figures, catalog and health."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from anyio import to_thread
from pydantic import JsonValue

from cqox.api.portal import OnStep
from cqox.client.answers import Answer, parsed
from cqox.client.connection import Call, Connection
from cqox.client.given_data import Given, GivenFile, given
from cqox.client.requests import json_call, segment
from cqox.contract import (
    EXPORT_TYPES,
    AnalysisListing,
    Catalog,
    DatasetDescription,
    DatasetListing,
    DatasetSummary,
    Definition,
    Definitions,
    EstimatorDescription,
    Health,
    Inference,
    Preview,
    shortened,
)
from cqox.contract import Report as Document
from cqox.contract.messages import LANGUAGES, Language, Message
from cqox.errors import AnswerNotUnderstood, InvalidRequest, NotFound, UnreadableFile

__all__ = [
    "catalog",
    "datasets",
    "definitions",
    "delete",
    "delete_dataset",
    "delete_report",
    "described",
    "export",
    "figure",
    "health",
    "preview",
    "report_document",
    "reports_page",
    "roles",
    "upload",
    "uploaded",
]

_ROWS_OF_A_PAGE = "100"
_DOCUMENT_SECONDS = 300.0
_DRAWN = {"svg": "image/svg+xml", "png": "image/png", "json": "application/json"}


async def upload(
    connection: Connection,
    data: object,
    *,
    name: str | None = None,
    read: Mapping[str, object] | None = None,
    on_step: OnStep | None = None,
) -> DatasetDescription:
    """Upload data unless the server has them, and return their description."""
    async with given(data, read, name=name) as found:
        return parsed(DatasetDescription, await uploaded(connection, found, on_step), connection.server)


async def uploaded(
    connection: Connection, data: Given, on_step: OnStep | None = None, *, again: bool = False
) -> dict[str, JsonValue]:
    """Upload a data set unless the server has it, and return its description as the server writes it.

    Args:
        connection: to the server.
        data: the data set.
        on_step: called with each part that was sent.
        again: whether the server has just lost it.

    Raises:
        NotFound: the server lacks it, and there is no file of it.
    """
    if data.file is None:
        return await described(connection, data.dataset_id)
    if not again:
        with suppress(NotFound):
            return await described(connection, data.dataset_id)
    description = (await _sent(connection, data.file, on_step)).json()
    if description.get("dataset_id") != data.dataset_id:
        raise InvalidRequest(Message("client.file-changed", path=str(data.file.path)), field="data")
    return description


async def described(connection: Connection, dataset_id: str) -> dict[str, JsonValue]:
    """Return the description of a data set as the server writes it."""
    return (await connection.send(Call(method="GET", path=f"/api/datasets/{segment(dataset_id)}"))).json()


async def datasets(connection: Connection) -> Sequence[DatasetSummary]:
    """Return every data set."""
    answer = await connection.send(Call(method="GET", path="/api/datasets"))
    return answer.model(DatasetListing).datasets


async def delete_dataset(connection: Connection, dataset_id: str, *, reports: bool = False) -> None:
    """Delete a data set, and with `reports` its reports."""
    query = {"erase": "reports"} if reports else {}
    await delete(connection, Call(method="DELETE", path=f"/api/datasets/{segment(dataset_id)}", query=query))


async def roles(
    connection: Connection, data: object, *, read: Mapping[str, object] | None = None, on_step: OnStep | None = None
) -> Inference:
    """Suggest which column plays which role; data that the server lacks are uploaded."""
    async with given(data, read) as found:
        if found.file is not None:
            await uploaded(connection, found, on_step)
        answer = await connection.send(json_call("/api/roles/infer", found.named()))
        return answer.model(Inference)


async def preview(
    connection: Connection,
    data: object,
    mapping: Mapping[str, JsonValue],
    options: Mapping[str, JsonValue],
    *,
    read: Mapping[str, object] | None = None,
    language: Language = LANGUAGES[0],
    on_step: OnStep | None = None,
) -> Preview:
    """Return what an analysis would use and could find; data that the server lacks are uploaded."""
    async with given(data, read) as found:
        if found.file is not None:
            await uploaded(connection, found, on_step)
        body: dict[str, JsonValue] = {**found.named(), "mapping": dict(mapping), "options": dict(options)}
        call = replace(json_call("/api/analyze/preview", body), query={"lang": language})
        return (await connection.send(call)).model(Preview)


async def report_document(connection: Connection, analysis_id: str) -> dict[str, JsonValue]:
    """Return a stored report as the server writes it, checked against this version."""
    answer = await connection.send(Call(method="GET", path=f"/api/analyses/{segment(analysis_id)}"))
    document = answer.json()
    parsed(Document, document, connection.server)
    return document


async def reports_page(connection: Connection, *, dataset_id: str | None, before: str | None) -> AnalysisListing:
    """Return one page of the stored reports, newest first."""
    query = {"limit": _ROWS_OF_A_PAGE}
    query |= {} if dataset_id is None else {"dataset_id": dataset_id}
    query |= {} if before is None else {"before": before}
    answer = await connection.send(Call(method="GET", path="/api/analyses", query=query))
    return answer.model(AnalysisListing)


async def delete_report(connection: Connection, analysis_id: str) -> None:
    """Delete a stored report."""
    await delete(connection, Call(method="DELETE", path=f"/api/analyses/{segment(analysis_id)}"))


async def figure(connection: Connection, analysis_id: str, name: str, suffix: str, *, language: Language) -> bytes:
    """Return a figure of a report as `svg`, `png` or `json`, which is Vega-Lite."""
    path = f"/api/analyses/{segment(analysis_id)}/figures/{segment(name)}.{suffix}"
    answer = await connection.send(Call(method="GET", path=path, query={"lang": language}))
    if answer.media != _DRAWN.get(suffix):
        raise _other_media(answer)
    return answer.body


async def export(connection: Connection, analysis_id: str, suffix: str, *, language: Language) -> bytes:
    """Return a report as a document."""
    wanted = EXPORT_TYPES.get(suffix)
    if wanted is None:
        refused = Message("exports.no-such-format", format=shortened(suffix))
        raise InvalidRequest(refused, field="suffix", choices=list(EXPORT_TYPES))
    path = f"/api/analyses/{segment(analysis_id)}/export.{suffix}"
    call = Call(method="GET", path=path, query={"lang": language}, seconds=_DOCUMENT_SECONDS)
    answer = await connection.send(call)
    if answer.media != wanted.partition(";")[0]:
        raise _other_media(answer)
    return answer.body


async def catalog(connection: Connection) -> Sequence[EstimatorDescription]:
    """Return every estimator of the server."""
    return (await connection.send(Call(method="GET", path="/api/estimators"))).model(Catalog).estimators


async def definitions(connection: Connection, *, language: Language) -> Sequence[Definition]:
    """Return what every verdict, gate and assumption means."""
    answer = await connection.send(Call(method="GET", path="/api/definitions", query={"lang": language}))
    return answer.model(Definitions).definitions


async def health(connection: Connection) -> Health:
    """Return the health of the service that answers."""
    return (await connection.send(Call(method="GET", path="/api/health"))).model(Health)


async def _sent(connection: Connection, file: GivenFile, on_step: OnStep | None) -> Answer:
    def sent(count: int) -> None:
        if on_step is not None:
            on_step({"step": "upload", "sent_bytes": count, "size_bytes": file.size_bytes})

    call = Call(
        method="POST",
        path="/api/datasets",
        query={"name": file.name, **file.query},
        headers={"Content-Type": "application/octet-stream", "Content-Length": str(file.size_bytes)},
    )
    try:
        opened = await to_thread.run_sync(file.path.open, "rb")
    except OSError as error:
        reason = error.strerror or str(error)
        raise UnreadableFile(Message("analysis.unreadable-file", path=str(file.path), reason=reason)) from error
    with opened:
        return await connection.upload(call, opened, sent)


async def delete(connection: Connection, call: Call) -> None:
    """Delete a resource; that it is gone in a repeated attempt is the success of an earlier one."""
    attempts = 0

    def counted() -> None:
        nonlocal attempts
        attempts += 1

    try:
        await connection.send(call, attempted=counted)
    except NotFound:
        if attempts < 2:
            raise


def _other_media(answer: Answer) -> AnswerNotUnderstood:
    return AnswerNotUnderstood(
        Message("client.other-media", url=answer.server.url, path=answer.path, media=answer.media or "?")
    )
