"""A stored report as it goes to a client."""

from dataclasses import dataclass

from cqox.analysis.key import canonical_json
from cqox.storage import StoredReport

__all__ = ["Answer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A report as it goes to a client.

    Attributes:
        analysis_id: its id.
        body: the whole report, JSON bytes.
        hit: whether it was there already.
        stored: whether it can be read again later.
    """

    analysis_id: str
    body: bytes
    hit: bool
    stored: bool

    @classmethod
    def of(cls, report: StoredReport, *, hit: bool, stored: bool, trace_id: str | None) -> "Answer":
        """The report with the provenance that this client is told.

        The report's bytes are kept as they are; only the provenance says how this client came by them.
        """
        told = canonical_json({"cache": "hit" if hit else "miss", "trace_id": trace_id, "stored": stored})
        body = b'%b,"provenance":%b,%b}' % (report.report[:-1], report.provenance[:-1], told[1:])
        return cls(analysis_id=report.analysis_id, body=body, hit=hit, stored=stored)
