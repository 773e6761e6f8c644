"""Texts and numbers of documents: sentences in a language, without characters that no document may hold."""

import re
from dataclasses import dataclass

from cqox.contract.amounts import amount, decimals_for, fixed
from cqox.contract.messages import Language, Message

__all__ = ["Wording", "printable"]

_BREAKS = re.compile(r"[\t\n\v\f\r\x85\u2028\u2029]+")
_HARMFUL = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # controls: no XML document may hold most of them
    "\u202a-\u202e\u2066-\u2069"  # they turn the direction of what follows
    "\ud800-\udfff\ufffe\uffff\ufeff]"
)
_SMALL = 1e-5
"""Width of an interval below which its numbers are written with a power of ten where that is shorter."""

_LOST = "\N{REPLACEMENT CHARACTER}"


def printable(text: str) -> str:
    """Return the text on one line, with a replacement character for each control, surrogate and turn of direction."""
    return _HARMFUL.sub(_LOST, _BREAKS.sub(" ", text))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """Texts of one document.

    Attributes:
        language: of the document.
        level: confidence level of the report's intervals, in percent.
    """

    language: Language
    level: float

    def __call__(self, text: str) -> str:
        """Return a message in the language of the document, any other text as it is, both printable."""
        return printable(text.in_language(self.language) if isinstance(text, Message) else text)

    def interval(self, estimate: float, lower: float | None, upper: float | None) -> str:
        """Return an estimate with its interval, to a hundredth of the width of that; the estimate alone without one."""
        if lower is None and upper is None:
            return amount(estimate)
        value, low, high = self.bounds(estimate, lower, upper)
        return self(Message("exports.amount-and-interval", estimate=value, level=self.level, lower=low, upper=high))

    def bounds(self, estimate: float, lower: float | None, upper: float | None) -> tuple[str, str, str]:
        """Return an estimate and the ends of its interval with equal decimals; an end that is missing is infinite."""
        if lower is None or upper is None or upper - lower < _SMALL:
            return amount(estimate), *_ends(lower, upper)
        decimals = decimals_for(upper - lower)
        return fixed(estimate, decimals), fixed(lower, decimals), fixed(upper, decimals)


def _ends(lower: float | None, upper: float | None) -> tuple[str, str]:
    return "−∞" if lower is None else amount(lower), "∞" if upper is None else amount(upper)
