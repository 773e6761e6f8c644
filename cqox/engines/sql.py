"""SQL text of expressions, in the vocabulary that engines share.

What an expression shares with others is computed once: it becomes a column of a nested `select`. Sums of groups are
joined to their rows, which are read once more for each way to group them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from cqox.estimators.numerics.moments import (
    Case,
    Column,
    Constant,
    Exp,
    Expr,
    Fold,
    GroupSum,
    Is,
    Known,
    Linear,
    Product,
    Quotient,
    children,
)
from cqox.estimators.numerics.portable_folds import MISSING_KEY, fold_sql, whole_number_key_sql

__all__ = ["Dialect", "SourceColumn", "Statement", "below", "statement_of"]


def _double_quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _single_quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _exponent(value: float) -> str:
    text = repr(float(value))
    return text if "e" in text else f"{text}e0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """The differences between engines; the defaults are those of most.

    Attributes:
        quoted: returns a name between the engine's quotation marks.
        word: returns a text as a literal.
        number: returns a literal of a double with all its digits.
        double: returns a number as a double.
        truth: returns a truth value as a double.
        days: returns a date as days since 1970, a double.
        without_nan: returns a floating value with null in place of NaN.
        date_number: returns a date as whole days since 1970.
        moment_number: returns a time as whole microseconds since 1970.
        word_key: returns `portable_folds.text_key` of a word.
        total: name of the most exact sum of doubles.
        farthest: the largest power of e, and with its sign changed the least; nearer than that of `Exp` where underflow
            is an error, so that a product of four is none.
        most_values: number of columns that one answer has at most.
        apart: ends a nested `select` whose columns the engine would otherwise compute again at each use.
    """

    quoted: Callable[[str], str] = _double_quoted
    word: Callable[[str], str] = _single_quoted
    number: Callable[[float], str] = _exponent
    double: Callable[[str], str] = "cast({} as double)".format
    truth: Callable[[str], str] = "cast({} as double)".format
    days: Callable[[str], str] = "cast(datediff('day', date '1970-01-01', cast({} as date)) as double)".format
    without_nan: Callable[[str], str] = "nullif({}, cast('NaN' as double))".format
    date_number: Callable[[str], str] = "datediff('day', date '1970-01-01', {})".format
    moment_number: Callable[[str], str] = "unix_micros({})".format
    word_key: Callable[[str], str] = "cast(conv(substr(md5({}), 1, 15), 16, 10) as bigint)".format
    total: str = "sum"
    farthest: float = 700.0
    most_values: int = 100_000
    apart: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceColumn:
    """A column of the table.

    Attributes:
        name: in the table.
        kind: what it holds; words can only be compared and grouped by. A `key` is a whole number, a word, a date or a
            time from which folds are made, and has no other use; a `fold key` is what is otherwise made from it.
        floating: True if it may hold NaN, which is missing.
    """

    name: str
    kind: Literal["number", "truth", "day", "word", "number key", "word key", "date key", "moment key", "fold key"]
    floating: bool = False

    def value(self, dialect: Dialect) -> str:
        """Return the text of its value as a double."""
        name = dialect.quoted(self.name)
        if self.kind == "day":
            return dialect.days(name)
        if self.kind == "truth":
            return dialect.truth(name)
        return dialect.without_nan(dialect.double(name)) if self.floating else dialect.double(name)

    def as_it_is(self, dialect: Dialect) -> str:
        """Return the text of its value for comparisons and groups."""
        if self.kind.endswith(" key"):
            return f"coalesce({self._key(dialect)}, {MISSING_KEY})"
        if self.kind in ("truth", "day") or self.floating:
            return self.value(dialect)
        return dialect.quoted(self.name)

    def _key(self, dialect: Dialect) -> str:
        name = dialect.quoted(self.name)
        if self.kind == "fold key":
            return name
        if self.kind == "word key":
            return dialect.word_key(name)
        number = {"number key": "{}".format, "date key": dialect.date_number, "moment key": dialect.moment_number}
        return whole_number_key_sql(number[self.kind](name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """The text of some expressions, and of the rows that they are columns of.

    Attributes:
        rows: what follows `from`.
        texts: of the expressions.
    """

    rows: str
    texts: tuple[str, ...]


def statement_of(
    roots: Sequence[Expr],
    *,
    table: str,
    columns: Mapping[str, SourceColumn],
    conditions: Sequence[Expr],
    dialect: Dialect,
    groups: int = 0,
) -> Statement:
    """Return the text of some expressions over the rows of a table in which conditions are 1.

    Args:
        roots: the expressions.
        table: what follows `from`: a name, or a `select` in brackets with an alias.
        columns: of the table, by the names that expressions use.
        conditions: of the rows.
        dialect: of the engine.
        groups: number of the first expressions that rows are grouped by.
    """
    return _Writer(columns, dialect).write(roots, table, conditions, groups)


class _Writer:
    """Writes one statement."""

    def __init__(self, columns: Mapping[str, SourceColumn], dialect: Dialect) -> None:
        self._columns, self._dialect = columns, dialect
        self._base: dict[tuple[str, bool], str] = {}
        self._named: dict[Expr, str] = {}

    def write(self, roots: Sequence[Expr], table: str, conditions: Sequence[Expr], groups: int) -> Statement:
        shared = _shared(roots)
        levels = _levels(roots, shared)
        for node in below([*roots, *conditions]):
            for name, as_it_is in _columns_of(node):
                self._base.setdefault((name, as_it_is), f"c{len(self._base)}")
        for place, root in enumerate(roots):
            if isinstance(root, Column):
                self._base.setdefault((root.name, place < groups), f"c{len(self._base)}")
        picked = [
            f"{self._source(name, as_it_is=as_it_is)} as {alias}" for (name, as_it_is), alias in self._base.items()
        ]
        rows = f"(select {', '.join(picked) or '1 as c0'} from {table}) t0"
        if conditions:
            # Nested, so that the conditions may use the names of the columns.
            rows = f"(select * from {rows} where {' and '.join(map(self._truth, conditions))}) t1"
        for number, level in enumerate(sorted(set(levels.values())), 1):
            made = {node: f"e{len(self._named) + place}" for place, node in enumerate(_at(levels, level))}
            rows = f"({self._next(rows, made)}) l{number}"
            self._named.update(made)
        texts = [self._value_or_raw(root) for root in roots[:groups]] + [self._text(root) for root in roots[groups:]]
        return Statement(rows=rows, texts=tuple(texts))

    def _next(self, rows: str, made: Mapping[Expr, str]) -> str:
        """Return the `select` that adds some expressions, by their names, to the columns of rows."""
        by_group: dict[tuple[Expr, ...], list[str]] = {}
        for node, name in made.items():
            if isinstance(node, GroupSum):
                by_group.setdefault(node.by, []).append(f"{self._dialect.total}({self._text(node.of)}) as {name}")
        if not by_group:
            listing = ", ".join(f"{self._text(node)} as {name}" for node, name in made.items())
            return f"select *, {listing} from {rows}{self._dialect.apart}"
        joins = []
        for number, (by, totals) in enumerate(by_group.items()):
            keys = [self._value_or_raw(each) for each in by]
            listing = ", ".join([*(f"{key} as k{place}" for place, key in enumerate(keys)), *totals])
            same = " and ".join(f"{key} = g{number}.k{place}" for place, key in enumerate(keys))
            joins.append(f"join (select {listing} from {rows} group by {', '.join(keys)}) g{number} on {same}")
        alias = rows.rpartition(" ")[2]
        return f"select {alias}.*, {', '.join(made.values())} from {rows} {' '.join(joins)}"

    def _source(self, name: str, *, as_it_is: bool) -> str:
        column = self._columns[name]
        return column.as_it_is(self._dialect) if as_it_is else column.value(self._dialect)

    def _truth(self, condition: Expr) -> str:
        if isinstance(condition, Known):
            return " and ".join(f"{self._value_or_raw(each)} is not null" for each in condition.of) or "1 = 1"
        if isinstance(condition, Is):
            return f"{self._value_or_raw(condition.of)} {condition.op} {self._literal(condition.value)}"
        return f"{self._text(condition)} = 1"

    def _value_or_raw(self, node: Expr) -> str:
        return self._base[node.name, True] if isinstance(node, Column) else self._text(node)

    def _literal(self, value: float | str | bool) -> str:
        if isinstance(value, str):
            return self._dialect.word(value)
        return self._dialect.number(float(value))

    def _text(self, node: Expr) -> str:
        return self._named.get(node) or self._written(node)

    def _written(self, node: Expr) -> str:
        number, farthest = self._dialect.number, self._dialect.farthest
        match node:
            case Column(name=name):
                return self._base[name, False]
            case Constant(value=value):
                return _in_brackets(number(value))
            case Linear(constant=constant, terms=terms):
                parts = [f"{_in_brackets(number(factor))} * {self._text(term)}" for factor, term in terms]
                return "(" + " + ".join([*parts, *([_in_brackets(number(constant))] if constant else [])]) + ")"
            case Product(left=left, right=right):
                return f"({self._text(left)} * {self._text(right)})"
            case Quotient(top=top, bottom=bottom):
                return f"({self._text(top)} / {self._text(bottom)})"
            case Exp(of=of):
                return f"exp(greatest(least({self._text(of)}, {number(farthest)}), {number(-farthest)}))"
            case Is(of=of, op=op, value=value):
                text = self._value_or_raw(of)
                one, zero = number(1.0), number(0.0)
                yes = f"{text} {op} {self._literal(value)}"
                return f"(case when {text} is null then null when {yes} then {one} else {zero} end)"
            case Known():
                return f"(case when {self._truth(node)} then {number(1.0)} else {number(0.0)} end)"
            case Case(of=of, branches=branches):
                which = self._text(of)
                cases = [f"when {which} = {place} then {self._text(each)}" for place, each in enumerate(branches[:-1])]
                return f"(case {' '.join(cases)} else {self._text(branches[-1])} end)"
            case Fold(key=key, seed=seed, split=split, folds=folds):
                return f"({fold_sql(self._base[key.name, True], seed, split, folds)})"
            case GroupSum():
                raise ValueError("rows cannot be chosen by sums of groups")


def _in_brackets(text: str) -> str:
    return f"({text})" if text.startswith("-") else text


def below(roots: Sequence[Expr]) -> Iterator[Expr]:
    """Yield every expression at or below some others, once."""
    seen: set[Expr] = set()
    waiting = list(roots)
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            yield node
            waiting += children(node)


def _columns_of(node: Expr) -> Iterator[tuple[str, bool]]:
    """Yield the columns directly below an expression, and whether their values are used as they are."""
    as_they_are = isinstance(node, Is | Known | Fold)
    for place, child in enumerate(children(node)):
        if isinstance(child, Column):
            yield child.name, as_they_are or (isinstance(node, GroupSum) and place > 0)


def _shared(roots: Sequence[Expr]) -> set[Expr]:
    """Return the expressions that are used more than once, other than columns and constants, and all sums of groups."""
    uses: dict[Expr, int] = {}
    for node in roots:
        uses[node] = uses.get(node, 0) + 1
    for node in below(roots):
        for child in children(node):
            uses[child] = uses.get(child, 0) + 1
    return {
        node
        for node, count in uses.items()
        if isinstance(node, GroupSum) or (count > 1 and not isinstance(node, Column | Constant))
    }


type _Level = tuple[int, int]
"""Number of joins below an expression, its own included, and of the `select`s since then."""


def _levels(roots: Sequence[Expr], shared: set[Expr]) -> dict[Expr, _Level]:
    """Return the level of each shared expression: above the highest of those that it uses.

    All sums of groups that need no other are of one level, so that rows are not read again for each.
    """
    highest: dict[Expr, _Level] = {}

    def of(node: Expr) -> _Level:
        if node not in highest:
            joins, selects = max((of(child) for child in children(node)), default=(0, 0))
            if isinstance(node, GroupSum):
                highest[node] = joins + 1, 0
            else:
                highest[node] = joins, selects + (node in shared)
        return highest[node]

    for root in roots:
        of(root)
    return {node: highest[node] for node in highest if node in shared}


def _at(levels: Mapping[Expr, _Level], level: _Level) -> list[Expr]:
    return [node for node, own in levels.items() if own == level]
