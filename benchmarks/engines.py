"""Analyses of large tables: the rows in memory, and summed by DuckDB and Spark; draws `docs/images/engines.svg`.

Each run is a process of its own that reads a stored Parquet file with 10 covariates. A report has every estimate that
sums can give; with an engine its other parts are of a sample. The four estimates are difference in means, regression,
Lin's regression and partially linear double machine learning, of all rows and without a report. 100,000,000 rows are
ten hard links to 10,000,000, so that every unit occurs ten times. Of duckreg the estimate alone is measured: its error
would need a square matrix of the rows. Targets: the numbers of all within 1e-8, and at most
1 GiB for a report by DuckDB of 10,000,000 rows.
"""

import argparse
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import altair as alt

from benchmarks._history import Ratio, cpus, record
from benchmarks._large import OWN_ENVIRONMENT, OWN_PYTHON, Run, difference, linked, measured, stored
from benchmarks._large_runs import THREADS
from cqox.estimators import Json
from cqox.estimators.by_moments.catalog import BY_MOMENTS
from cqox.figures import render_svg

_MOST = 100_000_000
_SIZES = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
_IN_ENGINE = 1_000_000
"""Rows from which a report is made by DuckDB too; up to its sample, it would be made in memory."""
_REPORT = [name for name in BY_MOMENTS if not name.startswith(("iv", "did", "dml_pliv", "ope"))]
_FOUR = ["difference_in_means", "ols_adjustment", "lin_interacted", "dml_plr"]
_PEERS = (
    ("dml_plr", (("doubleml", 1), ("econml", 1))),
    ("dml_irm_ate", (("doubleml", 1), ("econml", 1))),
    ("ols_adjustment", (("pyfixest", cpus()), ("duckreg", cpus()))),
)
"""Estimators of ours, each with the peers that it is compared with: their kinds of run and their threads."""
_PICTURE = Path(__file__).parent.parent / "docs" / "images" / "engines.svg"
_SERIES = {
    "memory report": "report, memory",
    "duckdb report": "report, DuckDB",
    "duckdb sums": "four estimates, DuckDB",
}


def main(most: int = _MOST, picture: Path = _PICTURE) -> None:
    """Print the tables and draw the figure.

    Args:
        most: largest number of rows.
        picture: file of the figure.
    """
    points: list[dict[str, str | float]] = []
    print(
        f"Large tables, 10 covariates, {cpus()} CPUs; a thread of BLAS for each; CPU of the process, reading included"
    )
    print(f"{'':42}{'rows':>12}{'threads':>9}{'CPU s':>8}{'wall s':>8}{'peak MiB':>10}   difference from memory")
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        for rows in (size for size in _SIZES if size <= most):
            table = stored(folder, rows)
            points += _grown(table, rows)
            if rows >= _IN_ENGINE:
                _against_others(table, rows)
            if rows * 10 == _MOST <= most:
                points.append(_largest(linked(table, 10)))
            for each in folder.iterdir():
                each.unlink()
    picture.write_bytes(render_svg(_drawn(points)))
    print(f"drawn: docs/images/{picture.name}")


def _grown(table: Path, rows: int) -> list[dict[str, str | float]]:
    """Return the points of one table, and print its rows."""
    memory = measured("memory report", [table], _REPORT)
    found = [_printed("memory report", rows, memory)]
    for kind, names in (("duckdb report", _REPORT), ("duckdb sums", _FOUR)):
        if kind == "duckdb sums" or rows >= _IN_ENGINE:
            run = measured(kind, [table], names)
            found.append(_printed(kind, rows, run, memory))
            if kind == "duckdb report":
                _recorded(f"report, {rows:,} rows", run, memory, "the same rows in memory", THREADS)
    return found


def _largest(links: Sequence[Path]) -> dict[str, str | float]:
    """Return the point of the most rows, and print it next to Spark; no peer that reads all rows would fit."""
    sums = measured("duckdb sums", links, _FOUR)
    found = _printed("duckdb sums", _MOST, sums)
    if _has_spark():
        spark = measured("spark sums", links, _FOUR)
        _line(f"four estimates, {spark['by']}", _MOST, THREADS, spark, sums)
        _recorded(f"four estimates, DuckDB, {_MOST:,} rows", sums, spark, spark["by"], THREADS)
    return found


def _has_spark() -> bool:
    if find_spec("pyspark") is not None:
        return True
    print("four estimates, Spark: pyspark is not installed, which `make bench` does")
    return False


def _against_others(table: Path, rows: int) -> None:
    """Print Spark, where it is installed, and the peers, each next to ours."""
    memory = measured("memory report", [table], _FOUR)
    _line("the same four, report, memory", rows, THREADS, memory)
    if _has_spark():
        spark = measured("spark sums", [table], _FOUR)
        _line(f"four estimates, {spark['by']}", rows, THREADS, spark, memory)
    for name, peers in _PEERS:
        mine = {kind: measured(kind, [table], [name]) for kind in ("memory report", "duckdb report")}
        for kind, run in mine.items():
            _line(f"{name}, {_SERIES[kind]}", rows, THREADS, run)
        for peer, threads in peers:
            if peer in OWN_ENVIRONMENT and not OWN_PYTHON.exists():
                print(f"{name}, {peer}: its environment is not installed, which `make bench` does")
                continue
            theirs = measured(peer, [table], [name])
            # Folds of the peers are their own, so that cross-fitted numbers differ by chance.
            _line(f"{name}, {theirs['by']}", rows, threads, theirs)
            for kind, run in mine.items():
                _recorded(f"{name}, {_SERIES[kind]}, {rows:,} rows", run, theirs, theirs["by"], threads)


def _recorded(case: str, ours: Run, theirs: Run, peer: str, threads: int) -> None:
    for unit, mine, other in (("CPU s", ours["cpu"], theirs["cpu"]), ("MiB", ours["mib"], theirs["mib"])):
        record(
            Ratio(
                case=f"{case}, {unit}", ratio=mine / other, better="lower", unit=unit, ours=mine, theirs=other,
                peer=peer, peer_version=None, threads=THREADS, peer_threads=threads,
            )
        )  # fmt: skip


def _printed(kind: str, rows: int, run: Run, memory: Run | None = None) -> dict[str, str | float]:
    """Print a run and return its point in the figure."""
    _line(_SERIES[kind], rows, THREADS, run, memory)
    return {"series": _SERIES[kind], "rows": rows, "cpu": run["cpu"], "mib": run["mib"]}


def _line(what: str, rows: int, threads: int, run: Run, memory: Run | None = None) -> None:
    apart = "" if memory is None else f"{difference(run, memory):.0e}"
    figures = f"{run['cpu']:>8.2f}{run['wall']:>8.2f}{run['mib']:>10,.0f}"
    print(f"{what:42}{rows:>12,}{threads:>9}{figures}   {apart}".rstrip(), flush=True)


def _drawn(points: Sequence[dict[str, str | float]]) -> dict[str, Json]:
    """Return the figure: CPU time and memory by rows."""
    names = list(_SERIES.values())
    color = alt.Color("series:N", title=None, scale=alt.Scale(domain=names, range=["#222222", "#0b5fa5", "#b3541e"]))
    dash = alt.StrokeDash("series:N", title=None, scale=alt.Scale(domain=names, range=[[1, 0], [6, 3], [2, 2]]))
    ticks = sorted({float(point["rows"]) for point in points})
    panels = []
    for column, title in (("cpu", "CPU seconds"), ("mib", "Peak memory, MiB")):
        chart = alt.Chart(alt.InlineData(values=list(points))).mark_line(point=True)
        panels.append(
            chart.encode(
                x=alt.X("rows:Q", scale=alt.Scale(type="log"),
                        axis=alt.Axis(title="Rows", grid=False, values=ticks, format="~s")),
                y=alt.Y(f"{column}:Q", scale=alt.Scale(type="log"), axis=alt.Axis(title=title, tickCount=4)),
                color=color, strokeDash=dash,
            ).properties(width=250, height=180)
        )  # fmt: skip
    chart = alt.hconcat(*panels, background="white").properties(title="Large tables, 10 covariates")
    spec: dict[str, Json] = chart.to_dict()
    said = "; ".join(
        f"{each['series']}, {each['rows']:,} rows: {each['cpu']:.2f} s, {each['mib']:,.0f} MiB" for each in points
    )
    spec["description"] = f"CPU time and peak memory by rows. {said}."
    return spec


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engines", description="Try smaller tables.")
    parser.add_argument("--rows", type=int, default=_MOST, help="largest number of rows")
    parser.add_argument("--picture", type=Path, default=_PICTURE, help="file of the figure")
    asked = parser.parse_args()
    main(asked.rows, asked.picture)
