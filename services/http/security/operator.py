"""The operator's principal: who presents the admin token of a service on its port."""

import hmac

from cqox.security import Principal, Role, granted

__all__ = ["operator_of"]

_OPERATOR = Principal(
    subject="admin-token",
    tenant="default",
    roles=(Role.OPERATOR,),
    permissions=granted([Role.OPERATOR]),
    kind="operator",
)


def operator_of(token: str, admin_token: str) -> Principal | None:
    """Return the operator where a bearer token is the admin token; None where it is another, or none is set."""
    if admin_token and hmac.compare_digest(token.encode(), admin_token.encode()):
        return _OPERATOR
    return None
