"""Different texts of the columns of CSV files in place, and what some of them say of a column whatever the others are.

Texts are those of `cqox.engines.csv_kinds.tidy_text`.
"""

from collections.abc import Mapping, Sequence

import polars as pl

from cqox.datasets.interpret import interpret
from cqox.datasets.missing import ALWAYS_MISSING, MARKS, PLUS_SIGNS, WORDS_AMONG_NUMBERS
from cqox.engines.duckdb_engine import DuckDBEngine

__all__ = ["MOST_TEXTS", "different_texts", "listed", "literal", "proves_words", "texts_beyond"]

MOST_TEXTS = 100_000
"""Different texts of a column that are looked up."""
_SURELY_TOO_MANY = 2
"""Times that number above which an estimate leaves no doubt."""
_SOME_TEXTS = 20_000
_LOOKED_AT = 30
"""Texts among which one that proves words is looked for."""
_DAY_OR_MONTH = r"[0-9０-９]\s*[-/.．／－]\s*[0-9０-９]"
"""Parts of a date whose order the other dates of a column may show."""
_NO_PROOF = (*ALWAYS_MISSING, *MARKS, *WORDS_AMONG_NUMBERS, *PLUS_SIGNS, "true", "false")


def proves_words(texts: pl.Series) -> bool:
    """Return whether one of the first texts is a word that keeps a column from numbers, codes, dates and truths.

    Args:
        texts: different ones, without null.
    """
    some = texts.filter(~texts.str.to_lowercase().is_in(_NO_PROOF) & ~texts.str.contains(_DAY_OR_MONTH))
    return any(_is_word(text) for text in some.head(_LOOKED_AT).to_list())


def _is_word(text: str) -> bool:
    """Return whether a text alone is neither a number, with a decimal point or comma, nor a code or a date."""
    for decimal in ".,":
        found = interpret(pl.Series([text]), decimal=decimal)
        if found.is_code or found.infinite or found.values.dtype != pl.String:
            return False
    return True


def different_texts(cells: pl.Series) -> pl.Series:
    """Return the different texts of cells as the rules of missing values take them."""
    texts = cells.drop_nulls().cast(pl.String).str.strip_chars().str.normalize("NFC").unique(maintain_order=True)
    return texts.filter(texts != "")


def texts_beyond(
    engine: DuckDBEngine, raw: str, texts: Mapping[str, str], known: Mapping[str, str], *, most: int
) -> dict[str, tuple[pl.Series, bool]]:
    """Return the different texts of columns, of all rows, other than those that a condition is true of.

    One pass counts them and a second one reads those of the columns that have some; columns without are left out.

    Args:
        engine: reads them.
        raw: what follows `from` to read the cells as texts.
        texts: name to the text of a column in it.
        known: name to the condition; the columns that are read.
        most: different texts of a column beyond which some are returned.

    Returns:
        Name to the texts, in order, and whether they are all.
    """
    if not known:
        return {}
    beyond = {name: f"(case when not coalesce({known[name]}, false) then {texts[name]} end)" for name in known}
    asked = ", ".join(f"approx_count_distinct({text}), count({text})" for text in beyond.values())
    [row] = engine.connection.execute(f"select {asked} from {raw}").fetchall()
    about = {name: row[2 * place] for place, name in enumerate(beyond) if row[2 * place + 1]}
    # Estimated first, so that the pass that reads the texts of all columns takes little memory.
    few = [name for name, count in about.items() if count <= _SURELY_TOO_MANY * most]
    found = dict(zip(few, _read(engine, raw, [beyond[name] for name in few]), strict=True))
    result: dict[str, tuple[pl.Series, bool]] = {}
    for name in about:
        if name in found and found[name].len() <= most:
            result[name] = found[name].alias(name), True
        else:
            one = f"select distinct {beyond[name]} as t from {raw} where {beyond[name]} is not null limit {_SOME_TEXTS}"
            some = pl.DataFrame(engine.connection.sql(one))["t"].cast(pl.String)
            result[name] = some.sort().alias(name), False
    return result


def _read(engine: DuckDBEngine, raw: str, texts: Sequence[str]) -> list[pl.Series]:
    if not texts:
        return []
    pairs = f"select unnest(range({len(texts)})) as place, unnest([{', '.join(texts)}]) as t from {raw}"
    asked = f"select distinct place, t from ({pairs}) p where t is not null"
    read = pl.DataFrame(engine.connection.sql(asked)).sort("place", "t")
    return [read.filter(pl.col("place") == place)["t"].cast(pl.String) for place in range(len(texts))]


def listed(texts: Sequence[str]) -> str:
    """Return texts as literals of a statement, with commas between them."""
    return ", ".join(map(literal, texts))


def literal(text: str) -> str:
    """Return a text as a literal of a statement."""
    return "'" + text.replace("'", "''") + "'"
