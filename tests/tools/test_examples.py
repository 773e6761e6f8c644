"""The examples of a page as one program."""

from pathlib import Path

from tools.examples import GATEWAY, asks_server, blocks, expected, outputs, with_outputs

_PAGE = """# A

```python
x = 2
```

<!-- tabs -->
**Python**

```python
print(x + 1)
```

**HTTP**

```sh
echo 3
```
<!-- end -->

```text
old
```

```python
print(x)
```

    indented
"""


def test_blocks_are_found_with_their_place_and_voice() -> None:
    found = blocks(_PAGE)
    assert [(block.language, block.shared) for block in found] == [
        ("python", True), ("python", False), ("sh", False), ("text", True), ("python", True),
    ]  # fmt: skip
    assert _PAGE[found[0].start :].startswith("x = 2\n")
    assert _PAGE.splitlines()[found[0].line] == "x = 2"


def test_two_voices_share_a_text_and_a_block_without_one_has_none() -> None:
    found = blocks(_PAGE)
    shown = {block.start: text for language in ("python", "sh") for block, text in expected(found, language)}
    assert [shown[found[place].start] for place in (0, 1, 2, 4)] == [None, found[3], found[3], None]


def test_a_page_is_run_as_one_program_and_written_with_its_output() -> None:
    page = with_outputs(_PAGE, outputs(Path("page.md"), _PAGE))
    assert page == _PAGE.replace("old\n", "3\n")


def test_a_page_that_asks_a_server_is_run_with_another_address() -> None:
    page = f"```python\nprint(len('{GATEWAY}'))\n```\n\n```text\n```\n"
    assert asks_server(page)
    assert not asks_server(page.replace("```python", "```sh"))
    assert with_outputs(page, outputs(Path("page.md"), page, "http://h")) == page.replace("text\n", "text\n8\n")
