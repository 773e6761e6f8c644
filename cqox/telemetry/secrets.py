"""What must not leave the process in a log line or a span: passwords in addresses, tokens. Pure.

Nothing of ours writes them; what a driver or an operating system says in an exception is another matter.
"""

import re

__all__ = ["masked"]

_MASK = "***"
# After a colon that is not that of a port. A password may hold any of the signs that an address is made of.
_IN_ADDRESS = re.compile(r"""(://[^\s:/@"']*):(?!\d+(?:[/?#\s"',;)]|$))[^\s"'<>]+@""")
_IN_PAIR = re.compile(r"""(?i)\b(password|passwd|pgpassword|token|secret|api_?key)=('[^']*'|"[^"]*"|[^\s"',;&]+)""")
_BEARER = re.compile(r"(?i)\b(bearer) [\w.~+/=-]{6,}")


def masked(text: str) -> str:
    """The text with every password and token in it replaced; one that holds none comes back as it is."""
    if "://" in text:
        text = _IN_ADDRESS.sub(rf"\1:{_MASK}@", text)
    if "=" in text:
        text = _IN_PAIR.sub(rf"\1={_MASK}", text)
    if "earer " in text or "EARER " in text:
        text = _BEARER.sub(rf"\1 {_MASK}", text)
    return text
