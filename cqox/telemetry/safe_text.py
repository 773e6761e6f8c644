"""Texts for a span or a log record of OpenTelemetry: without secrets, bounded, and of characters that can be sent."""

from cqox.telemetry.escaping import escaped, shortened
from cqox.telemetry.secrets import masked

__all__ = ["safe_text"]

_MOST = 32_768
_MOST_TAKEN = 2 * _MOST


def safe_text(text: str, *, lines: bool = False) -> str:
    """The text as it may leave the process.

    A lone surrogate, which no encoding can express, would lose the whole batch that it is in.

    Args:
        text: the text.
        lines: whether it has several lines, which stay.
    """
    # Cut before the secrets are looked for, and well beyond what stays.
    left_out = max(0, len(text) - _MOST_TAKEN)
    if left_out:
        text = text[: _MOST_TAKEN // 2] + text[len(text) - _MOST_TAKEN // 2 :]
    text = masked(text)
    text = "\n".join(escaped(line) for line in text.split("\n")) if lines else escaped(text)
    return shortened(text, _MOST, left_out=left_out)
