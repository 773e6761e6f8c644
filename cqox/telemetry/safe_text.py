"""Sanitising of texts for OpenTelemetry: secrets masked, length bounded, unencodable characters escaped."""

from cqox.telemetry.escaping import escaped, shortened
from cqox.telemetry.secrets import masked

__all__ = ["safe_text"]

_MOST = 32_768
_MOST_TAKEN = 2 * _MOST


def safe_text(text: str, *, lines: bool = False) -> str:
    """Sanitise a text for export.

    UTF-8 cannot encode a lone surrogate: it would fail the whole batch.

    Args:
        text: text to sanitise.
        lines: True to keep line breaks.
    """
    # Truncate before the search for secrets, well above the final bound.
    left_out = max(0, len(text) - _MOST_TAKEN)
    if left_out:
        text = text[: _MOST_TAKEN // 2] + text[len(text) - _MOST_TAKEN // 2 :]
    text = masked(text)
    text = "\n".join(escaped(line) for line in text.split("\n")) if lines else escaped(text)
    return shortened(text, _MOST, left_out=left_out)
