"""The base of every model of a request."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, FailFast

__all__ = ["Names", "Strict"]

Names = Annotated[list[str], FailFast()]
"""Stops at the first error of a list: ten thousand items that are wrong in the same way give one error."""


class Strict(BaseModel):
    """A frozen model that refuses unknown members, infinity and NaN."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="null", allow_inf_nan=False)
