"""The table of series: the documentation shows it, the code records nothing else, and Prometheus sees all of it."""

import ast
import re
import sys
from pathlib import Path

import httpx

from cqox.telemetry import series
from cqox.telemetry.series import SERIES, Series
from tests.telemetry.conftest import ANALYSIS, Services

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "telemetry.md"
_MARKS = ("<!-- series -->", "<!-- /series -->")
_SUFFIXES = ("_bucket", "_sum", "_count")


def table() -> str:
    """The table as the page should show it."""
    lines = ["| series | kind | unit | labels | where | what it says |", "|---|---|---|---|---|---|"]
    for each in SERIES:
        labels = ", ".join(f"`{label}`" for label in each.labels)
        lines.append(f"| `{each.name}` | {each.kind} | `{each.unit}` | {labels} | {each.service} | {each.meaning} |")
    return "\n".join(lines)


def test_the_page_shows_every_series_as_the_code_has_it() -> None:
    shown = PAGE.read_text(encoding="utf-8").split(_MARKS[0])[1].split(_MARKS[1])[0].strip()
    assert shown == table(), "run: python -m tests.telemetry.test_series"


def test_every_series_is_recorded_somewhere() -> None:
    names = {name for name, value in vars(series).items() if isinstance(value, Series)}
    used: set[str] = set()
    for top in ("cqox", "services"):
        for path in (ROOT / top).rglob("*.py"):
            if path.name == "series.py" and path.parent.name == "telemetry":
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "series":
                    used |= {node.attr} if node.attr.isupper() else set()
    assert used == names


def test_names_are_unique_and_histograms_have_bounds_that_rise() -> None:
    assert len({each.name for each in SERIES}) == len(SERIES)
    for each in SERIES:
        assert (each.kind == "histogram") == bool(each.buckets), each.name
        assert list(each.buckets) == sorted(set(each.buckets)), each.name
        assert not [label for label in each.labels if label.endswith(("id", "path"))], each.name


def scraped(client: httpx.Client) -> dict[str, list[str]]:
    """Samples by the name of their series."""
    samples: dict[str, list[str]] = {}
    for line in client.get("/metrics").text.splitlines():
        if line and not line.startswith("#"):
            name = re.match(r"[a-zA-Z_:][a-zA-Z0-9_:]*", line)[0]
            base = next((name.removesuffix(end) for end in _SUFFIXES if name.endswith(end)), name)
            samples.setdefault(base, []).append(line)
    return samples


# What a service that is well has nothing to say of.
_ONLY_IN_TROUBLE = {
    series.CIRCUIT_TRANSITIONS.name,
    series.RETRIES.name,
    series.GIVEN_UP.name,
    series.TIMEOUTS.name,
    series.REJECTIONS.name,
    series.LOST.name,
}


def test_every_series_has_data_where_the_table_says_so_after_a_workload(services: Services) -> None:
    services.start_both()
    with services.client() as gateway, services.client("engine") as engine:
        for _ in range(2):
            assert gateway.post("/api/analyze/comprehensive", json=ANALYSIS).status_code == 200
        data = "id,w,y\n" + "\n".join(f"{row},{row % 2},{row % 7}" for row in range(60))
        assert gateway.post("/api/datasets?name=a.csv", content=data).status_code == 201
        # The event loop's lag is measured twice a second.
        seen = {"gateway": scraped(gateway), "engine": scraped(engine)}
        for _ in range(40):
            if all(series.LOOP_LAG.prometheus_name in samples for samples in seen.values()):
                break
            seen = {"gateway": scraped(gateway), "engine": scraped(engine)}
    for each in SERIES:
        if each.name in _ONLY_IN_TROUBLE:
            continue
        for name in ("gateway", "engine") if each.service == "both" else (each.service,):
            assert each.prometheus_name in seen[name], f"{name} has no {each.prometheus_name}"
    hits = [line for line in seen["engine"]["cqox_cache_requests_total"] if 'outcome="hit"' in line]
    assert float(hits[0].rsplit(" ", 1)[1]) >= 1


def test_an_engine_that_is_away_shows_in_retries_refusals_and_circuits(services: Services) -> None:
    services.ports["engine"] = 1
    services.start("gateway")
    services.wait_ready("gateway")
    with services.client() as client:
        for _ in range(6):
            assert client.get("/api/datasets").status_code == 503
        late = client.post("/api/analyze/comprehensive", json=ANALYSIS, headers={"X-Request-Timeout-Ms": "0"})
        assert late.status_code == 504
        samples = scraped(client)
    for each in (series.RETRIES, series.GIVEN_UP, series.REJECTIONS, series.CIRCUIT_TRANSITIONS, series.TIMEOUTS):
        assert each.prometheus_name in samples, each.name
    refused = [line for line in samples["cqox_rejections_total"] if 'policy="_call_engine_read"' in line]
    assert 'reason="CircuitBreaker"' in refused[0]


if __name__ == "__main__":
    before, rest = PAGE.read_text(encoding="utf-8").split(_MARKS[0])
    after = rest.split(_MARKS[1])[1]
    PAGE.write_text(f"{before}{_MARKS[0]}\n{table()}\n{_MARKS[1]}{after}", encoding="utf-8")
    sys.stdout.write(f"{len(SERIES)} series\n")
