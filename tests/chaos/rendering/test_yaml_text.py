"""Another reader of YAML finds what was written."""

import yaml
from hypothesis import given
from hypothesis import strategies as st

from cqox.chaos.rendering.yaml_text import to_yaml

TEXTS = st.one_of(
    st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), max_size=12),
    st.sampled_from(
        ["yes", "No", "on", "null", "~", "1", "1e3", "2026-11-29", "6s", "a: b", "a #b", "- a", "0x1f", "="]
    ),
)
VALUES = st.recursive(
    st.one_of(TEXTS, st.integers(-(10**9), 10**9), st.booleans()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=12,
)


@given(st.dictionaries(TEXTS, VALUES, min_size=1, max_size=4))
def test_what_was_written_is_read(document: dict) -> None:
    assert yaml.safe_load(to_yaml(document)) == document


def test_it_is_in_block_style_and_in_order() -> None:
    document = {"b": {"x": [1, {"k": "v", "l": []}]}, "a": "6s", "c": "über"}
    assert to_yaml(document) == 'b:\n  x:\n    - 1\n    - k: v\n      l: []\na: "6s"\nc: "über"\n'
