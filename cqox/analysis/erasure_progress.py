"""Progress of an erasure, as its record stores it, and the receipt that follows from it.

Everything is noted before it is deleted, by id, so that an erasure that was interrupted counts nothing twice and
forgets nothing. It holds ids, digests and counts, and no values of data.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Self

__all__ = ["ErasedReport", "Progress"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasedReport:
    """A report that is deleted.

    Attributes:
        digest: of its bytes.
        figures: number of its rendered figures on this disk.
        annotations: 1 if people had written about it, otherwise 0.
        shares: number of its share links.
    """

    digest: str
    figures: int
    annotations: int
    shares: int


@dataclass(slots=True, kw_only=True)
class Progress:
    """Deleted data, by id.

    Attributes:
        datasets: digest of each data set.
        files: digest of each file of a data set, by `<data set>/<name>`.
        reports: the reports.
        jobs: ids of jobs.
        uploads: ids of uploads in pieces.
        keys: digests of idempotency keys.
        api_keys: ids of API keys, which are revoked.
        encryption_key: whether an encryption key was destroyed; None where that was not asked for.
    """

    datasets: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    reports: dict[str, ErasedReport] = field(default_factory=dict)
    jobs: set[str] = field(default_factory=set)
    uploads: set[str] = field(default_factory=set)
    keys: set[str] = field(default_factory=set)
    api_keys: set[str] = field(default_factory=set)
    encryption_key: bool | None = None

    @classmethod
    def read(cls, stored: bytes) -> Self:
        """Return the progress in the record of an erasure."""
        given = json.loads(stored)
        return cls(
            datasets=given["datasets"],
            files=given["files"],
            reports={name: ErasedReport(**about) for name, about in given["reports"].items()},
            jobs=set(given["jobs"]),
            uploads=set(given["uploads"]),
            keys=set(given["keys"]),
            api_keys=set(given["api_keys"]),
            encryption_key=given["encryption_key"],
        )

    def written(self) -> bytes:
        """Return the progress as the record of the erasure stores it."""
        members = {
            "datasets": self.datasets,
            "files": self.files,
            "reports": {name: asdict(each) for name, each in self.reports.items()},
            "jobs": sorted(self.jobs),
            "uploads": sorted(self.uploads),
            "keys": sorted(self.keys),
            "api_keys": sorted(self.api_keys),
            "encryption_key": self.encryption_key,
        }
        return json.dumps(members, sort_keys=True, separators=(",", ":")).encode()

    def counts(self) -> Mapping[str, int]:
        """Return how many of each kind are deleted."""
        reports = self.reports.values()
        return {
            "datasets": len(self.datasets),
            "files": len(self.files),
            "reports": len(self.reports),
            "figures": sum(each.figures for each in reports),
            "annotations": sum(each.annotations for each in reports),
            "shares": sum(each.shares for each in reports),
            "jobs": len(self.jobs),
            "uploads": len(self.uploads),
            "idempotency_keys": len(self.keys),
            "api_keys": len(self.api_keys),
        }

    def digests(self) -> Mapping[str, Mapping[str, str]]:
        """Return the digests of what is deleted, by kind and id."""
        return {
            "datasets": self.datasets,
            "files": self.files,
            "reports": {name: each.digest for name, each in self.reports.items()},
        }
