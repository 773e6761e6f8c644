"""Models of data findings, which uploads, suggested roles and reports have."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field, JsonValue

from cqox.contract.answer_model import AnswerModel, Sentence

__all__ = ["DataFinding", "Remedy"]


class Remedy(AnswerModel):
    """Parameters that settle a finding."""

    at: Literal["upload", "analyze"] = Field(
        description="`upload`: the body of `/api/datasets/{dataset_id}/read`, or fields of the form, or query "
        "parameters, with the file once more. `analyze`: members of `options`; those of `mapping` under that name."
    )
    parameters: Mapping[str, JsonValue] = Field(
        description="Can be sent as they are. Lists of the same name from several remedies are joined."
    )


class DataFinding(AnswerModel):
    """A trap in the data, found before any number is computed."""

    code: Annotated[
        str, Field(description="The name by which `options.accept` accepts it; its message is `findings.<code>`.")
    ]
    severity: Annotated[
        Literal["note", "caps"],
        Field(
            description="`caps`: it may change the answer and keeps the verdict at CANARY until it is remedied or "
            "accepted."
        ),
    ]
    columns: Sequence[str] = ()
    rows: Annotated[
        Sequence[int],
        Field(description="A few examples, numbered from 1 below the header, as `options.drop_rows` takes them."),
    ] = ()
    message: Sentence
    remedy: Annotated[
        Remedy | None, Field(description="Null where no parameter settles it; the message then says what to do.")
    ] = None
    accepted: Annotated[bool, Field(description="Named in `options.accept`.")] = False
