"""Handlers of the data sources that the operator has named."""

from anyio import CapacityLimiter
from quart import Response

from cqox import randomness
from cqox.analysis.source_datasets import add_source
from cqox.contract import near_words, shortened
from cqox.contract.messages import Message
from cqox.errors import NotFound, SourceUnavailable, UnreadableFile
from cqox.sources import Query, kind_of
from services.engine.answers import json_answer
from services.engine.datasets import created, read_options
from services.engine.pages import query_of
from services.engine.state import State
from services.engine.tenancy import mine, owner_of, tenant_of
from services.http.contract.registration import Handler
from services.http.request.request import current_request
from services.http.security.audited import note

__all__ = ["handlers"]

_AT_ONCE = 4


def handlers(state: State) -> dict[str, Handler]:
    """Return the handlers of the operations on named sources, by name."""
    limiter = CapacityLimiter(_AT_ONCE)

    async def list_sources() -> Response:
        query_of("list_sources")
        sources = [
            {
                "name": each.name,
                "kind": kind_of(each.source.address if isinstance(each.source, Query) else each.source),
                "meaning": each.meaning,
            }
            for each in state.sources.values()
        ]
        in_place = [
            {
                "name": each.name,
                "kind": "postgresql" if each.kind == "postgres" else each.kind,
                "meaning": each.meaning,
                "tables": list(each.tables),
            }
            for each in mine(state).places.of_tenant(tenant_of(current_request().scope))
        ]
        return json_answer({"sources": [*sources, *in_place]})

    async def list_columns(name: str) -> Response:
        table = query_of("list_columns").get("table", "")
        note(current_request().scope, kind="dataset", identity=f"source:{name}:{table}")
        return json_answer(await mine(state).place_columns.columns(name, table))

    async def read_source(name: str) -> Response:
        query_of("read_source")
        named = state.sources.get(name)
        if named is None:
            known = [*near_words(name, list(state.sources)), *state.sources]
            choices = list(dict.fromkeys(known))[:20]
            raise NotFound(Message("analysis.no-source", source=shortened(name)), field="name", choices=choices)
        datasets = mine(state).datasets
        await datasets.check_room()
        try:
            record = await add_source(
                datasets,
                mine(state).pool,
                named.source,
                scratch=datasets.plain_scratch / f"source-{randomness.token_hex(8)}",
                name=named.name,
                read_options=read_options(named.read),
                max_bytes=state.settings.max_upload_bytes,
                limiter=limiter,
                owner=owner_of(current_request().scope),
            )
        except UnreadableFile as error:
            # The client sent no file: the operator's source is at fault.
            raise SourceUnavailable(error.detail) from error
        return created(record)

    return {"list_sources": list_sources, "list_columns": list_columns, "read_source": read_source}
