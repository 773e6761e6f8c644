"""A finished analysis as its worker sends it: report and figures as canonical JSON bytes, and what the engine reads.

The bytes of a report are what is stored and answered. Its worker writes them once; the engine puts the id before and
the figures' addresses behind, and parses neither report nor figures.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from cqox.analysis.key import canonical_json
from cqox.analysis.workers import Reply

__all__ = ["Written", "read", "write"]

_HEADLINE = "/decision/headline"


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A written analysis.

    Attributes:
        report: the report without `analysis_id`, `dataset_id` and `figures`, a canonical JSON object.
        specs: figure name to Vega-Lite specification, a canonical JSON object.
        figures: names of the figures.
        summary: `status`, `verdict`, `primary` and its `estimate`, the `status` of each of the `gates`, the columns of
            `outcome` and `treatment`, and the `headline` with its code and parameters as JSON text.
        rows: number of rows of the data set.
        rows_used: maximum number of rows used by an estimator.
        seconds: duration of each step.
        engine: by which sums over the rows were made.
    """

    report: bytes
    specs: bytes
    figures: tuple[str, ...]
    summary: Mapping[str, JsonValue]
    rows: JsonValue
    rows_used: JsonValue
    seconds: Mapping[str, JsonValue]
    engine: JsonValue

    def with_ids(self, ids: Mapping[str, str], figures: Mapping[str, str]) -> bytes:
        """Return the complete report, canonical JSON: the ids, the report, and the address of each figure."""
        return b"%b,%b,%b" % (canonical_json(ids)[:-1], self.report[1:-1], canonical_json({"figures": figures})[1:])


def write(
    report: Mapping[str, object],
    specs: Mapping[str, object],
    *,
    rows: int,
    rows_used: int,
    seconds: Mapping[str, float],
    engine: str = "memory",
) -> tuple[dict[str, object], bytes]:
    """Return JSON values and binary data of a worker's reply.

    Args:
        report: as of `Written`, JSON values.
        specs: as of `Written`, JSON values.
        rows: number of rows of the data set.
        rows_used: maximum number of rows used by an estimator.
        seconds: duration of each step.
        engine: by which sums over the rows were made.

    Raises:
        ValueError: report or figures contain NaN or an infinity.
    """
    content = canonical_json(report)
    body: dict[str, object] = {
        "summary": _summary(report),
        "figures": list(specs),
        "report_bytes": len(content),
        "rows": rows,
        "rows_used": rows_used,
        "seconds": dict(seconds),
        "engine": engine,
    }
    return body, content + canonical_json(specs)


def read(reply: Reply) -> Written:
    """Return the analysis of a worker's reply.

    Raises:
        TypeError: it is no reply of `write`.
    """
    size = reply.body["report_bytes"]
    report, specs = (reply.payload[:size], reply.payload[size:]) if isinstance(size, int) else (b"", b"")
    if not (report.startswith(b"{") and specs.startswith(b"{")):
        raise TypeError("a worker returned no report")
    return Written(
        report=report,
        specs=specs,
        figures=tuple(str(name) for name in reply.array("figures")),
        summary=reply.object("summary"),
        rows=reply.body["rows"],  # type: ignore[arg-type]
        rows_used=reply.body["rows_used"],  # type: ignore[arg-type]
        seconds=reply.object("seconds"),
        engine=reply.body["engine"],  # type: ignore[arg-type]
    )


def _summary(report: Mapping[str, object]) -> dict[str, object]:
    decision, estimates, gates = report["decision"], report["estimates"], report["gates"]
    assert isinstance(decision, dict)
    assert isinstance(estimates, list)
    assert isinstance(gates, dict)
    primary = decision["primary"]
    numbers = (each["estimate"] for each in estimates if each["name"] == primary)
    return {
        "status": report["status"],
        "verdict": decision["verdict"],
        "primary": primary,
        "estimate": next((float(number) for number in numbers if number is not None), None),
        "gates": {name: {"status": gate["status"]} for name, gate in gates.items()},
        **_question(report["mapping"]),
        "headline": _headline(decision.get("headline"), report.get("messages")),
    }


def _question(mapping: object) -> dict[str, str | None]:
    assert isinstance(mapping, Mapping)
    columns = {"outcome": mapping.get("y"), "treatment": mapping.get("treatment")}
    return {role: column if isinstance(column, str) else None for role, column in columns.items()}


def _headline(text: object, messages: object) -> str | None:
    if not isinstance(text, str):
        return None
    message = messages.get(_HEADLINE) if isinstance(messages, Mapping) else None
    return canonical_json({"text": str(text), "message": message}).decode()
