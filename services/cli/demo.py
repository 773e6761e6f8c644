"""The demonstration: one analysis through the gateway, with links to its results."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Self

import httpx
from pydantic import JsonValue
from rich.console import Console
from rich.text import Text

from cqox.api.estimates_table import show_report
from services.http.contract.api import operation

__all__ = ["Demonstration", "show"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Demonstration:
    """The gateway's response.

    Attributes:
        gateway_url: URL of the gateway.
        status: the HTTP status.
        answer: the report, or the problem.
    """

    gateway_url: str
    status: int
    answer: Mapping[str, JsonValue]

    @classmethod
    async def run(cls, client: httpx.AsyncClient, gateway_url: str) -> Self:
        """Request the example analysis of the documentation."""
        analyze = operation("analyze")
        response = await client.post(f"{gateway_url}{analyze.path}", json=analyze.example)
        return cls(gateway_url=gateway_url, status=response.status_code, answer=response.json())


def show(console: Console, demonstration: Demonstration) -> bool:
    """Print the report and its links; return False where the response is a problem."""
    answer, url = demonstration.answer, demonstration.gateway_url
    if demonstration.status != HTTPStatus.OK:
        text = f"The analysis was answered {demonstration.status}: {answer.get('detail')}"
        console.print(Text(text, style="red"), soft_wrap=True)
        return False
    show_report(console, answer)
    addresses = {"Report": f"{url}/api/analyses/{answer['analysis_id']}"}
    figures = answer["figures"]
    if isinstance(figures, dict):
        addresses |= {f"Figure {name}": f"{url}{path}" for name, path in figures.items()}
    console.print()
    for what, address in addresses.items():
        console.print(Text(f"{what}: {address}"), soft_wrap=True)
    return True
