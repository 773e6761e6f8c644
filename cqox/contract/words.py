"""Words that stand for nothing: which valid ones somebody who wrote one may have meant, and how that is said."""

import difflib
import unicodedata
from collections.abc import Sequence

from cqox.contract.bounds import MAX_SHOWN_CHARACTERS, shortened
from cqox.contract.messages import Message
from cqox.errors import InvalidRequest

__all__ = ["near_words", "unknown_word"]

_MOST_NEAR = 3
_LEAST_ALIKE = 0.5


def near_words(word: str, valid: Sequence[str]) -> list[str]:
    """The few valid words that may have been meant, the nearest first.

    Those that differ in case, width or blanks alone, and where there are none those that are spelt alike.
    """
    word = word[:MAX_SHOWN_CHARACTERS]
    plain = _folded(word)
    same = [name for name in valid if _folded(name) == plain]
    alike = difflib.get_close_matches(word, valid, n=_MOST_NEAR, cutoff=_LEAST_ALIKE)
    return same[:_MOST_NEAR] or alike


def unknown_word(
    what: Message,
    word: str,
    valid: Sequence[str],
    *,
    field: str,
    near: Sequence[str] | None = None,
    cure: Message | None = None,
) -> InvalidRequest:
    """Describe an unknown word and its nearest valid ones.

    Args:
        what: what it should stand for: a role, an option; the noun alone.
        word: as it was written.
        valid: the words that there are.
        field: where it stands in the request.
        near: those that may have been meant, where a rule of its own finds them.
        cure: what to change, as a sentence, where that is known better than a near word.
    """
    near = near_words(word, valid) if near is None else near
    shown = shortened(word)
    if cure is not None:
        detail = Message("request.unknown-word-with-cure", cure=cure, what=what, word=shown)
    elif near:
        detail = Message("request.unknown-word-with-near", near=near, what=what, word=shown)
    else:
        detail = Message("request.unknown-word", what=what, word=shown)
    return InvalidRequest(detail, field=field, choices=[*near, *(name for name in valid if name not in near)])


def _folded(word: str) -> str:
    return "".join(unicodedata.normalize("NFKC", word).casefold().replace("_", " ").replace("-", " ").split())
