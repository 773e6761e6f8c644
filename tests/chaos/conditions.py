"""Conditions of a network that a fault asks for."""

from collections.abc import Mapping
from typing import Any

from cqox.chaos.experiments.experiment import Fault
from cqox.chaos.proxy import Conditions, HttpFault

__all__ = ["network_conditions"]


def network_conditions(fault: Fault) -> Conditions:
    given: Mapping[str, Any] = fault.parameters
    match fault.kind:
        case "network-delay":
            return Conditions(latency=given["latency"], jitter=given["jitter"])
        case "network-loss":
            return Conditions(stall=given["percent"] / 100)
        case "network-corrupt":
            return Conditions(corrupt=given["percent"] / 100)
        case "network-partition":
            direction = given["direction"]
            return Conditions(hold_to=direction in ("to", "both"), hold_from=direction in ("from", "both"))
        case "network-bandwidth":
            return Conditions(bytes_per_second=given["bytes_per_second"])
        case "network-refuse":
            return Conditions(refuse=True)
        case "network-reset":
            return Conditions(reset_after=given["after_bytes"])
        case "network-slow-read":
            return Conditions(read_bytes_per_second=given["bytes_per_second"])
        case "http-abort" | "http-delay" | "http-replace":
            return Conditions(
                http=HttpFault(
                    action=fault.kind.removeprefix("http-"),  # type: ignore[arg-type]
                    share=given["percent"] / 100,
                    path=given["path"],
                    seconds=given.get("latency", 0.0),
                    status=given.get("status", 503),
                )
            )
    raise NotImplementedError(f"{fault.kind} cannot be made by a proxy: it needs the part packets")
