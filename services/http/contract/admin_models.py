"""The models of `/api/admin/policies`."""

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

__all__ = ["PolicyChange", "PolicyListing"]


class PolicyListing(BaseModel):
    """All policies with their states."""

    model_config = ConfigDict(frozen=True)

    service: str = Field(description="Which service answers: gateway or engine.")
    policies: Mapping[str, JsonValue]


class PolicyChange(BaseModel):
    """One change to one policy: an action or settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    policy: str = Field(description="Its name in the listing.")
    action: Literal["isolate", "reset", "disable", "observe_only"] | None = Field(
        None, description="Refuse every call; decide by itself again; let every call through; judge but let through."
    )
    settings: Mapping[str, JsonValue] | None = Field(None, description="Settings to change, by name.")
