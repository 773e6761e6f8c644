"""A report as Python values: typed parts, a tidy frame, figures, and documents."""

import copy
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, overload

from pydantic import JsonValue

from cqox.api.arguments import check_language
from cqox.contract import (
    DataFinding,
    Decision,
    Effect,
    EstimateReport,
    Gate,
    Identification,
    Provenance,
    near_words,
    shortened,
)
from cqox.contract import Report as Document
from cqox.contract.messages import LANGUAGES, Language, Message, joined, translate_document
from cqox.errors import InvalidRequest, NotFound
from cqox.frames import Form, FrameKind, to_native

if TYPE_CHECKING:
    import altair as alt

__all__ = ["Report", "Source"]

_FORMS: Mapping[str, Form] = {
    "estimator": "text", "contrast": "text", "estimand": "text", "estimate": "number", "std_error": "number",
    "conf_low": "number", "conf_high": "number", "p_value": "number", "n": "whole", "family": "text", "status": "text",
    "reason": "text",
}  # fmt: skip
"""Columns of the tidy frame, named as in the CSV export."""

_FIGURE_FORMATS = ("svg", "png", "json")

_OF_ESTIMATE = {"estimator": "name", "std_error": "standard_error", "conf_low": "ci_lower", "conf_high": "ci_upper"}
"""Names in a report of the columns that have others there."""


class Source(Protocol):
    """Maker of the figures and the exports of one report."""

    def specification(self, name: str, language: Language) -> Mapping[str, object]:
        """Return the Vega-Lite specification of a figure."""
        ...

    def drawn(self, name: str, suffix: str, language: Language) -> bytes:
        """Return a figure as `svg` or `png`."""
        ...

    def export(self, suffix: str, language: Language) -> bytes:
        """Return the report as a document: `html`, `pdf`, `pptx`, `docx`, `md` or `csv`."""
        ...


class Report:
    """The answer to a causal question. Shown as text in a terminal, with its figure in a notebook.

    Args:
        document: the report as the HTTP interface gives it, in English.
        source: makes figures and documents.
        kind: the library of the frame that was analysed; None where it was no frame.
        language: language of the sentences.
    """

    def __init__(
        self,
        document: Mapping[str, JsonValue],
        source: Source,
        *,
        kind: FrameKind | None = None,
        language: Language = LANGUAGES[0],
    ) -> None:
        check_language(language)
        self._english = document
        self._source = source
        self._kind = kind
        self._language = language

    @cached_property
    def _translated(self) -> dict[str, JsonValue]:
        document = copy.deepcopy(dict(self._english))
        messages = document.get("messages")
        if self._language != LANGUAGES[0] and isinstance(messages, dict):
            translate_document(document, messages, self._language)  # type: ignore[arg-type]
        return document

    @cached_property
    def _parts(self) -> Document:
        # A server of a later version may add members.
        return Document.model_validate(self._translated, extra="ignore")

    @property
    def analysis_id(self) -> str:
        """Digest of data, request and code: equal analyses have equal ids."""
        return self._parts.analysis_id

    @property
    def dataset_id(self) -> str:
        """Digest of the data."""
        return self._parts.dataset_id

    @property
    def status(self) -> Literal["ok", "warning", "failed"]:
        """`failed` where no estimator gave a number."""
        return self._parts.status

    @property
    def decision(self) -> Decision:
        """The verdict, its reasons and the primary estimate."""
        return self._parts.decision

    @property
    def verdict(self) -> Literal["GO", "CANARY", "HOLD"]:
        """The verdict alone."""
        return self._parts.decision.verdict

    @property
    def headline(self) -> str:
        """The answer in one sentence; empty in a report of an older version."""
        return self._parts.decision.headline or ""

    @property
    def estimates(self) -> Sequence[EstimateReport]:
        """The answer of every estimator, with the reason of one that was skipped."""
        return self._parts.estimates

    @property
    def primary(self) -> EstimateReport | None:
        """The estimate that the decision rests on, of the first contrast; None without one."""
        name = self.decision.primary
        return next((each for each in self.estimates if each.name == name), None)

    @property
    def effect(self) -> Effect | None:
        """The primary effect in the units of a decision: absolute, relative, total."""
        return self._parts.effect

    @property
    def identification(self) -> Identification | None:
        """The ledger: what must be true for the primary estimate to be the effect, and how far it is backed."""
        return self._parts.identification

    @property
    def gates(self) -> Mapping[str, Gate]:
        """The checks that the decision rests on, by name."""
        return self._parts.gates

    @property
    def findings(self) -> Sequence[DataFinding]:
        """Traps in the data, each with its remedy."""
        return self._parts.findings

    @property
    def diagnostics(self) -> Mapping[str, JsonValue]:
        """Numbers behind gates and ledger."""
        return self._parts.diagnostics

    @property
    def mapping(self) -> Mapping[str, JsonValue]:
        """The column of each role."""
        return self._parts.mapping

    @property
    def options(self) -> Mapping[str, JsonValue]:
        """The options as used, defaults included."""
        return self._parts.options

    @property
    def notes(self) -> Sequence[str]:
        """Decisions made on the way."""
        return self._parts.notes

    @property
    def warnings(self) -> Sequence[str]:
        """Limits of the numbers."""
        return self._parts.warnings

    @property
    def provenance(self) -> Provenance:
        """Version, seed, rows and seconds behind the numbers."""
        return self._parts.provenance

    @property
    def language(self) -> Language:
        """Language of the sentences."""
        return self._language

    def in_language(self, language: Language) -> "Report":
        """Return the same report with its sentences and figures in another language."""
        return Report(self._english, self._source, kind=self._kind, language=language)

    def __getitem__(self, key: str | tuple[str, str]) -> EstimateReport:
        """Return the estimate of an estimator; with several contrasts give `(estimator, contrast)`.

        Raises:
            KeyError: there is no such estimate, or several; the message names them.
        """
        name, contrast = key if isinstance(key, tuple) else (key, None)
        found = [each for each in self.estimates if each.name == name and contrast in (None, each.contrast)]
        if len(found) == 1:
            return found[0]
        if found:
            of = [f"({name!r}, {each.contrast!r})" for each in found]
            raise KeyError(f"{name} has an estimate for each contrast: {', '.join(of)}")
        known = list(dict.fromkeys(each.name for each in self.estimates))
        raise KeyError(f"there is no estimate {key!r}; there are {', '.join(known)}")

    def to_dict(self) -> dict[str, JsonValue]:
        """Return the report as the HTTP interface gives it, as a copy."""
        return copy.deepcopy(self._translated)

    def to_json(self, path: str | Path | None = None, *, indent: int | None = 2) -> str:
        """Return the report as JSON text, and write it to `path` if that is given."""
        text = json.dumps(self._translated, ensure_ascii=False, indent=indent)
        if path is not None:
            Path(path).write_text(text + "\n", encoding="utf-8")
        return text

    def to_frame(self) -> Any:  # noqa: ANN401 - a frame of the caller's library
        """Return a tidy frame, one row for each estimate, in the library of the frame that was analysed.

        Columns: estimator, contrast, estimand, estimate, std_error, conf_low, conf_high, p_value, n, family, status,
        reason. Numbers that are absent are null. Of a file it is a polars frame.
        """
        return to_native(_tidy(self.estimates), self._kind or "polars", forms=_FORMS)

    @property
    def figures(self) -> tuple[str, ...]:
        """Names of the figures."""
        return tuple(self._parts.figures)

    def figure(self, name: str) -> "alt.LayerChart":
        """Return a figure as an Altair chart, which a notebook shows and which can be changed.

        Raises:
            NotFound: there is no figure of this name; `choices` are the names.
            ModuleNotFoundError: Altair is not installed, which `draw` does without.
        """
        self._check_figure(name)
        try:
            import altair as alt
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                f"Report.figure needs {error.name}, which is not installed: pip install altair. Report.draw needs "
                "nothing.",
                name=error.name,
            ) from error
        return alt.Chart.from_dict(dict(self._source.specification(name, self._language)))  # type: ignore[return-value]

    def save_figures(
        self, folder: str | Path, *, formats: Sequence[Literal["svg", "png", "json"]] = ("svg",)
    ) -> dict[str, list[Path]]:
        """Write every figure into a folder, which is created if missing; return the files by figure name.

        Raises:
            InvalidRequest: figures cannot be written in a format; `choices` are the formats.
        """
        for suffix in formats:
            _check_format(suffix)
        into = Path(folder)
        into.mkdir(parents=True, exist_ok=True)
        written: dict[str, list[Path]] = {}
        for name in self.figures:
            for suffix in formats:
                target = into / f"{name}.{suffix}"
                target.write_bytes(self.draw(name, suffix))
                written.setdefault(name, []).append(target)
        return written

    def draw(self, name: str, suffix: Literal["svg", "png", "json"] = "svg") -> bytes:
        """Return a figure as bytes of an SVG or PNG file, or as its Vega-Lite specification.

        Raises:
            NotFound: there is no figure of this name; `choices` are the names.
            InvalidRequest: figures cannot be drawn in this format; `choices` are the formats.
        """
        self._check_figure(name)
        _check_format(suffix)
        if suffix == "json":
            spec = self._source.specification(name, self._language)
            return json.dumps(spec, ensure_ascii=False, separators=(",", ":")).encode()
        return self._source.drawn(name, suffix, self._language)

    def _check_figure(self, name: str) -> None:
        if name not in self.figures:
            near = near_words(str(name), self.figures)
            sentences = [
                Message("analysis.no-figure", figure=shortened(str(name))),
                *([Message("analysis.did-you-mean", words=near)] if near else []),
                Message("analysis.figures-are", figures=list(self.figures)),
            ]
            raise NotFound(joined(sentences), field="name", choices=list(dict.fromkeys([*near, *self.figures])))

    @overload
    def to_html(self, path: None = None) -> str: ...
    @overload
    def to_html(self, path: str | Path) -> Path: ...
    def to_html(self, path: str | Path | None = None) -> str | Path:
        """Write a page that needs no other file and no network, or return its text."""
        return self._exported("html", path) if path is not None else self._export("html").decode()

    def to_markdown(self, path: str | Path | None = None) -> str | Path:
        """Write the report as Markdown, or return its text."""
        return self._exported("md", path) if path is not None else self._export("md").decode()

    def to_csv(self, path: str | Path | None = None) -> str | Path:
        """Write the estimates as CSV, one row for each, or return the text."""
        return self._exported("csv", path) if path is not None else self._export("csv").decode("utf-8-sig")

    def to_pdf(self, path: str | Path) -> Path:
        """Write the report as PDF."""
        return self._exported("pdf", path)

    def to_pptx(self, path: str | Path) -> Path:
        """Write the report as slides for PowerPoint."""
        return self._exported("pptx", path)

    def to_docx(self, path: str | Path) -> Path:
        """Write the report as a document for Word."""
        return self._exported("docx", path)

    def _export(self, suffix: str) -> bytes:
        return self._source.export(suffix, self._language)

    def _exported(self, suffix: str, path: str | Path) -> Path:
        target = Path(path)
        content = self._export(suffix)
        target.write_bytes(content)
        return target

    def __repr__(self) -> str:
        from cqox.api.terminal import text_of

        return text_of(self)

    def _repr_html_(self) -> str:
        from cqox.api.notebook import html_of

        return html_of(self)


def _check_format(suffix: str) -> None:
    if suffix not in _FIGURE_FORMATS:
        raise InvalidRequest(
            Message("analysis.no-figure-format", format=shortened(suffix), formats=list(_FIGURE_FORMATS)),
            field="formats", choices=list(_FIGURE_FORMATS),
        )  # fmt: skip


def _tidy(estimates: Sequence[EstimateReport]) -> dict[str, list[object]]:
    return {name: [getattr(each, _OF_ESTIMATE.get(name, name)) for each in estimates] for name in _FORMS}
