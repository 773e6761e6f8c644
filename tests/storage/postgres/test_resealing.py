"""The document of a report in PostgreSQL, which SQL queries: it follows the encryption of the report."""

import pytest

from cqox.storage import SealedStore
from cqox.storage.postgres import PostgresStore
from cqox.storage.sealing import TenantSealing
from tests.servers import Postgres
from tests.storage.bound import in_default
from tests.storage.records import a_report
from tests.storage.sealings import sealing_in

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("servers")]
BODY = b'{"estimates": [{"name": "aipw", "estimate": 1.5}], "mapping": {"y": "zanzibar"}}'


async def test_the_document_loses_all_but_numbers_and_gets_them_back(postgres_server: Postgres, tmp_path) -> None:
    url = postgres_server.fresh()
    schema = url.rpartition("%3D")[2]

    def seen() -> tuple[object, object]:
        ((document,),) = postgres_server.execute(f"SELECT document::text FROM {schema}.reports")
        return "zanzibar" in str(document), postgres_server.execute(f"SELECT name, estimate FROM {schema}.estimates")

    async with in_default(PostgresStore.open, url) as below:
        plain = SealedStore(below, TenantSealing())
        await plain.save(a_report(1, body=BODY))
        assert seen() == (True, [("aipw", 1.5)])
        sealing = sealing_in(tmp_path)
        row = await below.load(a_report(1).analysis_id)
        assert row is not None
        assert await SealedStore(below, sealing.of("default")).renew(row)
        assert seen() == (False, [("aipw", 1.5)])
        sealed = await below.load(a_report(1).analysis_id)
        assert sealed is not None
        back = SealedStore(below, type(sealing)(sealing.ring, seals=False).of("default"))
        assert await back.renew(sealed)
        assert seen() == (True, [("aipw", 1.5)])
        assert await below.load(a_report(1).analysis_id) == row
