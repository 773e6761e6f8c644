"""Bodies of the events of a job."""

from typing import Literal

from pydantic import Field

from cqox.contract.answer_model import AnswerModel, Sentence

__all__ = ["EstimateEvent"]


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
