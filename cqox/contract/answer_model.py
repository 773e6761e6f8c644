"""The base of every model of an answer."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, ValidatorFunctionWrapHandler, WrapValidator

from cqox.contract.messages import Message

__all__ = ["AnswerModel", "Sentence"]


def _kept(value: object, validate: ValidatorFunctionWrapHandler) -> object:
    # A field of type `str` would make a plain string of it.
    return value if isinstance(value, Message) else validate(value)


Sentence = Annotated[str, WrapValidator(_kept)]
"""A string that may be a `Message`."""


class AnswerModel(BaseModel):
    """A frozen model without other members; numbers that are not finite are null."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="null")
