"""The audit log of a tenant: a chain of entries, each with the digest of its predecessor.

An entry is one line of canonical JSON. Its digest covers every other member, and so, through the digest of the
predecessor, every entry before it. A program that can write the store can also rewrite the whole chain: a head that was
noted elsewhere finds that, and a tail that was cut off. Entries hold ids, never values of data.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from hashlib import sha256
from typing import Literal

from cqox.errors import CqoxError

__all__ = [
    "FIRST_PREVIOUS",
    "AuditEntry",
    "AuditEvent",
    "ChainBroken",
    "ChainCheck",
    "Head",
    "InvalidEntry",
    "Outcome",
    "chained",
    "head_of",
    "line_of",
    "parse_head",
    "parse_line",
    "verified_chain",
]

type Outcome = Literal["done", "refused", "failed", "interrupted"]
"""The outcome of an operation: it was carried out, its permission was missing, it had an error, or its client left."""

FIRST_PREVIOUS = "0" * 64
"""In place of the digest of a predecessor, in the first entry of a chain."""

_OUTCOMES = frozenset({"done", "refused", "failed", "interrupted"})


class InvalidEntry(CqoxError):
    """A line or a head is not in the form in which it is written."""


class ChainBroken(CqoxError):
    """An entry of an audit log is altered, removed or reordered, or its end is cut off.

    Attributes:
        tenant: whose log it is.
        seq: the first entry that shows it.
        how: the finding.
    """

    def __init__(self, tenant: str, seq: int, how: Literal["altered", "removed", "reordered", "cut off"]) -> None:
        super().__init__(f"the audit log of the tenant {tenant} is broken at entry {seq}: {how}")
        self.tenant = tenant
        self.seq = seq
        self.how = how


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """One operation, before it has its place in a chain.

    Attributes:
        event_id: 32 random hexadecimal digits, by which a repeated attempt to append it is recognised.
        at: when it happened, ISO 8601 in UTC.
        tenant: whose chain it belongs to.
        subject: who asked for it.
        kind: how the subject was authenticated.
        action: name of the operation.
        object: what it was about, such as `dataset:4f0c…`; empty where it names nothing.
        outcome: what became of it.
        request_id: id of the request in logs and traces; empty for none.
    """

    event_id: str
    at: str
    tenant: str
    subject: str
    kind: str
    action: str
    object: str
    outcome: Outcome
    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry(AuditEvent):
    """An event in the chain of its tenant.

    Attributes:
        seq: its number, from 1 without gaps.
        previous: digest of its predecessor, 64 hexadecimal digits; zeros for the first entry.
        digest: SHA-256 of its canonical JSON without this member, 64 hexadecimal digits.
    """

    seq: int
    previous: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The last entry of a chain at some time, to be noted elsewhere.

    Attributes:
        tenant: whose chain it is.
        seq: number of the entry; 0 for an empty chain.
        digest: digest of the entry.
    """

    tenant: str
    seq: int
    digest: str

    def __str__(self) -> str:
        return f"{self.tenant}/{self.seq}:{self.digest}"


_MEMBERS = {field.name: field.type for field in fields(AuditEntry)}


def chained(event: AuditEvent, last: AuditEntry | None) -> AuditEntry:
    """Return the entry of an event behind the last one of its chain; None for an empty chain."""
    given = {field.name: getattr(event, field.name) for field in fields(AuditEvent)}
    seq, previous = (1, FIRST_PREVIOUS) if last is None else (last.seq + 1, last.digest)
    return AuditEntry(**given, seq=seq, previous=previous, digest=_digest({**given, "seq": seq, "previous": previous}))


def line_of(entry: AuditEntry) -> str:
    """Return an entry as one line of canonical JSON, without the line's end."""
    return _canonical(asdict(entry))


def parse_line(line: str) -> AuditEntry:
    """Return the entry in a line; its digest is not checked.

    Raises:
        InvalidEntry: the line is no entry.
    """
    try:
        members = json.loads(line, object_pairs_hook=_without_repetition)
    except (ValueError, RecursionError) as error:
        raise InvalidEntry("it is no JSON, or names a member twice") from error
    if not isinstance(members, dict) or members.keys() != _MEMBERS.keys():
        raise InvalidEntry("its members are others")
    for name, value in members.items():
        if not (type(value) is int if name == "seq" else isinstance(value, str)):
            raise InvalidEntry(f"its {name} is of another type")
    if members["outcome"] not in _OUTCOMES:
        raise InvalidEntry("its outcome is unknown")
    return AuditEntry(**members)


def head_of(tenant: str, last: AuditEntry | None) -> Head:
    """Return the head of a chain that ends with an entry; None for an empty chain."""
    if last is None:
        return Head(tenant=tenant, seq=0, digest=FIRST_PREVIOUS)
    return Head(tenant=tenant, seq=last.seq, digest=last.digest)


def parse_head(text: str) -> Head:
    """Return the head in a text that `str` of one has.

    Raises:
        InvalidEntry: it is in another form.
    """
    tenant, _, rest = text.strip().partition("/")
    seq, _, digest = rest.partition(":")
    if not tenant or not (seq.isascii() and seq.isdigit()) or len(digest) != len(FIRST_PREVIOUS):
        raise InvalidEntry("a head is written as tenant/number:digest")
    return Head(tenant=tenant, seq=int(seq), digest=digest)


class ChainCheck:
    """Checks the entries of one tenant's chain one by one, oldest first, from the first one on.

    Args:
        tenant: whose chain it is.
        heads: noted elsewhere; those of other tenants are ignored.

    Attributes:
        last: the entry that was checked last; None before the first.
    """

    def __init__(self, tenant: str, heads: Iterable[Head] = ()) -> None:
        self._tenant = tenant
        self._noted = {head.seq: head.digest for head in heads if head.tenant == tenant and head.seq}
        self.last: AuditEntry | None = None

    def take(self, entry: AuditEntry) -> None:
        """Check the next entry.

        Raises:
            ChainBroken: it is altered, removed or reordered.
        """
        before = head_of(self._tenant, self.last)
        if entry.seq > before.seq + 1:
            raise ChainBroken(self._tenant, before.seq + 1, "removed")
        if entry.seq <= before.seq:
            raise ChainBroken(self._tenant, entry.seq, "reordered")
        members = asdict(entry)
        digest = members.pop("digest")
        # An entry that fits its predecessor and not the noted head belongs to a chain that was written again.
        expected = (_digest(members), before.digest, self._tenant, self._noted.get(entry.seq, digest))
        if (digest, entry.previous, entry.tenant, digest) != expected:
            raise ChainBroken(self._tenant, entry.seq, "altered")
        self.last = entry

    def end(self) -> Head:
        """Return the head after the last entry.

        Raises:
            ChainBroken: a noted head is beyond it.
        """
        head = head_of(self._tenant, self.last)
        if any(seq > head.seq for seq in self._noted):
            raise ChainBroken(self._tenant, head.seq + 1, "cut off")
        return head


def verified_chain(tenant: str, entries: Iterable[AuditEntry], heads: Iterable[Head] = ()) -> Head:
    """Return the head of one tenant's chain after every entry is checked.

    Args:
        tenant: whose chain it is.
        entries: oldest first, from the first one on.
        heads: noted elsewhere; those of other tenants are ignored.

    Raises:
        ChainBroken: names the first entry that is altered, removed or reordered, or the first one after a cut.
    """
    check = ChainCheck(tenant, heads)
    for entry in entries:
        check.take(entry)
    return check.end()


def _digest(members: Mapping[str, object]) -> str:
    return sha256(_canonical(members).encode()).hexdigest()


def _canonical(members: Mapping[str, object]) -> str:
    return json.dumps(members, ensure_ascii=True, sort_keys=True, separators=(",", ":"))


def _without_repetition(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a member is named twice")
    return found
