"""Escaping of control characters and truncation of long texts, for output of untrusted text.

Escaped text cannot end a line, control a terminal, reverse the text direction or break an encoding. Backslashes are not
escaped, so that escaping is idempotent.
"""

import re

__all__ = ["escaped", "shortened"]

# C0, DEL and C1; directional marks, embeddings, overrides and isolates; line and paragraph separators; invisible
# operators, annotations and tags; the byte order mark; lone surrogates, which UTF-8 cannot encode.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f]"
)
_NAMED = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def escaped(text: str) -> str:
    r"""Escape control and formatting characters, such as `\n`, `\x1b` and `\u202e`."""
    return text if text.isprintable() else _UNSAFE.sub(_shown, text)


def shortened(text: str, most: int, *, left_out: int = 0) -> str:
    """Truncate a text longer than `most` characters in its middle, with a note of the number of characters omitted.

    Args:
        text: text to truncate.
        most: maximum number of characters, without the note.
        left_out: number of characters already omitted from it.
    """
    if len(text) <= most:
        return text + _note(left_out) if left_out else text
    tail = most // 3
    return f"{text[: most - tail]}{_note(len(text) - most + left_out)}{text[len(text) - tail :]}"


def _note(characters: int) -> str:
    return f" [... {characters} characters left out ...] "


def _shown(found: re.Match[str]) -> str:
    character = found[0]
    if character in _NAMED:
        return _NAMED[character]
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
