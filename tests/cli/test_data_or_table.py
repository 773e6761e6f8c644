import pytest

from cqox.cli.data_or_table import data_or_table
from cqox.errors import InvalidRequest
from cqox.sources import Query, Source


def found(data: str | None, **given: object) -> Source | None:
    nothing = {"query": None, "read_options": (), "source": None, "table": None, "server": None}
    return data_or_table(data, **{**nothing, **given})  # type: ignore[arg-type]


def test_data_are_a_path_or_a_query_on_an_address() -> None:
    assert found("sales.csv") == "sales.csv"
    assert isinstance(found("sqlite:///shop.db", query="select 1"), Query)


def test_a_table_in_place_is_in_the_place_of_data() -> None:
    assert found(None, source="shop", table="public.sales", server="http://localhost") is None


@pytest.mark.parametrize(
    ("data", "given", "field"),
    [
        (None, {}, "DATA"),
        ("sales.csv", {"source": "shop", "table": "t"}, "--source"),
        (None, {"source": "shop", "server": "http://localhost"}, "--table"),
        (None, {"table": "t", "server": "http://localhost"}, "--source"),
        (None, {"source": "shop", "table": "t"}, "--server"),
        (None, {"source": "shop", "table": "t", "server": "http://localhost", "query": "select 1"}, "--query"),
        (None, {"source": "shop", "table": "t", "server": "http://localhost", "read_options": ["na=x"]}, "--read"),
    ],
)
def test_what_does_not_go_together_is_refused_by_its_flag(
    data: str | None, given: dict[str, object], field: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        found(data, **given)
    assert caught.value.field == field
