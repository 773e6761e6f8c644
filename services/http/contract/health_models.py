"""Response models of the health endpoints, and the version shown there and in the OpenAPI document."""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Health", "Liveness", "code_version"]


class Liveness(BaseModel):
    """The response of `/health/live`."""

    model_config = ConfigDict(frozen=True)

    status: Literal["alive"] = "alive"


class Health(BaseModel):
    """The response of `/api/health` and `/health/ready`."""

    model_config = ConfigDict(frozen=True)

    status: Literal["ok", "degraded", "starting", "draining"]
    service: str
    version: str
    degraded: Mapping[str, str] = Field(
        description="Dependencies that are unavailable, with the reason; all else works without them."
    )
    in_flight: int = Field(description="Requests in flight, without this one.")
    uptime_seconds: float


@cache
def code_version() -> str:
    """Return the version of the installed package."""
    return version("cqox")
