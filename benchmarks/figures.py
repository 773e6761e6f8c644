"""CPU time of the figures of a report: six as SVG, the first of a process, and a forest against matplotlib.

A report on 10,000 rows and 10 covariates. Targets: at most 0.6 s of CPU for six SVGs, and 0.5 s for the first one of a
new process, which loads the renderer; its memory is printed.
"""

import importlib.metadata
import io
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping

import numpy as np

from benchmarks._history import Ratio, record
from cqox.diagnostics import choose_primary, diagnose
from cqox.estimators import Data, Estimate, Json, Plan, Settings, catalog
from cqox.estimators import run as run_estimator
from cqox.figures import draw, render_png, render_svg

_ROWS, _COVARIATES = 10_000, 10
_SIX = ("forest", "heterogeneity", "love_plot", "overlap", "sensitivity_contour", "weights")
_REPEATS = 7
_FIRST_RUNS = 3
_SIX_SECONDS, _FIRST_SECONDS = 0.6, 0.5
_FIRST = """
import json, sys, time
from cqox.figures import render_svg
specification = json.load(sys.stdin)
wall, cpu = time.perf_counter(), time.process_time()
render_svg(specification)
print(time.perf_counter() - wall, time.process_time() - cpu)
"""


def main() -> None:
    """Print the CPU time of figures, and the ratio to a forest of matplotlib."""
    specifications, estimates = _report()
    print(f"\nFigures of a report of {_ROWS:,} rows and {_COVARIATES} covariates, CPU time, medians of {_REPEATS}")
    six = _cpu(lambda: [render_svg(specifications[name]) for name in _SIX])
    print(f"  six SVGs, warm                        {six:6.3f} s  target at most {_SIX_SECONDS} s")
    for name in _SIX:
        print(f"    {name:<36}{_cpu(lambda name=name: render_svg(specifications[name])) * 1e3:6.1f} ms")
    walls, seconds = zip(*(_first(specifications["forest"]) for _ in range(_FIRST_RUNS)), strict=True)
    first = statistics.median(seconds)
    print(
        f"  the first SVG of a new process        {first:6.3f} s  target at most {_FIRST_SECONDS} s; "
        f"{statistics.median(walls):.3f} s by the clock, median of {_FIRST_RUNS}"
    )
    print(f"  a forest of {len(estimates)} estimates; one thread draws on both sides")
    for form, render in (("svg", render_svg), ("png", render_png)):
        ours, theirs = _cpu(lambda render=render: render(specifications["forest"])), _matplotlib(estimates, form)
        name = form.upper()
        both = f"ours {ours * 1e3:6.1f} ms, matplotlib {theirs * 1e3:6.1f} ms"
        print(f"    {name}: {both}, {theirs / ours:.2f} times as long")
        record(
            Ratio(
                case=f"forest as {name}",
                ratio=theirs / ours,
                better="higher",
                unit="CPU s",
                ours=ours,
                theirs=theirs,
                peer="matplotlib",
                peer_version=importlib.metadata.version("matplotlib"),
                threads=1,
                peer_threads=1,
            )
        )
    print(f"  largest memory of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB")


def _report() -> tuple[Mapping[str, Mapping[str, Json]], list[Estimate]]:
    """Return the specifications of the figures by name, and the estimates of the forest."""
    rng = np.random.default_rng(7)
    x = rng.normal(size=(_ROWS, _COVARIATES))
    treatment = (rng.random(_ROWS) < 1 / (1 + np.exp(-x[:, 0] * 0.5))).astype(float)
    names = tuple(f"x{number}" for number in range(_COVARIATES))
    data = Data(
        n=_ROWS,
        y=2.0 * treatment + x @ rng.normal(size=_COVARIATES) + rng.normal(size=_ROWS),
        treatment=treatment,
        treatment_kind="binary",
        covariates=x,
        propensity_covariates=x,
        row_key=np.arange(_ROWS, dtype=np.uint64),
        names={"y": ("y",), "treatment": ("w",), "covariates": names, "propensity_covariates": names},
    )
    plan = Plan(data, Settings())
    primary = choose_primary(plan, [entry for entry in catalog() if entry.applies(plan) is None], None).name
    estimates = tuple(run_estimator(entry, plan) for entry in catalog())
    figures = draw(plan, estimates, diagnose(plan, estimates), primary=primary)
    shown = [each for each in estimates if each.status == "ok" and each.ci_lower is not None]
    return {name: figures[name].spec for name in _SIX}, shown


def _cpu(work: Callable[[], object]) -> float:
    """Return the median CPU time of calls after the first, in seconds; all threads of the process count."""
    work()
    found = []
    for _ in range(_REPEATS):
        began = time.process_time()
        work()
        found.append(time.process_time() - began)
    return statistics.median(found)


def _first(specification: Mapping[str, Json]) -> tuple[float, float]:
    """Return seconds by the clock and of CPU of the first SVG of a process that has loaded the rest."""
    done = subprocess.run(
        [sys.executable, "-c", _FIRST], input=json.dumps(specification), capture_output=True, text=True, check=True
    )
    wall, cpu = map(float, done.stdout.split())
    return wall, cpu


def _matplotlib(estimates: list[Estimate], form: str) -> float:
    """Return the median CPU time of a plain forest plot of the same estimates as `svg` or `png`, in seconds."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.use("Agg")
    points = np.array([each.estimate for each in estimates], dtype=float)
    lower, upper = (
        np.array([getattr(each, end) for each in estimates], dtype=float) for end in ("ci_lower", "ci_upper")
    )
    places = np.arange(len(estimates))[::-1]

    def work() -> None:
        figure = Figure(figsize=(7.86, 0.2 * len(estimates) + 1.5), dpi=144)
        axes = figure.subplots()
        axes.errorbar(points, places, xerr=np.stack((points - lower, upper - points)), fmt="o")
        axes.axvline(0.0, linestyle="--")
        axes.set_yticks(places, [each.name for each in estimates])
        for place, point, low, high in zip(places, points, lower, upper, strict=True):
            axes.text(1.02, place, f"{point:.2f} [{low:.2f}, {high:.2f}]", transform=axes.get_yaxis_transform())
        axes.set_title("Effect of w on y")
        axes.set_xlabel("Effect in units of y")
        figure.tight_layout()
        figure.savefig(io.BytesIO(), format=form)

    return _cpu(work)
