"""The page `docs/speed-history.md`: each ratio of the history by release."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks._history import MEASURED, ROOT, Line, by_release, lines

PAGE = ROOT / "docs" / "speed-history.md"
_HEAD = """# Speed by release

How the ratios of `make bench` moved over releases. Made from `benchmarks/history.jsonl` by `python -m benchmarks
--page`, which appends a line for each ratio that it measures. `python -m benchmarks --history` makes this page again
and measures nothing. The last figures, and what is compared, are on the page of [speed](speed.md).

A column is a release, with its last run of each case. A ratio compares two programs in one run. Between two columns the
machine, its other load and the version of the peer may differ too, so a small change is no finding; versions of peers
are given where they were recorded. "Change" is from the release before to the last one, in percent of the ratio.

## Runs

| release | date | benchmarks | commit | from | CPUs | threads, ours | threads, peer |
|---|---|---|---|---|---|---|---|
"""
_TITLES = {
    ("estimators", "higher"): "Estimators: times as fast as the peer",
    ("engines", "lower"): "Large tables: CPU time and memory in multiples of what each is compared with",
    ("gateway", "higher"): "Gateway: requests per second, times those of the peer",
    ("stores", "lower"): "Stores: time and CPU of a call in multiples of the driver's",
    ("telemetry", "higher"): "Telemetry: requests per second, times those without telemetry",
    ("telemetry", "lower"): "Telemetry: CPU of a request in multiples of that without telemetry",
    ("tls", "higher"): "TLS: requests per second, times those without it",
    ("tls", "lower"): "TLS: CPU of a request in multiples of that without it",
    ("resilience", "lower"): "Resilience: time of a call in multiples of the bare call's",
}
_DIRECTION = {"higher": "Higher is better.", "lower": "Lower is better."}


def write() -> None:
    """Make the page from the history."""
    PAGE.write_text(page(lines()), encoding="utf-8")


def page(history: Sequence[Line]) -> str:
    """Return the page of a history."""
    releases = by_release(history)
    groups: dict[tuple[str, str], dict[str, None]] = {}
    for line in history:
        groups.setdefault((line.benchmark, line.better), {})[line.case] = None
    text = _HEAD + "".join(_runs([line for release in releases.values() for line in release.values()]))
    for (benchmark, better), cases in groups.items():
        of_cases = {case: [release.get((benchmark, case)) for release in releases.values()] for case in cases}
        title = _TITLES.get((benchmark, better), benchmark.replace("_", " ").capitalize())
        text += f"\n## {title}\n\n{_DIRECTION[better]}\n\n" + _table(list(releases), of_cases)
    return text


def _runs(shown: Iterable[Line]) -> Iterable[str]:
    runs: dict[tuple[object, ...], list[Line]] = {}
    for line in shown:
        runs.setdefault((line.version, line.date, line.commit, line.source, line.cpus), []).append(line)
    for (version, date, commit, source, cpus), those in runs.items():
        cells = [
            version,
            date,
            _listed(line.benchmark for line in those),
            f"`{commit}`" if commit else "not known",
            "a run" if source == MEASURED else f"[the page]({Path(str(source)).relative_to('docs')}) of that release",
            cpus or "not known",
            _listed(line.threads for line in those),
            _listed(line.peer_threads for line in those),
        ]
        yield _row(cells)


def _table(releases: Sequence[str], cases: dict[str, list[Line | None]]) -> str:
    changes = len(releases) > 1
    head = ["case", "compared with", *releases, *(["change"] if changes else [])]
    text = _row(head) + _row(["---"] * len(head)).replace(" ", "")
    for case, found in cases.items():
        known = [line for line in found if line is not None]
        versions = dict.fromkeys(line.peer_version for line in known if line.peer_version)
        peers = f"{known[-1].peer} {', '.join(versions)}".rstrip()
        ratios = [f"{_short(line.ratio)}x" if line is not None else "" for line in found]
        text += _row([case, peers, *ratios, *([_change(found)] if changes else [])])
    return text


def _change(found: Sequence[Line | None]) -> str:
    before, after = found[-2:]
    return f"{after.ratio / before.ratio - 1:+.0%}" if before is not None and after is not None else ""


def _short(ratio: float) -> str:
    return f"{ratio:.1f}" if ratio >= 3 else f"{ratio:.2f}".removesuffix("0")


def _listed(values: Iterable[object]) -> str:
    return ", ".join(str(value) for value in dict.fromkeys(values) if value is not None) or "not known"


def _row(cells: Iterable[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |\n"
