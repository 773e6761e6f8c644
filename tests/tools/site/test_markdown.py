"""Markdown of a code host as Markdown of the site."""

import pytest

from tools.site.markdown import (
    rewrite_links,
    with_breakable_code,
    with_indented_lists,
    with_tabs,
    with_text_diagrams,
    without_comments,
)

_VOICES = """Before.

<!-- tabs -->
**Python**

```python
x = 1
```

**HTTP**

    cqox up

Then go on.
<!-- end -->

After.
"""


def test_voices_become_tabs_whose_content_is_indented() -> None:
    assert with_tabs(_VOICES) == (
        "Before.\n\n"
        '=== "Python"\n\n    ```python\n    x = 1\n    ```\n\n'
        '=== "HTTP"\n\n        cqox up\n\n    Then go on.\n\n'
        "\nAfter.\n"
    )


@pytest.mark.parametrize("content", ["text\n**A**\n\nx\n\n**B**\n\ny\n", "**A**\n\nx\n", ""])
def test_tabs_without_two_voices_are_refused(content: str) -> None:
    with pytest.raises(ValueError, match="two headings"):
        with_tabs(f"<!-- tabs -->\n{content}<!-- end -->\n")


def test_a_chain_of_layers_becomes_text() -> None:
    chain = '```mermaid\nflowchart TB\n    L0["a | b"]\n    L1["c |<br/>d"]\n    L0 --> L1\n```\n'
    assert with_text_diagrams(chain) == "```text\na | b\n  ↓\nc | d\n```\n"


@pytest.mark.parametrize("lines", ['    L0["a"]\n    L1["b"]\n', '    L0["a"]\n    L1["b"]\n    L1 --> L0\n', ""])
def test_a_diagram_that_is_no_chain_is_refused(lines: str) -> None:
    with pytest.raises(ValueError, match="no chain"):
        with_text_diagrams(f"```mermaid\nflowchart TB\n{lines}```\n")


def test_links_get_other_targets_and_lose_those_that_have_none() -> None:
    targets = {"a.md#x": "b/a.md#x", "pic.svg": "pic.svg"}
    text = "[one](a.md#x), [`two`](gone.py), ![three](pic.svg), [four](https://x.org/y)\n```\n[five](a.md#x)\n```\n"
    assert rewrite_links(text, targets.get) == (
        "[one](b/a.md#x), `two`, ![three](pic.svg), [four](https://x.org/y)\n```\n[five](a.md#x)\n```\n"
    )


def test_comments_go_and_those_in_code_stay() -> None:
    assert without_comments("<!-- a: b -->\nx\n```\n<!-- c -->\n```\n") == "x\n```\n<!-- c -->\n```\n"


def test_lists_are_set_off_and_nested_by_four_spaces() -> None:
    text = "Text:\n- one\n  goes on\n  - two\n- three\n\nText\n    code\n"
    assert with_indented_lists(text) == "Text:\n\n- one\n    goes on\n    - two\n- three\n\nText\n    code\n"


def test_code_in_cells_breaks_between_words_alone() -> None:
    text = "`a_b`\n\n| [`c/d_e`](x_y.md) | `*a \\| [b]*` | `--g-h i` |\n|---|---|\n```\n| `f_g` |\n```\n"
    assert with_breakable_code(text) == (
        "`a_b`\n\n| [<code>c/<wbr>d&#95;<wbr>e</code>](x_y.md) | <code>&#42;a &#124; &#91;b&#93;&#42;</code> "
        "| <code><span>--g-h</span> i</code> |\n|---|---|\n```\n| `f_g` |\n```\n"
    )
