"""Models of what people write about analyses and data sets (titles, notes, names), and of how often they looked."""

import re
from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator, Field

from cqox.contract.answer_model import AnswerModel
from cqox.contract.messages import Message
from cqox.contract.strict import Strict

__all__ = [
    "MOST_NOTES",
    "MOST_TITLE",
    "AnnotationChange",
    "AnnotationDescription",
    "DatasetChange",
    "DatasetLooks",
    "QuestionLooks",
]

MOST_TITLE = 200
"""Largest number of characters of a title, of a name, and of what is searched for."""

MOST_NOTES = 10_000
"""Largest number of characters of notes."""

_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_CONTROLS_OF_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f]")


def _line(text: str) -> str:
    if _CONTROLS.search(text):
        raise ValueError(Message("request.one-line"))
    return text.strip()


def _name(text: str) -> str:
    line = _line(text)
    if not line:
        raise ValueError(Message("request.takes-text-of-at-least", characters=1))
    return line


def _text(text: str) -> str:
    if _CONTROLS_OF_TEXT.search(text):
        raise ValueError(Message("request.no-control-characters"))
    return text.replace("\r\n", "\n").strip()


class AnnotationChange(Strict):
    """The body of `PATCH /api/analyses/{analysis_id}/annotation`."""

    title: Annotated[str, Field(max_length=MOST_TITLE), AfterValidator(_line)] | None = Field(
        None, description="One line; unchanged if absent, removed if null or blank."
    )
    notes: Annotated[str, Field(max_length=MOST_NOTES), AfterValidator(_text)] | None = Field(
        None, description="Text; unchanged if absent, removed if null or blank."
    )

    def changes(self) -> dict[str, str | None]:
        """Return the members that are in the body; None for what is removed."""
        return {name: getattr(self, name) or None for name in ("title", "notes") if name in self.model_fields_set}


class DatasetChange(Strict):
    """The body of `PATCH /api/datasets/{dataset_id}`."""

    name: Annotated[str, Field(max_length=MOST_TITLE), AfterValidator(_name)] = Field(
        description="The new name, in one line."
    )


class AnnotationDescription(AnswerModel):
    """Title and notes of a report, which are no part of it: its bytes and digest never change."""

    analysis_id: str
    title: str | None = None
    notes: str | None = None
    updated_at: str | None = Field(None, description="When they were last changed; null if they never were.")


class QuestionLooks(AnswerModel):
    """The number of analyses of one question to a data set."""

    outcome: str | None = Field(None, description="Null in reports of earlier versions.")
    treatment: str | None = Field(None, description="Null where the design defines it, and in earlier reports.")
    analyses: int


class DatasetLooks(AnswerModel):
    """The answer of `GET /api/datasets/{dataset_id}/looks`."""

    dataset_id: str
    analyses: int = Field(description="Number of stored analyses of this data set.")
    questions: Sequence[QuestionLooks] = Field(
        description="The same by outcome and treatment, those with most analyses first; at most 200."
    )
