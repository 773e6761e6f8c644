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
from cqox.engines.duckdb_engine import DuckDBEngine
from cqox.engines.place_table import NOTATION, TYPES, Kind

__all__ = ["FAULT", "SEPARATOR", "CsvKinds", "csv_kinds", "tidy_text"]

FAULT = "cqox-fault"
"""Begins the error of a value that is not of its column's kind."""
SEPARATOR = "\x1f"
_SAMPLE_ROWS = 20_000
_AT_ONCE = 100
_MOST_TEXTS = 100_000
"""Different texts of a column that are looked up."""
_SURELY_TOO_MANY = 2
"""Times that number above which an estimate leaves no doubt."""
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
    listed = ", ".join(f"{value} as v{place}" for place, value in enumerate(values.values()))
    found = pl.DataFrame(engine.connection.sql(f"select {listed} from (select * from {raw} limit {_SAMPLE_ROWS}) s"))
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reader:
    engine: DuckDBEngine
    raw: str
    decimal: str
    file: str

    def add(self, found: CsvKinds, sample: pl.DataFrame, texts: Mapping[str, str], stated: Mapping[str, Kind]) -> None:
        """Add columns by their first cells."""
        is_whole = sample.height < _SAMPLE_ROWS
        read = {series.name: self._described(series) for series in sample}
        unknown = [name for name, each in read.items() if name not in stated and not each.is_word]
        values = self._notations({name: read[name] for name in unknown}, texts)
        # Empty in the first rows: all rows are looked at.
        empty = [name for name, each in read.items() if name not in stated and not each.column.count and not is_whole]
        some = self._with_values(empty, texts)
        odd = [*some, *(name for name in unknown if name not in values)]
        for name, different in self._different({name: texts[name] for name in odd}).items():
            if different is None:
                found.others[name] = NOTATION
                continue
            read[name] = self._described(different)
            if not read[name].is_word:
                values[name] = self._looked_up(different, read[name], texts[name])
        values |= {name: (kind, _VALUES[kind][0].format(texts[name])) for name, kind in stated.items()
                   if name in texts and kind != "word"}  # fmt: skip
        words = [name for name in texts if name not in values and name not in found.others]
        levels = {name: _different(sample[name]) for name in words}
        if not is_whole:
            levels |= self._of_all_rows([name for name in words if _rest(levels[name]).len() < 2], texts)
        for name in texts:
            if name in values:
                kind, value = values[name]
                found.kinds[name], found.casts[name] = kind, self._checked(name, kind, texts[name], value)
            elif name in levels:
                is_code = read[name].is_code and name not in stated
                found.kinds[name], found.casts[name] = "word", _word(texts[name], levels[name], is_code=is_code)
                found.codes.update([name] if is_code else [])

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

    def _with_values(self, names: Sequence[str], texts: Mapping[str, str]) -> list[str]:
        """Return the columns that have a text in some row."""
        if not names:
            return []
        counts = self.engine.read(f"select {', '.join(f'count({texts[name]})' for name in names)} from {self.raw}")
        return [name for name, (count,) in zip(names, counts, strict=True) if count]

    def _different(self, texts: Mapping[str, str]) -> dict[str, pl.Series | None]:
        """Return the different texts of columns, of all rows, in order; None where they are too many to look up."""
        # Estimated first, so that the pass that reads the texts of all columns takes little memory.
        some = [name for name, count in self._estimated(texts).items() if count <= _SURELY_TOO_MANY * _MOST_TEXTS]
        found: dict[str, pl.Series | None] = dict.fromkeys(texts)
        if some:
            listed = ", ".join(texts[name] for name in some)
            pairs = f"select unnest(range({len(some)})) as place, unnest([{listed}]) as t from {self.raw}"
            asked = f"select distinct place, t from ({pairs}) p where t is not null"
            read = pl.DataFrame(self.engine.connection.sql(asked)).sort("place", "t")
            for place, name in enumerate(some):
                different = read.filter(pl.col("place") == place)["t"].cast(pl.String)
                found[name] = None if different.len() > _MOST_TEXTS else different.alias(name)
        return found

    def _estimated(self, texts: Mapping[str, str]) -> dict[str, int]:
        """Return about how many different texts columns have."""
        if not texts:
            return {}
        counts = ", ".join(f"approx_count_distinct({text})" for text in texts.values())
        [row] = self.engine.connection.execute(f"select {counts} from {self.raw}").fetchall()
        return dict(zip(texts, row, strict=True))

    def _of_all_rows(self, names: Sequence[str], texts: Mapping[str, str]) -> dict[str, pl.Series]:
        """Return the different texts of columns that decide whether a mark is a level."""
        if not names:
            return {}
        marks = _listed((*MARKS, *PLUS_SIGNS))
        asked = [
            f"{least}({texts[name]}) filter (where {condition})"
            for name in names
            for condition in (
                f"{texts[name]} in ({_listed(PLUS_SIGNS)})",
                f"{texts[name]} in ({_listed(MARKS)})",
                f"{texts[name]} not in ({marks}) and lower({texts[name]}) not in ({_listed(ALWAYS_MISSING)})",
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
        self.engine.connection.execute(f"create type {name} as enum ({_listed([one for one, _ in pairs])})")
        sql = {"whole": "bigint", "real": "double", "day": "date", "moment": "timestamp"}[kind]
        listed = _listed([value for _, value in pairs])
        return kind, f"list_extract(cast([{listed}] as {sql}[]), enum_code(try_cast({text} as {name})) + 1)"

    def _checked(self, name: str, kind: Kind, text: str, value: str) -> str:
        parts = [_literal(part) for part in (FAULT, kind, name)]
        listed = ", ".join((_literal(SEPARATOR), parts[0], self.engine.dialect.quoted(self.file), *parts[1:]))
        return f"coalesce({value}, case when not {_missing(text)} then error(concat_ws({listed})) end)"


def _candidates(dtype: str, text: str) -> list[tuple[Kind, str]]:
    return [(kind, form.format(text)) for kind in _OF_DTYPES[dtype] for form in _VALUES[kind]]


def _equal(made: pl.Series, values: pl.Series) -> bool:
    """Return whether values are equal, and infinite ones missing."""
    if made.len() != values.len() or values.null_count() == values.len():
        return False
    if made.dtype == pl.Float64:
        made = made.set(made.is_infinite(), None)
    return made.eq_missing(values.cast(made.dtype)).all()


def _different(cells: pl.Series) -> pl.Series:
    """Return the different texts of cells as the rules of missing values take them."""
    texts = cells.drop_nulls().cast(pl.String).str.strip_chars().str.normalize("NFC").unique(maintain_order=True)
    return texts.filter(texts != "")


def _rest(distinct: pl.Series) -> pl.Series:
    """Return the texts that are neither missing nor marks."""
    return distinct.filter(~distinct.str.to_lowercase().is_in(ALWAYS_MISSING) & ~distinct.is_in(MARKS))


def _word(text: str, distinct: pl.Series, *, is_code: bool) -> str:
    missing = [f"lower({text}) in ({_listed(ALWAYS_MISSING)})"]
    if marks_are_missing(distinct):
        missing.append(f"{text} in ({_listed(MARKS)})")
    if is_code:
        missing.append(f"lower({text}) in ({_listed(WORDS_AMONG_NUMBERS)})")
    rest = _rest(distinct)
    is_truth = rest.len() > 0 and rest.str.to_lowercase().is_in(["true", "false"]).all()
    return f"(case when not ({' or '.join(missing)}) then {f'lower({text})' if is_truth else text} end)"


def tidy_text(cell: str) -> str:
    """Return the text of a cell without space around it, in NFC; null where it is empty."""
    plain = (
        f"({end} between 33 and 126 or {end} > {_LAST_SPACE})" for end in (f"ascii({cell})", f"ascii(right({cell}, 1))")
    )
    trimmed = f"(case when {' and '.join(plain)} then {cell} else trim({cell}, {_literal(_SPACE)}) end)"
    return f"nullif(nfc_normalize({trimmed}), '')"


def _missing(text: str) -> str:
    """Return what is true of texts that are missing among numbers or dates."""
    words = _listed((*ALWAYS_MISSING, *WORDS_AMONG_NUMBERS))
    return f"({text} is null or lower({text}) in ({words}) or {text} in ({_listed(MARKS)}))"


def _listed(texts: Sequence[str]) -> str:
    return ", ".join(map(_literal, texts))


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
