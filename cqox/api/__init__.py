"""Causal answers from Python: data frames in, reports out."""

from cqox.api.calls import analyze, analyze_async, analyze_request, roles, roles_async
from cqox.api.reference import catalog, definitions
from cqox.api.report import Report
from cqox.api.session import Session
from cqox.sources import Query, sql

__all__ = [
    "Query",
    "Report",
    "Session",
    "analyze",
    "analyze_async",
    "analyze_request",
    "catalog",
    "definitions",
    "roles",
    "roles_async",
    "sql",
]
