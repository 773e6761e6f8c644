"""Figures and exports of a report, made by the worker of a session."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from cqox.api.portal import OnStep
from cqox.api.session import Session
from cqox.contract.messages import Language, translate_figure

if TYPE_CHECKING:
    from cqox.analysis.local import LocalAnalyses

__all__ = ["LocalSource"]


class LocalSource:
    """Figures and exports made by the worker of a session.

    Args:
        session: whose worker draws.
        document: the report, JSON bytes.
        specs: figure name to Vega-Lite specification, JSON bytes.
    """

    def __init__(self, session: Session, *, document: bytes, specs: bytes) -> None:
        self._session = session
        self._document = document
        self._specs = specs

    def specification(self, name: str, language: Language) -> Mapping[str, object]:
        return translate_figure(json.loads(self._specs)[name], language)

    def drawn(self, name: str, suffix: str, language: Language) -> bytes:
        return self._run("render", {"spec": self.specification(name, language), "format": suffix})

    def export(self, suffix: str, language: Language) -> bytes:
        report, specs = json.loads(self._document), json.loads(self._specs)
        return self._run("export", {"report": report, "specs": specs, "format": suffix, "language": language})

    def _run(self, task: str, arguments: Mapping[str, object]) -> bytes:
        async def work(analyses: "LocalAnalyses", on_step: OnStep) -> bytes:
            return (await analyses.run(task, arguments))[1]

        return self._session.start(work).wait()
