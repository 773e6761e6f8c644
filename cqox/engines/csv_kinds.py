"""Kinds of the columns of CSV files in place, by the rules of `cqox.datasets` for files that are read.

These rules read the first rows. Of the notations that statements can read, a column gets the one that makes the same
values of these rows; where there is none, the rules read its different texts, of all rows, and statements look them up.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from cqox.datasets import Column, Limits
from cqox.datasets.headers import Header
from cqox.datasets.interpret import interpret, needs_decimal_comma
from cqox.datasets.kinds import describe_column
from cqox.datasets.missing import ALWAYS_MISSING, MARKS, PLUS_SIGNS, WORDS_AMONG_NUMBERS, marks_are_missing
from cqox.engines.csv_texts import MOST_TEXTS, different_texts, listed, literal, proves_words, texts_beyond
from cqox.engines.duckdb_engine import DuckDBEngine
from cqox.engines.place_table import NOTATION, TYPES, Kind

__all__ = ["FAULT", "SEPARATOR", "CsvKinds", "csv_kinds", "tidy_text"]

FAULT = "cqox-fault"
"""Begins the error of a value that is not of its column's kind."""
SEPARATOR = "\x1f"
_SHOWN = 60
"""Characters of such a value in its error."""
_SAMPLE_ROWS = 20_000
_AT_ONCE = 100
_MOST_TEXTS = MOST_TEXTS
_ROUNDS = 5
"""Times that texts which contradict those before are read."""
_NO_TEXT = "false"
_SPACE = "".join(
    map(chr, (*range(9, 14), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000))
)
_LAST_SPACE = 0x3000
"""To trim other space than the usual one takes long, and no character above this one is space."""
_WHOLE = "(0|[1-9][0-9]*)"
_EXACT = 2**53
_DAY = "[0-9]{{4}}[-/][0-9]{{1,2}}[-/][0-9]{{1,2}}"
_TIME = "[ T][0-9]{{1,2}}:[0-9]{{2}}(:[0-9]{{2}}([.][0-9]+)?)?"
_REAL = (
    "(case when regexp_full_match({{0}}, '[+-]?({digits}[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?') "
    "and not regexp_full_match({{0}}, '[+-]?(0[0-9]+|[0-9]{{{{16,}}}})') then try_cast({text} as double) "
    "when regexp_full_match({{0}}, '[+-]?inf(inity)?', 'i') then try_cast({{0}} as double) end)"
)
# What DuckDB casts beyond these is another number than the text says, such as 2 of '1.5' as a whole one. Leading zeros
# make a code of a number, and so do digits that a double does not hold.
_VALUES: Mapping[Kind, tuple[str, ...]] = {
    "whole": (
        f"(case when regexp_full_match({{0}}, '[+-]?{_WHOLE}') "
        f"and abs(try_cast({{0}} as hugeint)) <= {_EXACT} then try_cast({{0}} as bigint) end)",
    ),
    "real": (
        _REAL.format(digits="[0-9]+", text="{0}"),
        _REAL.format(digits="([0-9]+|[0-9]{{1,3}}(,[0-9]{{3}})+)", text="replace({0}, ',', '')"),
        "(case when regexp_full_match({0}, '[+-]?(0|[1-9][0-9]*)(,[0-9]+)?') "
        "then try_cast(replace({0}, ',', '.') as double) end)",
    ),
    "day": (f"(case when regexp_full_match({{0}}, '{_DAY}') then try_cast({{0}} as date) end)",),
    "moment": (
        f"(case when regexp_full_match({{0}}, '{_DAY}({_TIME})?') then try_cast({{0}} as timestamp) end)",
        f"(case when regexp_full_match({{0}}, '{_DAY}{_TIME}Z') then try_cast(rtrim({{0}}, 'Z') as timestamp) end)",
    ),
}
_OF_DTYPES: Mapping[str, tuple[Kind, ...]] = {
    "int64": ("whole", "real"), "float64": ("real",), "date": ("day",), "datetime": ("moment",),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvKinds:
    """Kinds of columns.

    Attributes:
        kinds: name to kind of every column that can be used.
        casts: name to the text of its value, which is an error where a value is not of the kind.
        others: name to the reason of the columns that cannot be used.
        codes: names of the words that are made of digits.
    """

    kinds: dict[str, Kind] = field(default_factory=dict)
    casts: dict[str, str] = field(default_factory=dict)
    others: dict[str, str] = field(default_factory=dict)
    codes: set[str] = field(default_factory=set)


def csv_kinds(
    engine: DuckDBEngine, raw: str, cells: Mapping[str, str], stated: Mapping[str, Kind], *, file: str
) -> CsvKinds:
    """Return the kinds of columns: those that are stated, and what the values of the first rows are.

    Args:
        engine: reads them.
        raw: what follows `from` to read the cells as texts, each by `tidy_text`.
        cells: name to the text of a column in it.
        stated: name to kind.
        file: the column of `raw` with the path of a row's file.
    """
    found = CsvKinds()
    names = list(cells)
    blocks = [{name: cells[name] for name in names[at : at + _AT_ONCE]} for at in range(0, len(names), _AT_ONCE)]
    commas = any(needs_decimal_comma(series) for block in blocks for series in _rows(engine, raw, block))
    reader = _Reader(engine=engine, raw=raw, decimal="," if commas else ".", file=file)
    for block in blocks:
        reader.add(found, _rows(engine, raw, block), block, stated)
    return found


def _rows(engine: DuckDBEngine, raw: str, values: Mapping[str, str]) -> pl.DataFrame:
    """Return values of the first rows."""
    asked = ", ".join(f"{value} as v{place}" for place, value in enumerate(values.values()))
    found = pl.DataFrame(engine.connection.sql(f"select {asked} from (select * from {raw} limit {_SAMPLE_ROWS}) s"))
    return pl.DataFrame([found[f"v{place}"].alias(name) for place, name in enumerate(values)])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """Cells by the rules of files that are read."""

    values: pl.Series
    column: Column
    is_code: bool
    infinite: frozenset[int]

    @property
    def is_word(self) -> bool:
        return self.column.dtype in ("enum", "string")


@dataclass(slots=True, kw_only=True)
class _Column:
    """A column, as far as it is known.

    Attributes:
        text: of its cell in a statement.
        texts: different ones, if not all that are known have its notation.
        read: they by the rules of files that are read.
        value: its kind and the text of its value; None for words, and where no notation is known.
        condition: true of texts that change nothing of this; None where there are no others.
        is_other: whether it cannot be used.
    """

    text: str
    texts: pl.Series | None
    read: _Read
    value: tuple[Kind, str] | None = None
    condition: str | None = None
    is_other: bool = False


def _condition(column: _Column) -> str:
    """Return what is true of texts that change neither the kind nor the notation of a column."""
    if column.value is not None:
        return f"({column.value[1]} is not null or {_missing(column.text)})"
    if column.texts is None or not column.read.is_word:
        return _NO_TEXT
    if column.read.is_code:
        return f"(regexp_full_match({column.text}, '[+-]?[0-9]+') or {_missing(column.text)})"
    if proves_words(column.texts):
        # Next to a plus sign a mark is a level.
        return "true" if column.texts.is_in(PLUS_SIGNS).any() else f"({column.text} not in ({listed(PLUS_SIGNS)}))"
    return _NO_TEXT


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reader:
    engine: DuckDBEngine
    raw: str
    decimal: str
    file: str

    def add(self, found: CsvKinds, sample: pl.DataFrame, texts: Mapping[str, str], stated: Mapping[str, Kind]) -> None:
        """Add columns by their first cells, and by the texts of all rows that are not like those."""
        read = {series.name: self._described(series) for series in sample}
        unknown = [name for name, each in read.items() if name not in stated and not each.is_word]
        values = self._notations({name: read[name] for name in unknown}, texts)
        levels = {name: different_texts(sample[name]) for name in texts if name not in values}
        columns = {
            name: _Column(text=texts[name], texts=levels.get(name), read=each, value=values.get(name))
            for name, each in read.items()
            if name not in stated
        }
        if sample.height < _SAMPLE_ROWS:
            for column in columns.values():
                column.condition = None
                self._look_up(column)
        else:
            self._settle(columns, sample)
        values = {name: (kind, _VALUES[kind][0].format(texts[name])) for name, kind in stated.items()
                  if name in texts and kind != "word"}  # fmt: skip
        values |= {name: column.value for name, column in columns.items() if column.value is not None}
        found.others.update({name: NOTATION for name, column in columns.items() if column.is_other})
        levels |= {name: column.texts for name, column in columns.items() if column.texts is not None}
        words = [name for name in texts if name not in values and name not in found.others]
        if sample.height >= _SAMPLE_ROWS:
            levels |= self._of_all_rows([name for name in words if _rest(levels[name]).len() < 2], texts)
        for name in texts:
            if name in values:
                kind, value = values[name]
                found.kinds[name], found.casts[name] = kind, self._checked(name, kind, texts[name], value)
            elif name in words:
                is_code = name in columns and columns[name].read.is_code
                found.kinds[name], found.casts[name] = "word", _word(texts[name], levels[name], is_code=is_code)
                found.codes.update([name] if is_code else [])

    def _settle(self, columns: Mapping[str, "_Column"], sample: pl.DataFrame) -> None:
        """Read the texts of all rows that the columns' conditions are not true of, until there are none."""
        texts = {name: column.text for name, column in columns.items()}
        for column in columns.values():
            column.condition = _condition(column)
        for _ in range(_ROUNDS):
            left = {name: column.condition for name, column in columns.items() if column.condition is not None}
            beyond = texts_beyond(self.engine, self.raw, texts, left, most=_MOST_TEXTS)
            for name, condition in left.items():
                column = columns[name]
                column.condition = None
                if name not in beyond:
                    continue
                more, are_all = beyond[name]
                first = different_texts(sample[name]) if column.texts is None else column.texts
                column.texts = pl.concat([first, more]).unique(maintain_order=True).alias(name)
                column.read, column.value = self._described(column.texts), None
                if not column.read.is_word:
                    column.value = self._notation(column)
                if condition == _NO_TEXT and are_all:
                    self._look_up(column)
                elif condition == _NO_TEXT and _condition(column) == _NO_TEXT:
                    column.is_other = True
                elif condition != _condition(column) or not are_all:
                    column.condition = _condition(column)
        for column in columns.values():
            column.is_other |= column.condition is not None

    def _notation(self, column: "_Column") -> tuple[Kind, str] | None:
        """Return the kind and the value of the notation that makes the values of the texts of a column, if any does."""
        assert column.texts is not None
        rows = f"(select unnest([{listed(column.texts.to_list())}]) as t) u"
        for (kind, tried), (_, value) in zip(
            _candidates(column.read.column.dtype, "t"), _candidates(column.read.column.dtype, column.text), strict=True
        ):
            made = pl.DataFrame(self.engine.connection.sql(f"select {tried} as v, {_missing('t')} as m from {rows}"))
            lost = (made["v"].is_null() & ~made["m"]).any()
            if not lost and _equal(made["v"].cast(TYPES[kind]), column.read.values):
                return kind, value
        return None

    def _look_up(self, column: "_Column") -> None:
        """Have the values of a column looked up by its texts, all of which are known, where no notation makes them."""
        if column.texts is None or column.value is not None:
            return
        column.read = self._described(column.texts)
        if not column.read.is_word:
            column.value = self._looked_up(column.texts, column.read, column.text)

    def _described(self, cells: pl.Series) -> _Read:
        interpreted = interpret(cells.cast(pl.String), decimal=self.decimal)
        values, column = describe_column(Header(cells.name, cells.name), interpreted, Limits())
        return _Read(
            values=values, column=column, is_code=interpreted.is_code, infinite=frozenset(interpreted.infinite)
        )

    def _notations(self, read: Mapping[str, _Read], texts: Mapping[str, str]) -> dict[str, tuple[Kind, str]]:
        """Return the kind and the value of the columns of which a notation makes the same values of the first rows."""
        left = {name: _candidates(each.column.dtype, texts[name]) for name, each in read.items()}
        found: dict[str, tuple[Kind, str]] = {}
        while left := {name: forms for name, forms in left.items() if forms and name not in found}:
            tried = {name: forms.pop(0) for name, forms in left.items()}
            made = _rows(self.engine, self.raw, {name: value for name, (_, value) in tried.items()})
            lost = {name: f"({value} is null and not {_missing(texts[name])})" for name, (_, value) in tried.items()}
            wrong = _rows(self.engine, self.raw, lost)
            for name, (kind, value) in tried.items():
                if not wrong[name].any() and _equal(made[name].cast(TYPES[kind]), read[name].values):
                    found[name] = kind, value
        return found

    def _of_all_rows(self, names: Sequence[str], texts: Mapping[str, str]) -> dict[str, pl.Series]:
        """Return the different texts of columns that decide whether a mark is a level."""
        if not names:
            return {}
        marks = listed((*MARKS, *PLUS_SIGNS))
        asked = [
            f"{least}({texts[name]}) filter (where {condition})"
            for name in names
            for condition in (
                f"{texts[name]} in ({listed(PLUS_SIGNS)})",
                f"{texts[name]} in ({listed(MARKS)})",
                f"{texts[name]} not in ({marks}) and lower({texts[name]}) not in ({listed(ALWAYS_MISSING)})",
            )
            for least in ("min", "max")
        ]
        answer = self.engine.connection.execute(f"select {', '.join(asked)} from {self.raw}").fetchall()[0]
        width = len(asked) // len(names)
        return {
            name: pl.Series(name, answer[place * width : (place + 1) * width], dtype=pl.String).drop_nulls().unique()
            for place, name in enumerate(names)
        }

    def _looked_up(self, texts: pl.Series, read: _Read, text: str) -> tuple[Kind, str]:
        """Return the kind of a column, and its value by its text."""
        kind: Kind = "real" if read.infinite else _OF_DTYPES[read.column.dtype][0]
        pairs = [
            (one, "inf" if place in read.infinite else str(value))
            for place, (one, value) in enumerate(zip(texts.to_list(), read.values.to_list(), strict=True))
            if value is not None or place in read.infinite
        ]
        name = f"cqox_texts_of_{hashlib.sha256(text.encode()).hexdigest()[:16]}"
        self.engine.connection.execute(f"create type {name} as enum ({listed([one for one, _ in pairs])})")
        sql = {"whole": "bigint", "real": "double", "day": "date", "moment": "timestamp"}[kind]
        numbers = listed([value for _, value in pairs])
        return kind, f"list_extract(cast([{numbers}] as {sql}[]), enum_code(try_cast({text} as {name})) + 1)"

    def _checked(self, name: str, kind: Kind, text: str, value: str) -> str:
        shown = f"replace(left({text}, {_SHOWN}), {literal(SEPARATOR)}, ' ')"
        parts = [literal(FAULT), self.engine.dialect.quoted(self.file), literal(kind), shown, literal(name)]
        said = ", ".join((literal(SEPARATOR), *parts))
        return f"coalesce({value}, case when not {_missing(text)} then error(concat_ws({said})) end)"


def _candidates(dtype: str, text: str) -> list[tuple[Kind, str]]:
    return [(kind, form.format(text)) for kind in _OF_DTYPES[dtype] for form in _VALUES[kind]]


def _equal(made: pl.Series, values: pl.Series) -> bool:
    """Return whether values are equal, and infinite ones missing."""
    if made.len() != values.len() or values.null_count() == values.len():
        return False
    if made.dtype == pl.Float64:
        made = made.set(made.is_infinite(), None)
    return made.eq_missing(values.cast(made.dtype)).all()


def _rest(distinct: pl.Series) -> pl.Series:
    """Return the texts that are neither missing nor marks."""
    return distinct.filter(~distinct.str.to_lowercase().is_in(ALWAYS_MISSING) & ~distinct.is_in(MARKS))


def _word(text: str, distinct: pl.Series, *, is_code: bool) -> str:
    missing = [f"lower({text}) in ({listed(ALWAYS_MISSING)})"]
    if marks_are_missing(distinct):
        missing.append(f"{text} in ({listed(MARKS)})")
    if is_code:
        missing.append(f"lower({text}) in ({listed(WORDS_AMONG_NUMBERS)})")
    rest = _rest(distinct)
    has_levels = not marks_are_missing(distinct) and distinct.is_in(MARKS).any()
    is_truth = rest.len() > 0 and not has_levels and rest.str.to_lowercase().is_in(["true", "false"]).all()
    return f"(case when not ({' or '.join(missing)}) then {f'lower({text})' if is_truth else text} end)"


def tidy_text(cell: str) -> str:
    """Return the text of a cell without space around it, in NFC; null where it is empty."""
    plain = (
        f"({end} between 33 and 126 or {end} > {_LAST_SPACE})" for end in (f"ascii({cell})", f"ascii(right({cell}, 1))")
    )
    trimmed = f"(case when {' and '.join(plain)} then {cell} else trim({cell}, {literal(_SPACE)}) end)"
    return f"nullif(nfc_normalize({trimmed}), '')"


def _missing(text: str) -> str:
    """Return what is true of texts that are missing among numbers or dates."""
    words = listed((*ALWAYS_MISSING, *WORDS_AMONG_NUMBERS))
    return f"({text} is null or lower({text}) in ({words}) or {text} in ({listed(MARKS)}))"
