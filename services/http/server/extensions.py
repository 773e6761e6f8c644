"""Names of our extensions of ASGI; an application that does not know them is served all the same."""

__all__ = ["ARRIVED_BODY", "HELD", "SOCKET"]

ARRIVED_BODY = "cqox.arrived_body"
"""Extension of the scope of a request whose whole body came with its head: the body, which `receive` returns too."""

HELD = "cqox.held"
"""Member of `http.response.start`: the head may be sent with the first bytes of the body, which follow at once."""

SOCKET = "cqox.socket"
"""Extension of the scope of a request: the descriptor of its socket; nothing that has arrived is unread elsewhere."""
