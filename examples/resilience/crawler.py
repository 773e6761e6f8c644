"""Fetch pages of many hosts, and print as JSON which pages came and why the others did not.

    python crawler.py https://example.org/ https://example.org/about https://example.com/

Twenty hosts are asked at once, each for one page at a time. A host that is down keeps its own place until its circuit
opens; the rest of its pages is then left out without asking. A host that is busy (429 or 503) is asked again
when it said.
"""

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import anyio
import httpx

from cqox.resilience import Bulkhead, CircuitBreaker, DeadlineExceeded, Policy, Rejected, Retry, Timeout, deadline
from cqox.resilience.adapters.httpx import ResilientTransport
from cqox.tasks import open_task_group

HOSTS_AT_ONCE = 20
PAGE_SECONDS = 60.0
"""Time of a page: all attempts, the pauses between them and the body."""
PAGE_BYTES = 10_000_000
"""The part of a page that is read."""


@dataclass(kw_only=True)
class Report:
    """Bytes of each page that came, and the reason of each that did not."""

    got: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


def hosts(attempt_seconds: float) -> Policy:
    """Return the policy of which every host gets its own: `policy.for_key(host)`."""
    return Policy(
        "hosts",
        CircuitBreaker("host", failure_threshold=2, recovery_timeout=300.0),
        Retry(3, base_delay=0.1, max_retry_after=30.0),
        Timeout(attempt_seconds),
    )


async def fetch(client: httpx.AsyncClient, url: str) -> int:
    """Return how many bytes a page has; `PAGE_BYTES` at most are read."""
    with deadline(PAGE_SECONDS):
        async with client.stream("GET", url) as response:
            response.raise_for_status()
            size = 0
            async for part in response.aiter_bytes():
                size += len(part)
                if size >= PAGE_BYTES:
                    break
            return size


async def visit(client: httpx.AsyncClient, urls: Sequence[str], report: Report) -> None:
    """Fetch the pages of one host, one after the other."""
    for url in urls:
        try:
            report.got[url] = await fetch(client, url)
        except httpx.HTTPStatusError as error:
            report.left_out[url] = f"status {error.response.status_code}"
        except (Rejected, TimeoutError, DeadlineExceeded, httpx.HTTPError, httpx.InvalidURL) as error:
            report.left_out[url] = f"{type(error).__name__}: {error}"


async def crawl(urls: Sequence[str], attempt_seconds: float) -> Report:
    """Return what came of the pages; no failure of a host or a page is raised."""
    pages_of: dict[str, list[str]] = defaultdict(list)
    for url in dict.fromkeys(urls):
        pages_of[url.split("/")[2] if "://" in url else ""].append(url)
    report = Report()
    place = Bulkhead(HOSTS_AT_ONCE, max_queued=len(pages_of))(visit)
    transport = ResilientTransport(hosts(attempt_seconds).for_key, httpx.AsyncHTTPTransport())
    async with httpx.AsyncClient(transport=transport, follow_redirects=True, timeout=attempt_seconds) as client:
        async with open_task_group("crawl") as group:
            for pages in pages_of.values():
                group.start_soon(place, client, pages, report)
    return report


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the report; return 1 where a page was left out."""
    parser = argparse.ArgumentParser(description="Fetch pages, and say which came.")
    parser.add_argument("urls", nargs="+", metavar="URL")
    parser.add_argument("--attempt-seconds", type=float, default=5.0, help="until the head of an answer is there")
    options = parser.parse_args(arguments)
    report = anyio.run(crawl, options.urls, options.attempt_seconds)
    print(json.dumps(asdict(report), indent=2))
    return 1 if report.left_out else 0


if __name__ == "__main__":
    sys.exit(main())
