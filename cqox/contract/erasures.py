"""Models of erasures, and of how long a tenant keeps what it has."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from cqox.contract.answer_model import AnswerModel
from cqox.contract.strict import Strict

__all__ = ["ErasureDescription", "ErasureRequest", "RetentionChange", "RetentionDays", "RetentionDescription"]

_MOST_DAYS = 36_500


class ErasureRequest(Strict):
    """The body of `POST /api/erasures`: one of its members."""

    dataset_id: str | None = Field(
        None, max_length=200, description="The data set to erase, with everything that was made from it."
    )
    tenant: str | None = Field(
        None,
        max_length=63,
        description="The tenant to erase, with everything that it has: one's own, or any with `tenants:manage`.",
    )


class ErasureDescription(AnswerModel):
    """An erasure, and its receipt once it is finished."""

    erasure_id: str
    what: Literal["dataset", "tenant"]
    object_id: str = Field(description="Id of the data set or of the tenant.")
    status: Literal["running", "finished"]
    requested_by: str = Field(description="The subject that asked for it.")
    requested_at: str
    finished_at: str | None = Field(description="When everything was deleted; null until then.")
    counts: Mapping[str, int] = Field(description="How many of each kind were deleted.")
    digests: Mapping[str, Mapping[str, str]] = Field(
        description="Digests of the data sets, files and reports that were deleted, by id; no data."
    )
    encryption_key: bool | None = Field(
        description="Whether the tenant's encryption key was destroyed; null where that was not asked for."
    )


class RetentionChange(Strict):
    """The body of `PUT /api/retention`: days; null, or absent, for as long as the operator keeps it."""

    reports: float | None = Field(None, gt=0, le=_MOST_DAYS, description="From their computation.")
    datasets: float | None = Field(None, gt=0, le=_MOST_DAYS, description="From their last upload or analysis.")
    jobs: float | None = Field(None, gt=0, le=_MOST_DAYS, description="From their end.")


class RetentionDays(AnswerModel):
    """Retention periods in days; null for none."""

    reports: float | None
    datasets: float | None
    jobs: float | None


class RetentionDescription(AnswerModel):
    """Retention periods of a tenant."""

    tenant: str
    own: RetentionDays = Field(description="As set for the tenant.")
    operator: RetentionDays = Field(description="The longest periods, as the operator has set them.")
    in_force: RetentionDays = Field(description="The shorter of both.")
