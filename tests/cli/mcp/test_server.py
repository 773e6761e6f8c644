"""The tools as a client of the package sees them, in one process, on both event loops."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, MCPError
from mcp_types import CallToolResult, TextContent

from cqox.api.session import Session
from cqox.cli.mcp import server as module
from cqox.cli.mcp.requests import Files
from cqox.cli.mcp.roots import Roots
from cqox.cli.mcp.server import make_server
from cqox.cli.mcp.summaries import MOST_BYTES
from cqox.cli.mcp.tools import Tool, Workplace
from cqox.datasets import sample_path
from tests.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.anyio

FILE = "試験.csv"
MAPPING = {"y": "y", "treatment": "w", "covariates": ["x1", "x2"]}


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def place(session: Session, tmp_path: Path) -> Workplace:
    shutil.copy(sample_path("test"), tmp_path / FILE)
    return Workplace(roots=Roots([tmp_path]), session=session, language="en")


@asynccontextmanager
async def connected(place: Workplace, mode: str = "auto") -> AsyncIterator[Client]:
    with anyio.fail_after(PATIENCE_SECONDS):
        async with Client(make_server(place), mode=mode) as client:
            yield client


def error_of(result: CallToolResult) -> dict[str, Any]:
    assert result.is_error
    return result.structured_content["error"]


async def test_the_usual_order_of_calls_ends_in_an_answer(place: Workplace, anyio_backend: str):
    steps = list[str | None]()

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        steps.append(message)

    async with connected(place, "legacy") as client:
        assert client.server_info.name == "cqox"
        listed = await client.call_tool("list_datasets", {})
        path = listed.structured_content["files"][0]["path"]
        assert path == FILE
        described = await client.call_tool("describe_dataset", {"path": path})
        assert described.structured_content["rows"] == 1500
        roles = await client.call_tool("suggest_roles", {"path": path, "language": "ja"})
        assert roles.structured_content["mapping"]["treatment"] == "w"
        assert "役割" in roles.structured_content["candidates"]["treatment"][0]["reasons"]
        # A stored analysis has no steps.
        options = {"estimators": ["aipw"], "seed": len(anyio_backend)}
        arguments = {"path": path, "mapping": MAPPING, "options": options, "language": "ja"}
        answer = await client.call_tool("analyze", arguments, progress_callback=on_progress)
        assert not answer.is_error
        assert answer.structured_content["verdict"] == "CANARY"
        assert "関連" in answer.structured_content["headline"]
        assert abs(answer.structured_content["primary"]["estimate"] - 2.0) < 1.0
        (text,) = answer.content
        assert isinstance(text, TextContent)
        assert len(text.text.encode()) < MOST_BYTES
        assert "estimate.aipw" in steps
        assert "estimate.iv_2sls" not in steps


async def test_words_of_every_kind_are_explained(place: Workplace):
    names = ["canary", "overlap", "parallel_trends", "totals-rows", "aipw", "cohort", "assignment", "untested"]
    async with connected(place) as client:
        found = (await client.call_tool("explain", {"names": names, "language": "ja"})).structured_content
        assert [each["kind"] for each in found["definitions"]] == [
            "verdict", "gate", "assumption", "finding", "estimator", "role", "option", "status",
        ]  # fmt: skip
        assert "試行" in found["definitions"][0]["meaning"]
        wrong = error_of(await client.call_tool("explain", {"names": ["overlapp"]}))
        assert wrong["choices"][0] == "overlap"


async def test_estimators_are_listed_by_the_roles_that_there_are(place: Workplace):
    async with connected(place) as client:
        every = (await client.call_tool("list_estimators", {})).structured_content["estimators"]
        some = (await client.call_tool("list_estimators", {"roles": ["y", "treatment"]})).structured_content
        assert {"difference_in_means"} <= {each["name"] for each in some["estimators"]}
        assert len(some["estimators"]) < len(every)
        assert error_of(await client.call_tool("list_estimators", {"family": "x"}))["choices"]
        words = (await client.call_tool("list_estimators", {"roles": ["outcome", "treatment"]})).structured_content
        assert words == some
        none = (await client.call_tool("list_estimators", {"roles": ["weights"]})).structured_content
        assert none == {"estimators": []}


@pytest.mark.parametrize(
    ("tool", "arguments", "choice"),
    [
        ("analyze", {"path": FILE, "mapping": {"y": "no", "treatment": "w"}}, "y"),
        ("analyze", {"path": FILE, "mapping": {"outcom": "y"}}, "y"),
        ("analyze", {"path": FILE, "mapping": MAPPING, "options": {"sead": 1}}, "seed"),
        ("analyze", {"path": FILE, "mapping": MAPPING, "read": {"colour": 1}}, "encoding"),
        ("analyze", {"path": FILE}, None),
        ("analyze", {"path": FILE, "mapping": []}, None),
        ("describe_dataset", {"path": "試.csv"}, FILE),
        ("describe_dataset", {"path": "/etc/passwd"}, None),
        ("describe_dataset", {"path": FILE, "langage": "ja"}, "language"),
        ("list_datasets", {"folder": "../.."}, None),
        ("list_estimators", {"roles": ["y", "treatmnt"]}, "treatment"),
    ],
)
async def test_a_mistake_is_an_error_of_the_tool_with_choices(
    place: Workplace, tool: str, arguments: dict[str, Any], choice: str | None
):
    async with connected(place) as client:
        error = error_of(await client.call_tool(tool, arguments))
    assert error["detail"]
    assert (choice is None) == ("choices" not in error)
    assert choice is None or choice in error["choices"]


async def test_an_unknown_tool_is_an_error_of_the_protocol(place: Workplace):
    async with connected(place) as client:
        with pytest.raises(MCPError, match="list_datasets"):
            await client.call_tool("nope", {})


async def test_a_tool_that_breaks_says_so_without_details(place: Workplace, monkeypatch: pytest.MonkeyPatch):
    async def broken(*given: object) -> dict[str, Any]:
        raise RuntimeError("a secret")

    tool = Tool(name="broken", title="", description="", request=Files, run=broken)
    monkeypatch.setattr(module, "TOOLS", [tool])
    async with connected(place) as client:
        error = error_of(await client.call_tool("broken", {"language": "ja"}))
    assert "RuntimeError" in error["detail"]
    assert "予期せず" in error["detail"]
    assert "secret" not in error["detail"]


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_a_cancelled_call_ends_the_computation_and_the_next_one_is_answered(place: Workplace, mode: str):
    started = anyio.Event()

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        if message == "estimate.ols_adjustment":
            started.set()

    async with connected(place, mode) as client, anyio.create_task_group() as group:
        endless = {"path": FILE, "mapping": MAPPING, "options": {"repetitions": 100_000}}

        async def call() -> None:
            await client.call_tool("analyze", endless, progress_callback=on_progress)

        group.start_soon(call)
        await started.wait()
        group.cancel_scope.cancel()
    async with connected(place) as client:
        # One computation at a time: it would wait for the endless one.
        again = {
            "path": FILE,
            "mapping": {"y": "y", "treatment": "w"},
            "options": {"estimators": ["difference_in_means"]},
        }
        assert not (await client.call_tool("analyze", again)).is_error
