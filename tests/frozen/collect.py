"""The frozen interfaces, read from the code."""

import importlib
import inspect
import json
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from cqox.analysis.run import analyze
from cqox.contract import AnalyzeRequest, parse_model
from cqox.datasets import Limits, ReadOptions, read_table, write_parquet
from cqox.estimators import catalog
from cqox.telemetry.metric_definitions import SERIES
from services.config.table import table
from services.http.contract.openapi import openapi_document
from services.http.response.problems import kinds
from tests.frozen.studies import STUDIES, study

__all__ = ["FILES", "FOLDER", "report_of", "signatures"]

FOLDER = Path(__file__).parent
_MODULES = ("cqox", "cqox.errors", "cqox.tasks", "cqox.resilience", "cqox.resilience.testing")
_WORDS = frozenset({"description", "summary", "title", "example", "examples"})
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")
_PLACE = re.compile(r"\b(?:cqox|services)(?:\.\w+)*\.(?=\w)")
_FIRST = 5
"""Number of rows of a long table that are compared."""
_NOT_NUMBERS = frozenset({"messages", "provenance", "notes", "warnings", "reason", "note", "why", "detail", "label"})


def signatures() -> dict[str, dict[str, str]]:
    """Every public name of the public modules, with how it is called; not where it is defined."""
    return {module: dict(_public(importlib.import_module(module))) for module in _MODULES}


def _public(module: object) -> Iterator[tuple[str, str]]:
    for name in sorted(getattr(module, "__all__", ())):
        value = getattr(module, name)
        yield name, _call(value)
        if inspect.isclass(value):
            for member in sorted(vars(value)):
                found = inspect.getattr_static(value, member)
                if not member.startswith("_"):
                    yield f"{name}.{member}", "property" if isinstance(found, property) else _call(found)


def _call(value: object) -> str:
    value = getattr(value, "__func__", value)
    if not callable(value):
        return type(value).__name__
    try:
        return _PLACE.sub("", _ADDRESS.sub("", str(inspect.signature(value))))
    except (TypeError, ValueError):
        return "callable"


def openapi() -> object:
    """The OpenAPI document without its words and its version."""
    document = _without_words(openapi_document())
    assert isinstance(document, dict)
    document["info"].pop("version")
    return document


def _without_words(value: object, *, names: bool = False) -> object:
    if isinstance(value, Mapping):
        # Below `properties` the keys are names of fields, some of which are such words.
        return {
            key: _without_words(each, names=key in ("properties", "schemas", "$defs"))
            for key, each in value.items()
            if names or key not in _WORDS
        }
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_without_words(each) for each in value]
    return value


def estimators() -> object:
    """The catalog: names and what each needs."""
    return [{"name": entry.name, "estimand": entry.estimand} for entry in catalog()]


def series() -> object:
    """The measures."""
    return [
        {
            "name": each.name,
            "prometheus": each.prometheus_name,
            "kind": str(each.kind),
            "unit": each.unit,
            "labels": list(each.labels),
            "service": each.service,
        }
        for each in SERIES
    ]


def settings() -> object:
    """The settings."""
    return [
        {
            "name": each.name,
            "variable": each.variable,
            "flag": each.flag,
            "file": each.file_variable,
            "choices": list(each.choices),
            "default": each.default,
            "unit": each.unit,
            "minimum": each.minimum,
            "maximum": each.maximum,
            "services": list(each.services),
        }
        for each in table()
    ]


def problems() -> object:
    """The types of problems."""
    return [[kind.type, kind.status] for kind in kinds()]


def report_of(name: str) -> dict[str, object]:
    """The report on a study of `studies`, without what differs from run to run."""
    frame, mapping, options = study(name)
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "t.csv", Path(folder) / "t.parquet"
        frame.write_csv(source)
        write_parquet(read_table(source, name="t", limits=Limits(), options=ReadOptions()), target)
        request = parse_model(AnalyzeRequest, {"dataset_id": "t", "mapping": mapping, "options": options})
        finished = analyze(target, request, threads=1, on_step=lambda _: None)
    report = json.loads(json.dumps(finished.report, allow_nan=False))
    return {key: _facts(value) for key, value in report.items() if key not in _NOT_NUMBERS}


def _facts(value: object) -> object:
    if isinstance(value, dict):
        return {key: _facts(each) for key, each in value.items() if key not in _NOT_NUMBERS | {"seconds"}}
    if isinstance(value, list):
        named = all(isinstance(each, dict) and "name" in each for each in value)
        return [_facts(each) for each in (value if named else value[:_FIRST])]
    # A sentence may change, a word of the contract may not.
    if isinstance(value, str) and " " in value:
        return "…"
    return float(f"{value:.10g}") if isinstance(value, float) else value


FILES = {
    "names": signatures,
    "openapi": openapi,
    "estimators": estimators,
    "series": series,
    "settings": settings,
    "problems": problems,
    "reports": lambda: {name: report_of(name) for name in STUDIES},
}
"""The stem of each file and what it holds."""
