"""The rule files as documents, at their own times or scaled."""

from typing import Any

import yaml

from deploy.prometheus.alert import Alert, duration, scaled
from deploy.prometheus.alerts import ALERTS
from deploy.prometheus.records import RECORDS

__all__ = ["rules", "text"]

_HEAD = (
    "# Written by `python -m deploy.prometheus` from alerts.py and records.py; a test compares.\n"
    "# `promtool test rules rules_test.yml` holds them to their tests.\n"
)
_RUNBOOK = '{{ or $externalLabels.cqox_runbook "docs/runbook.md" }}'


def rules(factor: float = 1.0) -> dict[str, Any]:
    """Return the content of `rules.yml` with all times divided by a factor."""
    records = [{"record": each.name, "expr": scaled(each.expression, factor)} for each in RECORDS]
    # One group: its rules are evaluated in their order, so that alerts see what has just been recorded.
    return {"groups": [{"name": "cqox", "rules": records + [_rule(each, factor) for each in ALERTS]}]}


def text() -> str:
    """Return `rules.yml`."""
    return _HEAD + yaml.dump(rules(), Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)


def _rule(alert: Alert, factor: float) -> dict[str, Any]:
    rule: dict[str, Any] = {"alert": alert.name, "expr": scaled(alert.expression, factor)}
    if alert.hold:
        rule["for"] = duration(alert.hold / factor)
    annotations = {
        "summary": alert.summary,
        "description": alert.action,
        "runbook_url": f"{_RUNBOOK}#{alert.anchor}",
    }
    return {**rule, "labels": {"severity": alert.severity}, "annotations": annotations}


class _Dumper(yaml.SafeDumper):
    pass


def _string(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _string)
