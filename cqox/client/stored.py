"""Operations on what a server keeps with reports and data sets: notes, share links, looks, original files."""

import uuid
from collections.abc import Mapping
from dataclasses import replace

from pydantic import JsonValue

from cqox.api.arguments import reading_options
from cqox.client.connection import Call, Connection
from cqox.client.operations import delete
from cqox.client.requests import json_call, segment
from cqox.contract import (
    AnnotationDescription,
    DatasetDescription,
    DatasetLooks,
    FileSheets,
    NewShareDescription,
    ShareListing,
)

__all__ = ["annotate", "annotation", "looks", "read_again", "share", "shares", "sheets", "withdraw_share"]

_READ_SECONDS = 300.0


async def annotation(connection: Connection, analysis_id: str) -> AnnotationDescription:
    """Return title and notes of a stored report."""
    call = Call(method="GET", path=f"/api/analyses/{segment(analysis_id)}/annotation")
    return (await connection.send(call)).model(AnnotationDescription)


async def annotate(
    connection: Connection, analysis_id: str, *, title: str | None, notes: str | None
) -> AnnotationDescription:
    """Change title and notes of a stored report; None leaves one as it is, and an empty text removes it."""
    changes = {name: text for name, text in (("title", title), ("notes", notes)) if text is not None}
    call = replace(json_call(f"/api/analyses/{segment(analysis_id)}/annotation", changes), method="PATCH")
    return (await connection.send(call)).model(AnnotationDescription)


async def share(connection: Connection, analysis_id: str, *, days: float | None) -> NewShareDescription:
    """Create a share link; a repeated attempt is the same link."""
    body = {} if days is None else {"days": days}
    path = f"/api/analyses/{segment(analysis_id)}/shares"
    call = json_call(path, body, {"Idempotency-Key": str(uuid.uuid4())})
    return (await connection.send(call)).model(NewShareDescription)


async def shares(connection: Connection, analysis_id: str) -> ShareListing:
    """Return the share links of a report."""
    call = Call(method="GET", path=f"/api/analyses/{segment(analysis_id)}/shares")
    return (await connection.send(call)).model(ShareListing)


async def withdraw_share(connection: Connection, analysis_id: str, share_id: str) -> None:
    """Withdraw a share link."""
    await delete(
        connection, Call(method="DELETE", path=f"/api/analyses/{segment(analysis_id)}/shares/{segment(share_id)}")
    )


async def looks(connection: Connection, dataset_id: str) -> DatasetLooks:
    """Return the number of stored analyses of a data set, for each question."""
    return (await connection.send(Call(method="GET", path=f"/api/datasets/{segment(dataset_id)}/looks"))).model(
        DatasetLooks
    )


async def sheets(connection: Connection, dataset_id: str) -> FileSheets:
    """Return the sheets of the file that was uploaded, with their first rows."""
    call = Call(method="GET", path=f"/api/datasets/{segment(dataset_id)}/sheets", seconds=_READ_SECONDS)
    return (await connection.send(call)).model(FileSheets)


async def read_again(connection: Connection, dataset_id: str, read: Mapping[str, object]) -> DatasetDescription:
    """Read the file that was uploaded with other options."""
    options: Mapping[str, JsonValue] = reading_options(read)
    call = json_call(f"/api/datasets/{segment(dataset_id)}/read", options)
    return (await connection.send(replace(call, seconds=_READ_SECONDS))).model(DatasetDescription)
