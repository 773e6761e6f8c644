"""Parser of Prometheus' text format and of OpenMetrics, as far as counters and gauges need it."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

__all__ = ["NotMetrics", "Sample", "samples"]

_LABEL = re.compile(
    r'\s*(?:(?P<name>[a-zA-Z_]\w*)|"(?P<quoted>(?:[^"\\]|\\.)*)")\s*(?:=\s*"(?P<value>(?:[^"\\]|\\.)*)")?\s*,?'
)
_NAME = re.compile(r"[a-zA-Z_:][\w:]*")
_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = {"n": "\n"}


class NotMetrics(ValueError):
    """A text is not in the format of Prometheus."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One line of the text.

    Attributes:
        name: name of the metric with its suffix; dots of a name in quotes are underscores.
        labels: values of the labels by name.
        value: may be infinite or NaN.
    """

    name: str
    labels: Mapping[str, str]
    value: float


def samples(text: str, prefix: str = "") -> Iterator[Sample]:
    """Yield the samples whose names begin with `prefix`; histograms come as their lines.

    Raises:
        NotMetrics: a line is none of the format.
    """
    # A label may hold whatever else Python takes for the end of a line.
    for number, line in enumerate(text.split("\n"), start=1):
        stripped = line.strip()
        if stripped and not stripped.startswith("#"):
            try:
                found = _sample(stripped)
            except ValueError:
                raise NotMetrics(f"line {number} is {stripped[:40]!r}") from None
            if found.name.startswith(prefix):
                yield found


def _sample(line: str) -> Sample:
    named = _NAME.match(line)
    name, rest = (named[0], line[named.end() :].lstrip()) if named else ("", line)
    labels: list[tuple[str, str | None]] = []
    if rest.startswith("{"):
        labels, rest = _labels(rest[1:])
    if not name:
        # Prometheus 3 writes a name with dots in quotes, as the first between the braces.
        (name, nothing), *labels = labels
        if nothing is not None:
            raise ValueError
    value, *_ = rest.split()
    return Sample(name=name.replace(".", "_"), labels={key: text or "" for key, text in labels}, value=float(value))


def _labels(text: str) -> tuple[list[tuple[str, str | None]], str]:
    """Return the labels up to the closing brace, without a value where they have none, and what follows it."""
    labels: list[tuple[str, str | None]] = []
    at = 0
    while not text[at:].lstrip().startswith("}"):
        found = _LABEL.match(text, at)
        if found is None:
            raise ValueError
        value = found["value"]
        labels.append((found["name"] or _unescaped(found["quoted"]), None if value is None else _unescaped(value)))
        at = found.end()
    return labels, text[text.index("}", at) + 1 :]


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[1]), text)
