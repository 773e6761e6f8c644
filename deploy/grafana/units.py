"""Names of units as Grafana has them."""

from collections.abc import Mapping

from cqox.dashboards import Unit

__all__ = ["unit_of"]

_UNITS: Mapping[Unit, str] = {
    "number": "short",
    "ratio": "percentunit",
    "seconds": "s",
    "bytes": "bytes",
    "bytes_per_second": "Bps",
    "per_second": "ops",
    "requests_per_second": "reqps",
    "cores": "short",
    "timestamp": "dateTimeAsIso",
}


def unit_of(unit: Unit) -> str:
    """Return Grafana's name of a unit."""
    return _UNITS[unit]
