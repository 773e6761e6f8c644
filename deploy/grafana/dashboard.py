"""The dashboard as Grafana takes it: `python -m deploy.grafana` writes it, and a test compares.

Names of series come from `cqox.telemetry.metric_definitions`, so that a panel cannot ask for one that nothing records.
"""

import json
from pathlib import Path

from cqox.telemetry import metric_definitions
from deploy.grafana import service, traffic, work
from deploy.grafana.panel import Panel, Row, both

__all__ = ["WRITTEN", "dashboard", "rows", "text"]

WRITTEN = Path(__file__).parent / "dashboards" / "cqox.json"
"""Path of the dashboard."""

type _Json = dict[str, object]

_WIDTH = 24
_HEIGHT = 8
_SOURCE = {"type": "prometheus", "uid": "prometheus"}


def rows() -> tuple[Row, ...]:
    """Every panel, from what a person looks at first."""
    return (
        traffic.now(),
        traffic.requests(),
        traffic.policies(),
        work.analyses(),
        work.stores(),
        work.estimators(),
        service.objectives(),
        service.processes(),
    )


def text() -> str:
    """The file."""
    return json.dumps(dashboard(), indent=1, ensure_ascii=False) + "\n"


def dashboard() -> _Json:
    """The dashboard as Grafana takes it."""
    panels: list[_Json] = []
    top = 0
    for row in rows():
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
    return {
        "uid": "cqox",
        "title": "CQOx",
        "description": "What gateway and engine do. Alarms are explained in docs/operators.md.",
        "tags": ["cqox"],
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "10s",
        "timezone": "browser",
        "time": {"from": "now-30m", "to": "now"},
        "annotations": {"list": [_changes()]},
        "templating": {"list": [_variable("job"), _variable("instance", 'job=~"$job"')]},
        "links": [],
        "panels": panels,
    }


def _height(row: Row) -> int:
    return 5 if all(panel.kind == "stat" for panel in row.panels) else _HEIGHT


def _place(panel: _Json, left: int, top: int, width: int, height: int) -> _Json:
    return {**panel, "gridPos": {"x": left, "y": top, "w": width, "h": height}}


def _panel(panel: Panel) -> _Json:
    steps: list[_Json] = [{"color": "green", "value": None}]
    steps += [{"color": "orange", "value": panel.warn}] if panel.warn is not None else []
    steps += [{"color": "red", "value": panel.alarm}] if panel.alarm is not None else []
    defaults: _Json = {"unit": panel.unit, "thresholds": {"mode": "absolute", "steps": steps}}
    options: _Json = {}
    if panel.kind == "timeseries":
        defaults["custom"] = {
            "drawStyle": "line",
            "fillOpacity": 20 if panel.stacked else 0,
            "showPoints": "never",
            "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"},
            "thresholdsStyle": {"mode": "line" if len(steps) > 1 else "off"},
        }
        defaults["min"] = 0
        options = {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
            "tooltip": {"mode": "multi", "sort": "desc"},
        }
    elif panel.kind == "stat":
        options = {
            "colorMode": "value",
            "graphMode": "area",
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        }
    else:
        defaults["color"] = {"mode": "thresholds"}
        words = {"0": "closed", "1": "half open", "2": "open"}
        defaults["mappings"] = [{"type": "value", "options": {key: {"text": text} for key, text in words.items()}}]
        options = {"showValue": "auto", "mergeValues": True, "rowHeight": 0.9}
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.help,
        "datasource": _SOURCE,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": options,
        "targets": [
            {"refId": chr(ord("A") + number), "datasource": _SOURCE, "expr": query.expr, "legendFormat": query.legend}
            for number, query in enumerate(panel.queries)
        ],
    }


def _changes() -> _Json:
    changed = (
        f"changes({metric_definitions.CIRCUIT_STATE.prometheus_name}{{{both('state="open"')}}}[$__rate_interval]) > 0"
    )
    return {
        "name": "Circuits",
        "enable": True,
        "hide": False,
        "iconColor": "red",
        "datasource": _SOURCE,
        "expr": changed,
        "titleFormat": "{{policy}} opened or closed",
    }


def _variable(name: str, where: str = 'job=~"cqox-.*"') -> _Json:
    return {
        "name": name,
        "label": name.capitalize(),
        "type": "query",
        "datasource": _SOURCE,
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
