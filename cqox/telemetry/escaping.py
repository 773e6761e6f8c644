"""Control characters made visible and long texts shortened, for whatever shows a text that a client may have written.

What is escaped can neither end a line, steer a terminal, reverse the direction of text nor break an encoding. A
backslash stays as it is, so that escaping twice changes nothing.
"""

import re

__all__ = ["escaped", "shortened"]

# C0, DEL and C1; marks, embeddings, overrides and isolates of direction; separators of lines and paragraphs; invisible
# operators, annotations and tags; the byte order mark; lone surrogates, which no encoding can express.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f]"
)
_NAMED = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def escaped(text: str) -> str:
    r"""Escape every character that does more than stand in a line: `\n`, `\x1b`, `\u202e`."""
    return text if text.isprintable() else _UNSAFE.sub(_shown, text)


def shortened(text: str, most: int, *, left_out: int = 0) -> str:
    """Keep the head and the tail of a text that is longer than `most` characters, and say how much is missing.

    Args:
        text: the text.
        most: how many characters may stay, without the note.
        left_out: how many characters are missing from it already.
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
