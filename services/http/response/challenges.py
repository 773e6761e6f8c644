"""The `WWW-Authenticate` field of a refused request (RFC 6750, section 3)."""

from cqox.errors import NotAuthenticated, PermissionMissing

__all__ = ["challenge_of"]


def challenge_of(error: Exception) -> dict[str, str]:
    """Return the header fields that say how a request would be accepted; none for other errors."""
    match error:
        case NotAuthenticated(reason=""):
            return {"WWW-Authenticate": "Bearer"}
        case NotAuthenticated():
            return {"WWW-Authenticate": f'Bearer error="{error.reason}"'}
        case PermissionMissing():
            return {"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{error.permission}"'}
        case _:
            return {}
