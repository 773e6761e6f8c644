"""The response of a liveness probe, and the version shown there and in the OpenAPI document."""

from functools import cache
from importlib.metadata import version
from typing import Literal

from pydantic import BaseModel, ConfigDict

__all__ = ["Liveness", "code_version"]


class Liveness(BaseModel):
    """The response of `/health/live`."""

    model_config = ConfigDict(frozen=True)

    status: Literal["alive"] = "alive"


@cache
def code_version() -> str:
    """Return the version of the installed package."""
    return version("cqox")
