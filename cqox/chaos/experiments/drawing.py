"""Goodput over time as SVG: a bar for each second, what failed on top, and the faults shaded behind them."""

from collections.abc import Sequence
from html import escape

from cqox.chaos.experiments.records import Second

__all__ = ["goodput_figure"]

_WIDTH = 640
_HEIGHT = 132
_LEFT = 34
_RIGHT = 14
_TOP = 18
_STRIP = 4
"""Begin of the shade of a fault, above the bars, so that it can be seen where these are full."""

_BOTTOM = 22
_TICKS = 8
_GAP = 0.15
"""Space between bars, as a share of a second."""


def goodput_figure(
    seconds: Sequence[Second], faults: Sequence[tuple[float, float]], *, title: str, unit: str = "s"
) -> str:
    """Return an SVG element without colours of its own: classes name what a style sheet colours.

    Args:
        seconds: the load in each second.
        faults: begin and end of each fault, in seconds.
        title: read out in place of the figure.
        unit: that of the axis of time.
    """
    count = max(len(seconds), 1)
    most = max((each.sent for each in seconds), default=0) or 1
    wide, high = (_WIDTH - _LEFT - _RIGHT) / count, _HEIGHT - _TOP - _BOTTOM
    floor = _TOP + high

    def x(second: float) -> float:
        return _LEFT + second * wide

    def y(number: float) -> float:
        return floor - number / most * high

    parts = [
        f'<svg class="goodput" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title, quote=True)}">'
    ]
    for begin, end in faults:
        width = max((end - begin) * wide, 1.5)
        parts.append(
            f'<rect class="fault" x="{x(begin):.1f}" y="{_STRIP}" width="{width:.1f}" height="{floor - _STRIP}"/>'
        )
    for number, second in enumerate(seconds):
        left, width = x(number + _GAP / 2), wide * (1 - _GAP)
        failed = second.sent - second.good
        for name, base, value in (("good", 0, second.good), ("failed", second.good, failed)):
            if value:
                top = y(base + value)
                parts.append(
                    f'<rect class="{name}" x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" '
                    f'height="{y(base) - top:.1f}"><title>{escape(_said(number, second))}</title></rect>'
                )
    parts.append(f'<line class="axis" x1="{_LEFT}" y1="{floor}" x2="{_WIDTH - _RIGHT}" y2="{floor}"/>')
    for value in (0, most):
        parts.append(f'<text class="label" x="{_LEFT - 5}" y="{y(value) + 4:.1f}" text-anchor="end">{value}</text>')
    step = _step(count)
    for second_number in range(0, count + 1, step):
        label = f"{second_number} {unit}" if second_number == 0 else str(second_number)
        parts.append(
            f'<text class="label" x="{x(second_number):.1f}" y="{_HEIGHT - 6}" text-anchor="middle">{label}</text>'
        )
    parts.append("</svg>")
    return "".join(parts)


def _said(number: int, second: Second) -> str:
    failed = ", ".join(f"{count} × {status}" for status, count in second.failures.items())
    return f"{number} s: {second.good} / {second.sent}" + (f" ({failed})" if failed else "")


def _step(count: int) -> int:
    """The distance of labels in seconds."""
    return next(step for step in (1, 2, 5, 10, 20, 60, 120, 300, 600, 3600) if count / step <= _TICKS or step == 3600)
