"""The answers of the health endpoints, and the version that they and the OpenAPI document name."""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Health", "Liveness", "code_version"]


class Liveness(BaseModel):
    """The answer of `/health/live`."""

    model_config = ConfigDict(frozen=True)

    status: Literal["alive"] = "alive"


class Health(BaseModel):
    """The answer of `/api/health` and `/health/ready`."""

    model_config = ConfigDict(frozen=True)

    status: Literal["ok", "degraded", "starting", "draining"]
    service: str
    version: str
    degraded: Mapping[str, str] = Field(description="What does not answer, and why; the rest works without it.")
    in_flight: int = Field(description="Requests being answered, this one not counted.")
    uptime_seconds: float


@cache
def code_version() -> str:
    """The version of the installed package."""
    return version("cqox")
