"""Who may do what: principals, permissions, API keys and the signature between gateway and engine; nothing here waits.

Time, randomness of keys and stored records are handed in or made by `secrets`; reading and sending is the caller's.
"""

from cqox.security.api_keys import ApiKey, digest_of, matches, new_key, parse_key
from cqox.security.hop import MAX_AGE_SECONDS, HopKeys, HopKeyUnusable
from cqox.security.permissions import ROLES, Permission, Role, granted, may_know
from cqox.security.principal import GATEWAY, LOCAL, InvalidPrincipal, Kind, Principal, decode, encode

__all__ = [
    "GATEWAY",
    "LOCAL",
    "MAX_AGE_SECONDS",
    "ROLES",
    "ApiKey",
    "HopKeyUnusable",
    "HopKeys",
    "InvalidPrincipal",
    "Kind",
    "Permission",
    "Principal",
    "Role",
    "decode",
    "digest_of",
    "encode",
    "granted",
    "matches",
    "may_know",
    "new_key",
    "parse_key",
]
