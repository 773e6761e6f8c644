"""Models of analyses in the background, and of their events."""

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import Field, JsonValue

from cqox.contract.answer_model import AnswerModel, Sentence

__all__ = ["EstimateEvent", "JobDescription", "JobListing", "JobSummary"]


class JobDescription(AnswerModel):
    """An analysis in the background."""

    job_id: str
    status: Literal["running", "succeeded", "failed", "cancelled", "interrupted"]
    dataset_id: str
    created_at: str
    finished_at: str | None = None
    steps: int = Field(description="Number of steps reported so far.")
    last_step: str | None = None
    done: int = Field(default=0, description="Estimates that are done, those without a number included.")
    planned: int | None = Field(
        default=None, description="Estimates of the request in all; null before the first of them, and of stored jobs."
    )
    analysis_id: str | None = Field(None, description="The report's id, once it has succeeded.")
    links: Mapping[str, str] = Field(description="`self`, `events` and, once there is one, `report`.")
    problem: Mapping[str, JsonValue] | None = Field(None, description="Why it failed, as problem details.")
    stored: bool = Field(
        default=True,
        description="False while its end waits for the store: if the engine crashes before, the job is `interrupted`.",
    )


class JobSummary(AnswerModel):
    """A recorded job in a listing."""

    job_id: str
    status: Literal["running", "succeeded", "failed", "cancelled", "interrupted"]
    dataset_id: str
    created_at: str
    finished_at: str | None = None
    analysis_id: str | None = Field(None, description="The report's id, once it has succeeded.")
    links: Mapping[str, str] = Field(description="`self`, `events` and, once there is one, `report`.")


class JobListing(AnswerModel):
    """The answer of `GET /api/jobs`: one page, newest first."""

    jobs: Sequence[JobSummary]
    next: str | None = Field(None, description="Give it as `before` for the following page; null on the last.")


class EstimateEvent(AnswerModel):
    """The body of the event `estimate`: one estimate as soon as it is computed, with the numbers of the report."""

    name: str
    label: Sentence = Field(description="Its name for people, in the language of the request.")
    family: str
    estimand: str
    contrast: str | None = Field(default=None, description="The levels compared, where there are several.")
    status: Literal["ok", "warning", "skipped", "failed"]
    estimate: float | None = None
    ci_lower: float | None = None
    ci_upper: float | None = None
    p_value: float | None = None
    done: int = Field(description="Estimates that are done, this one and those without a number included.")
    planned: int = Field(description="Estimates of the request in all.")
