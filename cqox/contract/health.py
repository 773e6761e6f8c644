"""The model of a service's health."""

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Health"]


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
