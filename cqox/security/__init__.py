"""Rules of access: principals, permissions, API keys and the signature between gateway and engine.

Nothing here waits or reads a clock; keys come from `secrets`. Stores and messages are up to the caller.
"""

from cqox.security.api_keys import ApiKey, digest_of, id_of_request, matches, new_key, parse_key
from cqox.security.hop import MAX_AGE_SECONDS, HopKeys, HopKeyUnusable
from cqox.security.permissions import ROLES, Permission, Role, granted, may_know
from cqox.security.principal import GATEWAY, LOCAL, InvalidPrincipal, Kind, Principal, decode, encode
from cqox.security.verdicts import REFUSAL_SECONDS, VERDICT_SECONDS, Refusal, Verdict, Verdicts

__all__ = [
    "GATEWAY",
    "LOCAL",
    "MAX_AGE_SECONDS",
    "REFUSAL_SECONDS",
    "ROLES",
    "VERDICT_SECONDS",
    "ApiKey",
    "HopKeyUnusable",
    "HopKeys",
    "InvalidPrincipal",
    "Kind",
    "Permission",
    "Principal",
    "Refusal",
    "Role",
    "Verdict",
    "Verdicts",
    "decode",
    "digest_of",
    "encode",
    "granted",
    "id_of_request",
    "matches",
    "may_know",
    "new_key",
    "parse_key",
]
