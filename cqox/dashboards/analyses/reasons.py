"""Sentences for the reasons why estimators were skipped or failed, of which facts keep the code and the role.

The report of an analysis has the whole sentence. Its other words can be those of the data, so facts do not have them:
here an ellipsis stands in their place.
"""

from collections.abc import Sequence
from dataclasses import replace
from string import Formatter

from cqox.contract.messages import LANGUAGES, message_from, render, template
from cqox.dashboards.analyses.shapes import Shape, Shown, value_of
from cqox.dashboards.answers import Line, PanelAnswer, Span
from cqox.dashboards.views import ViewRows

__all__ = ["reason_bars", "sentence", "with_reasons"]

_MOST_BARS = 30
_LISTS = ("list", "join")


class _Unknown(str):
    """A word that is not known, whatever the format of its field."""

    def __format__(self, how: str) -> str:
        return str(self)


_UNKNOWN = _Unknown("…")


def sentence(code: str | float | None, role: str | float | None) -> str | None:
    """Return the sentence of a reason as a message; the code where no catalog of today has it.

    Args:
        code: code of the message; None where a report has none.
        role: the role that it is about, if there is one.
    """
    if code is None:
        return None
    try:
        params = _params(str(code), role)
        return message_from(str(code), params, render("en", str(code), params))
    except KeyError:
        return str(code)


def _params(code: str, role: str | float | None) -> dict[str, object]:
    found: dict[str, object] = {}
    for language in LANGUAGES:
        for _, name, how, _ in Formatter().parse(template(language, code) or ""):
            if name is not None:
                kind = (how or "").partition(" ")[0]
                found[name] = role if name == "role" and role is not None else _UNKNOWN
                if kind in _LISTS:
                    found[name] = [found[name]]
    return found


def with_reasons(shape: Shape, place: int) -> Shape:
    """Return a shape of a table in which the code at a place is a sentence, and the role after it is gone.

    Args:
        shape: of the rows without the role.
        place: of the code in a row; the role is the one after it.
    """

    def shaped(found: Sequence[ViewRows], span: Span) -> Shown | None:
        return shape([replace(each, rows=_joined(each.rows, place)) for each in found], span)

    return shaped


def _joined(rows: Sequence[Sequence[str | float | None]], place: int) -> list[tuple[str | float | None, ...]]:
    return [(*row[:place], sentence(row[place], row[place + 1]), *row[place + 2 :]) for row in rows]


def reason_bars(found: Sequence[ViewRows], span: Span) -> Shown | None:
    """Return a bar for each reason, the greatest first: rows of a code, a role and a count."""
    values: dict[str, float] = {}
    for code, role, count in found[0].rows:
        name = sentence(code, role) or "–"
        values[name] = values.get(name, 0.0) + value_of(count)
    ordered = sorted(values.items(), key=lambda pair: (-pair[1], pair[0]))
    lines = [Line(name=name, points=[(span.end, value)]) for name, value in ordered]
    return PanelAnswer(lines=lines[:_MOST_BARS]) if lines else None
