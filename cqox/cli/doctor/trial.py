"""Checks by doing: a worker process starts, a tiny analysis has the known answer, a figure has Japanese letters."""

from collections.abc import Callable, Iterator, Mapping
from time import monotonic

from pydantic import JsonValue

from cqox.analysis.local import LocalAnalyses
from cqox.api.calls import analyze_request
from cqox.api.portal import OnStep
from cqox.api.report import Report
from cqox.api.session import Session
from cqox.cli.doctor.check import Found, Status
from cqox.cli.environment import bounds_of
from cqox.contract.messages import Message

__all__ = ["KNOWN", "check_analysis", "data"]

_SLOW_START_SECONDS = 15.0
_SLOW_ANALYSIS_SECONDS = 15.0
_TOLERANCE = 1e-9
_ESTIMATOR = "ols_adjustment"
_LEVELS = 25
_FACES = "@font-face"
_LETTERS = range(0x3040, 0x3100)
"""Hiragana and Katakana."""

KNOWN = 2.0
"""The coefficient of the treatment in `data`."""


def data() -> dict[str, list[float]]:
    """Return 100 rows in which least squares of `y` on `w` and `x` has the coefficients 2 and 0.5 exactly.

    The residuals are 1 and -1 for each pair of values, and so orthogonal to the regressors.
    """
    rows = [(arm, level, residual) for arm in (0, 1) for level in range(_LEVELS) for residual in (1, -1)]
    return {
        "y": [KNOWN * arm + 0.5 * level + residual for arm, level, residual in rows],
        "w": [float(arm) for arm, _, _ in rows],
        "x": [float(level) for _, level, _ in rows],
    }


def check_analysis(environ: Mapping[str, str], now: Callable[[], float] = monotonic) -> Iterator[Found]:
    """Start a worker, analyse `data` with it, and draw a figure in Japanese; each with its time."""
    began = now()
    with Session(bounds_of(environ)) as session:
        session.start(_ping).wait()
        started = now() - began
        text = Message("doctor.worker-started", seconds=started)
        yield _timed(started, _SLOW_START_SECONDS, text, Message("doctor.slow-start"))
        began = now()
        roles: dict[str, JsonValue] = {"y": "y", "treatment": "w", "covariates": ["x"]}
        report = analyze_request(data(), roles, {"assignment": "randomized"}, progress=False, session=session)
        yield _answer(report, now() - began)
        yield _figure(report)


async def _ping(analyses: LocalAnalyses, on_step: OnStep) -> None:
    await analyses.run("definitions", {})


def _timed(seconds: float, most: float, text: Message, remedy: Message) -> Found:
    status: Status = "ok" if seconds <= most else "warn"
    return Found(status=status, text=text, remedy=None if status == "ok" else remedy, data={"seconds": seconds})


def _answer(report: Report, seconds: float) -> Found:
    estimate = report[_ESTIMATOR].estimate
    if estimate is None or not abs(estimate - KNOWN) < _TOLERANCE:
        text = Message("doctor.wrong-number", estimator=_ESTIMATOR, estimate=estimate, known=KNOWN)
        found = {"estimate": estimate, "known": KNOWN}
        return Found(status="fail", text=text, remedy=Message("doctor.reinstall-numerics"), data=found)
    computed = sum(each.estimate is not None for each in report.estimates)
    text = Message("doctor.analysis", estimates=computed, seconds=seconds)
    return _timed(seconds, _SLOW_ANALYSIS_SECONDS, text, Message("doctor.slow-analysis"))


def _figure(report: Report) -> Found:
    drawn = report.in_language("ja").draw("forest", "svg").decode()
    if _FACES not in drawn or not any(ord(letter) in _LETTERS for letter in drawn):
        return Found(
            status="fail", text=Message("doctor.no-letters"), remedy=Message("doctor.install", what="cqox-assets")
        )
    return Found(status="ok", text=Message("doctor.figure"), data={"figure": "forest", "language": "ja"})
