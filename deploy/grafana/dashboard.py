"""The dashboards as Grafana takes them: `python -m deploy.grafana` writes them, and a test compares.

They are those of `cqox.dashboards`, which our own page shows as well.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from cqox.dashboards import Dashboard, Link, Match, MetricQuery, Panel, Row, View
from cqox.dashboards.analyses import ANALYSIS
from cqox.dashboards.answering import metric_queries
from cqox.dashboards.operations import OPERATIONS
from cqox.dashboards.promql import expression
from deploy.grafana.studies import target_of
from deploy.grafana.units import unit_of

__all__ = ["DASHBOARDS", "FOLDER", "dashboard", "expressions", "legend", "rows", "text"]

FOLDER = Path(__file__).parent / "dashboards"
"""Folder of the dashboards."""

DASHBOARDS = (OPERATIONS, ANALYSIS)

type _Json = dict[str, object]

_WIDTH = 24
_HEIGHT = 8
_PROMETHEUS = {"type": "prometheus", "uid": "prometheus"}
_POSTGRES = {"type": "grafana-postgresql-datasource", "uid": "results"}
_CHOSEN = (Match(label="job", how="=~", value="$job"), Match(label="instance", how="=~", value="$instance"))
_WINDOW = "$__rate_interval"
_RUNBOOK: _Json = {
    "name": "runbook",
    "label": "Runbook",
    "type": "constant",
    "query": "docs/runbook.md",
    "hide": 2,
    "current": {"text": "docs/runbook.md", "value": "docs/runbook.md"},
}
"""Address of the runbook: give it the one at which yours is published."""


def rows() -> tuple[Row, ...]:
    """Return the rows of the dashboard of operations."""
    return OPERATIONS.rows


def expressions(one: Dashboard = OPERATIONS) -> Iterator[tuple[Panel, str]]:
    """Yield the queries to Prometheus with their panels."""
    for panel in one.panels:
        yield from ((panel, expression(query, window=_WINDOW, where=_CHOSEN)) for query in metric_queries(panel))


def text(one: Dashboard) -> str:
    """Return the file of a dashboard."""
    return json.dumps(dashboard(one), indent=1, ensure_ascii=False) + "\n"


def dashboard(one: Dashboard = OPERATIONS) -> _Json:
    """Return a dashboard as Grafana takes it."""
    panels: list[_Json] = []
    top = 0
    for row in one.rows:
        panels.append(_place({"type": "row", "title": row.title, "collapsed": False, "panels": []}, 0, top, _WIDTH, 1))
        top += 1
        left = 0
        for panel in row.panels:
            if left + panel.columns > _WIDTH:
                left, top = 0, top + _height(row)
            panels.append(_place(_panel(panel), left, top, panel.columns, _height(row)))
            left += panel.columns
        top += _height(row)
    for number, placed in enumerate(panels, 1):
        placed["id"] = number
    of_metrics = any(True for _ in expressions(one))
    return {
        "uid": f"cqox-{one.id}",
        "title": f"CQOx: {one.title}",
        "description": "Made from cqox.dashboards; the page /dashboard shows the same.",
        "tags": ["cqox"],
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "timezone": "browser",
        "time": {"from": "now-1h" if of_metrics else "now-30d", "to": "now"},
        "annotations": {"list": [_circuits()] if of_metrics else []},
        "templating": {
            "list": [_variable("job"), _variable("instance", 'job=~"$job"'), _RUNBOOK] if of_metrics else []
        },
        "links": [],
        "panels": panels,
    }


def legend(query: MetricQuery) -> str:
    """Return the name of a line with labels in double braces."""
    words = [] if query.legend.word is None else [str(query.legend.word)]
    return " ".join([*words, *(f"{{{{{label}}}}}" for label in query.legend.labels)])


def _height(row: Row) -> int:
    return 5 if all(panel.kind == "stat" for panel in row.panels) else _HEIGHT


def _place(panel: _Json, left: int, top: int, width: int, height: int) -> _Json:
    return {**panel, "gridPos": {"x": left, "y": top, "w": width, "h": height}}


def _panel(panel: Panel) -> _Json:
    steps = _steps(panel)
    defaults: _Json = {"unit": unit_of(panel.unit), "thresholds": {"mode": "absolute", "steps": steps}}
    options: _Json = {}
    match panel.kind:
        case "timeseries":
            defaults["custom"] = {
                "drawStyle": "line",
                "fillOpacity": 20 if panel.stacked else 0,
                "showPoints": "auto",
                "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"},
                "thresholdsStyle": {"mode": "dashed" if len(steps) > 1 else "off"},
            }
            defaults["min"] = 0
            # Names of routes and processes are long: a table has room for them.
            options = {
                "legend": {"displayMode": "table", "placement": "bottom", "showLegend": True, "calcs": ["lastNotNull"]},
                "tooltip": {"mode": "multi", "sort": "desc"},
            }
        case "stat":
            last = {"calcs": ["lastNotNull"], "fields": "", "values": False}
            options = {"colorMode": "value", "graphMode": "area", "reduceOptions": last}
        case "state":
            defaults["color"] = {"mode": "thresholds"}
            options = {"showValue": "auto", "mergeValues": True, "rowHeight": 0.9}
        case "bars":
            last = {"calcs": ["lastNotNull"], "fields": "", "values": True}
            options = {"displayMode": "basic", "orientation": "horizontal", "reduceOptions": last}
        case "table":
            options = {"showHeader": True}
    kinds = {"state": "state-timeline", "bars": "bargauge"}
    return {
        "type": kinds.get(panel.kind, panel.kind),
        "title": panel.title,
        "description": panel.help,
        "datasource": _POSTGRES if isinstance(panel.queries[0], View) else _PROMETHEUS,
        "links": [_link(link) for link in panel.links if link.kind == "runbook"],
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": options,
        "targets": [{"refId": chr(ord("A") + number), **target} for number, target in enumerate(_targets(panel))],
    }


def _steps(panel: Panel) -> list[_Json]:
    warn, alarm = panel.warn, panel.alarm
    if warn is not None and alarm is not None and alarm < warn:
        return [
            {"color": "red", "value": None},
            {"color": "orange", "value": alarm},
            {"color": "green", "value": warn},
        ]
    steps: list[_Json] = [{"color": "green", "value": None}]
    steps += [{"color": "orange", "value": warn}] if warn is not None else []
    return steps + ([{"color": "red", "value": alarm}] if alarm is not None else [])


def _targets(panel: Panel) -> Iterator[_Json]:
    queries = metric_queries(panel)
    for query in queries:
        # Exemplars lead from a point to a trace that is one of its values.
        exemplar = panel.kind == "timeseries" and panel.unit == "seconds"
        text = expression(query, window=_WINDOW, where=_CHOSEN)
        yield {"datasource": _PROMETHEUS, "expr": text, "legendFormat": legend(query), "exemplar": exemplar}
    if not queries:
        target = target_of(panel.id)
        yield {
            "datasource": _POSTGRES,
            "rawQuery": True,
            "editorMode": "code",
            "format": target.format,
            "rawSql": target.sql,
        }


def _link(link: Link) -> _Json:
    alert = link.target.partition("#")[2]
    return {"title": f"{link.title}: {alert}", "url": f"${{runbook}}#{alert.lower()}", "targetBlank": True}


def _circuits() -> _Json:
    chosen = 'job=~"$job", instance=~"$instance", state="open"'
    return {
        "name": "Circuits",
        "enable": True,
        "hide": False,
        "iconColor": "red",
        "datasource": _PROMETHEUS,
        "expr": f"changes(cqox_circuit_state{{{chosen}}}[$__rate_interval]) > 0",
        "titleFormat": "{{policy}} opened or closed",
    }


def _variable(name: str, where: str = 'job=~"cqox-.*"') -> _Json:
    return {
        "name": name,
        "label": name.capitalize(),
        "type": "query",
        "datasource": _PROMETHEUS,
        "query": {"query": f"label_values(up{{{where}}}, {name})", "refId": name},
        "refresh": 2,
        "includeAll": True,
        "multi": True,
        "current": {"text": ["All"], "value": ["$__all"]},
        "options": [],
        "sort": 1,
        "hide": 0,
        "regex": "",
    }
