"""Reports of a server."""

import json
from collections.abc import Mapping, Sequence
from urllib.parse import quote

from pydantic import JsonValue

from cqox.contract.messages import LANGUAGES, Message
from cqox.errors import EngineUnavailable, InvalidRequest, NotFound

__all__ = ["list_reports", "load_report"]

_SECONDS = 60.0
_LATEST = 20


def load_report(server: str, analysis_id: str, *, figures: bool) -> tuple[bytes, bytes]:
    """Return a report and the specifications of its figures, as JSON bytes.

    Args:
        server: URL of a gateway or an engine.
        analysis_id: the report.
        figures: whether specifications are wanted; without, there are none.

    Raises:
        NotFound: the server has no such report.
        InvalidRequest: the URL is none.
        EngineUnavailable: the server does not answer, or not with a report.
    """
    path = f"/api/analyses/{quote(analysis_id, safe='')}"
    document = _get(server, path)
    named = document.get("figures")
    names = [*named] if figures and isinstance(named, dict) else []
    specs = {name: _get(server, f"{path}/figures/{quote(name, safe='')}.json") for name in names}
    return json.dumps(document).encode(), json.dumps(specs).encode()


def list_reports(server: str) -> Sequence[Mapping[str, JsonValue]]:
    """Return the latest reports of a server, newest first.

    Raises:
        InvalidRequest, EngineUnavailable: as by `load_report`.
    """
    found = _get(server, f"/api/analyses?limit={_LATEST}").get("analyses")
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _get(server: str, path: str) -> dict[str, JsonValue]:
    try:
        import httpx
    except ModuleNotFoundError as error:
        raise InvalidRequest(Message("terminal.server-needs", package=error.name)) from error
    try:
        answer = httpx.get(
            server.rstrip("/") + path, headers={"Accept-Language": LANGUAGES[0]}, timeout=_SECONDS, trust_env=False
        )
        document = answer.json()
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise InvalidRequest(Message("terminal.no-server-url", server=server)) from error
    except httpx.TransportError as error:
        raise EngineUnavailable(
            Message("terminal.server-silent", server=server, reason=str(error) or type(error).__name__)
        ) from error
    except ValueError as error:
        raise EngineUnavailable(Message("terminal.no-server-of-cqox", server=server)) from error
    if not isinstance(document, dict) or (answer.is_error and "detail" not in document):
        raise EngineUnavailable(Message("terminal.no-server-of-cqox", server=server))
    if answer.status_code == httpx.codes.NOT_FOUND:
        raise NotFound(str(document["detail"]))
    if answer.is_error:
        raise EngineUnavailable(
            Message("terminal.server-refused", server=server, status=answer.status_code, reason=str(document["detail"]))
        )
    return document
