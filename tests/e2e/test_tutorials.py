"""The commands and the clients of the documentation, sent to both services, print what the pages show."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.stack import Stack
from tools.examples import GATEWAY, asks_server, blocks, expected, outputs, sequences, with_outputs

ROOT = Path(__file__).parents[2]
_END = "--- end of block ---"
_PAGES = [page for page in sequences() if "\n```sh\n" in page.read_text(encoding="utf-8")]
_CLIENTS = [page for page in sequences() if asks_server(page.read_text(encoding="utf-8"))]


def _name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", _PAGES, ids=_name_of)
def test_the_commands_of_a_page_print_what_it_shows(page: Path, stack: Stack, tmp_path: Path) -> None:
    # One shell for all of a page, as a reader has; the program between the commands writes files.
    shown = blocks(page.read_text(encoding="utf-8"))
    texts = {block.start: text for block, text in expected(shown, "sh")}
    lines, program, ran = ["set -e"], "", ""
    for number, block in enumerate(shown):
        if block.language == "python" and block.shared:
            program += block.content
        elif block.language == "sh":
            if program != ran:
                (tmp_path / f"program{number}.py").write_text(program, encoding="utf-8")
                lines.append(f"python program{number}.py > /dev/null")
                ran = program
            lines += [block.content.replace(GATEWAY, str(stack.gateway.url)), f"echo '{_END}'"]
    (tmp_path / ".curlrc").write_text("fail-with-body\nshow-error\n")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", "\n".join(lines)],
        cwd=tmp_path,
        env={**os.environ, "PATH": path, "CURL_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    printed = done.stdout.split(f"{_END}\n")
    for output, (start, text) in zip(printed, texts.items(), strict=False):
        if text is not None:
            assert output == text.content, f"{page.name}, character {start}"


@pytest.mark.parametrize("page", _CLIENTS, ids=_name_of)
def test_the_clients_of_a_page_print_what_it_shows(
    page: Path, stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = page.read_text(encoding="utf-8")
    assert with_outputs(text, outputs(page, text, str(stack.gateway.url))) == text, "run: python -m tools.examples"
