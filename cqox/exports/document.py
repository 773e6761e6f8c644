"""Content of an exported document: sections of blocks, in one language and without markup.

Every writer walks the same content, so that the formats agree in what they say and in its order.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import JsonValue

from cqox.contract.messages import Language

__all__ = [
    "Block",
    "Column",
    "Document",
    "Entries",
    "Entry",
    "Facts",
    "Folded",
    "Paragraph",
    "Picture",
    "Section",
    "SectionName",
    "Table",
    "Tone",
]

type Tone = Literal["good", "caution", "bad", "plain"]
"""Meaning of a colour, besides the word that it is the colour of."""

type SectionName = Literal[
    "effect", "assumptions", "gates", "estimates", "contrasts", "figures", "findings", "notes", "provenance"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Paragraph:
    """A sentence or more."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Pairs of a name and a value."""

    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a table.

    Attributes:
        heading: its heading.
        numeric: whether it holds numbers, which are set flush right.
        wide: whether it may take the room that the others leave.
    """

    heading: str
    numeric: bool = False
    wide: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table with a caption; each row has a cell for each column."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An assumption, a gate, a finding or a failure.

    Attributes:
        name: its name in the report.
        text: what it says.
        badge: its status in a word; empty without one.
        tone: of the badge.
        details: sentences on what backs it or why.
        action: what to do, a sentence; None if nothing is.
    """

    name: str
    text: str
    badge: str = ""
    tone: Tone = "plain"
    details: tuple[str, ...] = ()
    action: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entries:
    """Entries under a heading; without one where it is empty."""

    heading: str
    entries: tuple[Entry, ...]
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """Lines that most readers pass over."""

    summary: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A figure.

    Attributes:
        name: its name in the report.
        title: its title.
        alt: what it shows, in words.
        spec: the Vega-Lite specification, in the language of the document.
    """

    name: str
    title: str
    alt: str
    spec: Mapping[str, JsonValue]


type Block = Paragraph | Facts | Table | Entries | Folded | Picture


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of a document under a heading; a section without blocks is left out of the document."""

    name: SectionName
    heading: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A report as a document.

    Attributes:
        language: of every text.
        title: of the document.
        subtitle: the data set, and the time where it is known.
        headline: the answer in one sentence; empty in reports of older releases.
        verdict: GO, CANARY or HOLD.
        verdict_line: the verdict and what it rests on, in words.
        tone: of the verdict.
        meaning: what the verdict advises.
        reasons: of the verdict.
        remarks: paragraphs of the reader who exports it.
        sections: the rest, in the order of reading.
    """

    language: Language
    title: str
    subtitle: str
    headline: str
    verdict: str
    verdict_line: str
    tone: Tone
    meaning: str
    reasons: tuple[str, ...]
    remarks: tuple[str, ...]
    sections: tuple[Section, ...]

    def section(self, name: SectionName) -> Section | None:
        """Return the section of this name; None if the report has nothing for it."""
        return next((section for section in self.sections if section.name == name), None)

    def pictures(self) -> tuple[Picture, ...]:
        """Return the figures, that of the primary estimate first."""
        return tuple(block for section in self.sections for block in section.blocks if isinstance(block, Picture))
