"""Uploads in pieces, which outlive a lost connection."""

from typing import Annotated

from pydantic import Field

from cqox.contract.answer_model import AnswerModel
from cqox.contract.strict import Strict

__all__ = ["UploadRequest", "UploadState"]


class UploadRequest(Strict):
    """The body that begins an upload in pieces."""

    name: str = Field("", max_length=1000, description="Name of the file, for people.")
    size_bytes: int = Field(ge=1, description="Size of the whole file.")
    fingerprint: str | None = Field(
        None,
        max_length=200,
        description="What a client recognises the file by when it is chosen again, such as size and time of change; "
        "returned as it is.",
    )


class UploadState(AnswerModel):
    """An upload in pieces, as it is now."""

    upload_id: str
    name: str
    size_bytes: int
    offset: int = Field(description="Bytes that are on the disk; the next piece begins here.")
    chunk_bytes: int = Field(description="The largest piece that is accepted.")
    expires_at: str = Field(description="When it is removed unless another piece arrives.")
    fingerprint: str | None = None
    dataset_id: Annotated[str | None, Field(description="The data set, once it was read.")] = None
