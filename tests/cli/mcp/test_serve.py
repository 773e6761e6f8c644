"""The server as a process, by the client of the package, and by hand."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, StdioServerParameters

from cqox.cli.mcp.serve import Lines, serve
from cqox.datasets import sample_path
from tests.waiting import PATIENCE_SECONDS

COMMAND = [sys.executable, "-m", "cqox", "mcp"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(sample_path("mini_retail"), tmp_path / "小売.csv")
    return tmp_path


@pytest.fixture
def by_hand(folder: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*COMMAND, "--root", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        yield process
        process.kill()


def send(process: subprocess.Popen[str], **message: Any) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    process.stdin.flush()


def received(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    return json.loads(process.stdout.readline())


def initialise(process: subprocess.Popen[str]) -> None:
    about = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "hand", "version": "1"}}
    send(process, id=1, method="initialize", params=about)
    assert received(process)["result"]["serverInfo"]["name"] == "cqox"
    send(process, method="notifications/initialized")


def test_a_client_starts_it_and_gets_an_answer_about_japanese_data(folder: Path):
    async def ask() -> None:
        arguments = [*COMMAND[1:], "--root", str(folder), "--lang", "ja"]
        environment = {"PYTHONPATH": os.environ.get("PYTHONPATH", "")}
        with anyio.fail_after(PATIENCE_SECONDS):
            async with Client(StdioServerParameters(command=COMMAND[0], args=arguments, env=environment)) as client:
                tools = {tool.name for tool in (await client.list_tools()).tools}
                assert tools >= {"list_datasets", "describe_dataset", "suggest_roles", "analyze", "explain"}
                roles = await client.call_tool("suggest_roles", {"path": "小売.csv"})
                mapping = roles.structured_content["mapping"]
                options = {"estimators": ["did_2x2_block"]}
                arguments_of_call = {"path": "小売.csv", "mapping": mapping, "options": options}
                answer = await client.call_tool("analyze", arguments_of_call)
                assert answer.structured_content["headline"].startswith("売上")

    anyio.run(ask)


def test_standard_output_holds_the_protocol_alone_and_it_ends_with_its_input(by_hand: subprocess.Popen[str]):
    initialise(by_hand)
    assert by_hand.stdin is not None
    by_hand.stdin.write("no JSON\n")
    call = {"name": "describe_dataset", "arguments": {"path": "none.csv"}}
    send(by_hand, id=2, method="tools/call", params=call)
    answer = received(by_hand)
    assert (answer["id"], answer["result"]["isError"]) == (2, True)
    out, _ = by_hand.communicate(timeout=PATIENCE_SECONDS)
    assert all(json.loads(line)["jsonrpc"] == "2.0" for line in out.splitlines())
    assert by_hand.returncode == 0


def test_a_signal_ends_it_quietly(by_hand: subprocess.Popen[str]):
    initialise(by_hand)
    by_hand.send_signal(signal.SIGTERM)
    assert by_hand.wait(PATIENCE_SECONDS) == 130
    assert by_hand.stderr is not None
    assert by_hand.stderr.read() == ""


def test_a_wrong_folder_and_a_missing_package_end_it_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    assert serve([tmp_path / "none"], language="en") == 2
    assert "does not exist" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "mcp.server.stdio", None)
    assert serve([tmp_path], language="en") == 2
    assert "pip install 'cqox[mcp]'" in capsys.readouterr().err


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_lines_come_whole_and_a_wait_for_one_can_be_interrupted(backend: str):
    async def read() -> list[str]:
        ours, theirs = os.pipe()
        lines = Lines(ours)
        os.write(theirs, "一\n二".encode()[:5])
        found = [await anext(lines)]
        with anyio.move_on_after(0.05):
            await anext(lines)
        # The interrupted wait takes this block, whose line is lost with it.
        os.write(theirs, b"?\n")
        os.close(theirs)
        return [*found, *[line async for line in lines]]

    assert anyio.run(read, backend=backend)[0] == "一"
