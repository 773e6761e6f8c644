"""Requests on the socket of a system; start and end as a process are in `test_command.py`."""

import json
import os
from pathlib import Path

import pytest
import trio

from cqox.chaos.toolkit.serving import serve
from cqox.chaos.toolkit.state import State
from tests.chaos.experiments.scripted import Scripted, experiment

pytestmark = pytest.mark.trio


async def exchanged(path: str, content: bytes) -> bytes:
    stream = await trio.open_unix_socket(path)
    async with stream:
        await stream.send_all(content)
        await stream.send_eof()
        return b"".join([piece async for piece in stream])


async def test_one_line_is_one_request_and_a_client_that_leaves_harms_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Standard input that stays open, and ends when the test says so.
    reader, writer = os.pipe()
    monkeypatch.setattr(os, "dup", lambda number: reader if number == 0 else number)
    state, said = tmp_path / "state.json", []
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:

            async def served() -> None:
                assert await serve(experiment(), Scripted().open, state, say=said.append)

            nursery.start_soon(served)
            while not state.exists():
                await trio.sleep(0.01)
            path = State.read(state).socket
            assert json.loads(await exchanged(path, b"promises\n")) == {"holds": True, "lines": []}
            assert json.loads(await exchanged(path, b"\xff\n"))["holds"] is False
            assert await exchanged(path, b"promises") == b""
            left = await trio.open_unix_socket(path)
            await left.send_all(b"steady\n")
            await trio.aclose_forcefully(left)
            assert json.loads(await exchanged(path, b"break 1\n"))["holds"] is True
            assert Path(path).parent.stat().st_mode & 0o077 == 0
            os.close(writer)
    assert not state.exists()
    assert "break 1: holds" in said
