"""Response body of a stored report."""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass

from cqox.analysis.key import canonical_json
from cqox.storage import StoredReport

__all__ = ["Answer"]

_MAX_BEGINNINGS = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A report with its provenance, as sent to a client.

    Attributes:
        analysis_id: id of the report.
        digest: digest of the report without its provenance, hexadecimal; the same for every request.
        body: the complete report, JSON bytes.
        sha256: SHA-256 of the body, 32 bytes.
        hit: whether it was cached or stored before the request.
        stored: whether it can be read again later.
    """

    analysis_id: str
    digest: str
    body: bytes
    sha256: bytes
    hit: bool
    stored: bool

    @classmethod
    def of(cls, report: StoredReport, *, hit: bool, stored: bool, trace_id: str | None) -> "Answer":
        """Return the report with the provenance of this request.

        The bytes of the report stay unchanged; only the provenance differs between requests.
        """
        provenance = canonical_json({"cache": "hit" if hit else "miss", "trace_id": trace_id, "stored": stored})
        beginning = b'%b,"provenance":%b,' % (report.report[:-1], report.provenance[:-1])
        end = provenance[1:] + b"}"
        digest = _beginnings.hashed(report, beginning).copy()
        digest.update(end)
        return cls(
            analysis_id=report.analysis_id,
            digest=report.digest,
            body=beginning + end,
            sha256=digest.digest(),
            hit=hit,
            stored=stored,
        )


class _PrefixHashes:
    """SHA-256 states of the common prefix of all answers of one report, cached for repeated requests."""

    def __init__(self) -> None:
        self._hashed = OrderedDict[tuple[str, str, bytes], "hashlib._Hash"]()

    def hashed(self, report: StoredReport, beginning: bytes) -> "hashlib._Hash":
        key = (report.analysis_id, report.digest, report.provenance)
        found = self._hashed.get(key)
        if found is None:
            found = self._hashed[key] = hashlib.sha256(beginning)
            if len(self._hashed) > _MAX_BEGINNINGS:
                self._hashed.popitem(last=False)
        else:
            self._hashed.move_to_end(key)
        return found


_beginnings = _PrefixHashes()
