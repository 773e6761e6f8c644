"""Entity tags of responses, and the condition `If-None-Match` (RFC 9110, sections 8.8.3 and 13.1.2)."""

import re

from services.gateway.content_codings import Coding

__all__ = ["named_tag", "of_coding", "of_digest"]

_CHARACTERS = 32
"""Hexadecimal characters of a tag; equal ones of two different bodies are as unlikely as equal data set ids."""

_TAG = re.compile(r'(?:^|,)[ \t]*((?:W/)?"[\x21\x23-\x7e]*")[ \t]*(?=,|$)')
_CODED = re.compile(r'-(?:zstd|gzip)"$')


def of_digest(sha256: bytes) -> str:
    """Return the strong tag of a body.

    Args:
        sha256: its SHA-256, 32 bytes.
    """
    return f'"{sha256.hex()[:_CHARACTERS]}"'


def of_coding(tag: str, coding: Coding) -> str:
    """Return the tag of the same content in a content coding, which has other bytes.

    A weak tag stays the same: it names the content and not its bytes.
    """
    return tag if tag.startswith("W/") else f'{tag[:-1]}-{coding}"'


def named_tag(condition: str, tag: str) -> str | None:
    """Return the tag by which `If-None-Match` names the content, None where it does not.

    The comparison is weak, and codings of one content are equal in it. So the tag may differ from the one that is
    sent now: it is that of the bytes which the client has.

    Args:
        condition: the values of the field, joined by commas.
        tag: the tag of the content without a coding.
    """
    if condition.strip() == "*":
        return tag
    content = tag.removeprefix("W/")
    for each in _TAG.findall(condition):
        if _CODED.sub('"', each.removeprefix("W/")) == content:
            return str(each)
    return None
