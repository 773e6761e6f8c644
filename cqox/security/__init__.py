"""Rules of access and of its record: principals, permissions, API keys, the hop between services, the audit log.

Nothing here waits or reads a clock; keys come from `secrets`. Stores and messages are up to the caller.
"""

from cqox.security.api_keys import ApiKey, digest_of, id_of_request, matches, new_key, parse_key
from cqox.security.audit import (
    FIRST_PREVIOUS,
    AuditEntry,
    AuditEvent,
    ChainBroken,
    ChainCheck,
    Head,
    InvalidEntry,
    Outcome,
    chained,
    head_of,
    line_of,
    parse_head,
    parse_line,
    verified_chain,
)
from cqox.security.hop import MAX_AGE_SECONDS, HopKeys, HopKeyUnusable
from cqox.security.permissions import ROLES, Permission, Role, granted, may_know
from cqox.security.principal import GATEWAY, LOCAL, InvalidPrincipal, Kind, Principal, decode, encode
from cqox.security.verdicts import REFUSAL_SECONDS, VERDICT_SECONDS, Refusal, Verdict, Verdicts

__all__ = [
    "FIRST_PREVIOUS",
    "GATEWAY",
    "LOCAL",
    "MAX_AGE_SECONDS",
    "REFUSAL_SECONDS",
    "ROLES",
    "VERDICT_SECONDS",
    "ApiKey",
    "AuditEntry",
    "AuditEvent",
    "ChainBroken",
    "ChainCheck",
    "Head",
    "HopKeyUnusable",
    "HopKeys",
    "InvalidEntry",
    "InvalidPrincipal",
    "Kind",
    "Outcome",
    "Permission",
    "Principal",
    "Refusal",
    "Role",
    "Verdict",
    "Verdicts",
    "chained",
    "decode",
    "digest_of",
    "encode",
    "granted",
    "head_of",
    "id_of_request",
    "line_of",
    "matches",
    "may_know",
    "new_key",
    "parse_head",
    "parse_key",
    "parse_line",
    "verified_chain",
]
