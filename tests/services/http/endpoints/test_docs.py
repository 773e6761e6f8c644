import re

import pytest

from services.config.settings import Settings
from services.http.endpoints.docs import add_docs, redirect_to_docs
from services.http.server.app import App


def client():
    app = App(__name__, title="Gateway", settings=Settings())
    add_docs(app)
    redirect_to_docs(app)
    return app.test_client()


@pytest.mark.trio
async def test_the_page_loads_everything_it_needs_from_here():
    page = await client().get("/docs")
    text = (await page.get_data()).decode()
    assert page.content_type.startswith("text/html")
    loaded = re.findall(r'(?:src|href)="([^"]+)"', text)
    assert "/docs/swagger-ui-bundle.js" in loaded
    for address in loaded:
        assert address.startswith(("/", "data:"))
        if address.startswith("/"):
            assert (await client().get(address)).status_code == 200
    assert "script-src 'self'" in page.headers["Content-Security-Policy"]


@pytest.mark.trio
async def test_a_page_that_has_not_changed_is_not_sent_again():
    first = await client().get("/docs/swagger-ui.css")
    again = await client().get("/docs/swagger-ui.css", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, await again.get_data()) == (304, b"")


@pytest.mark.trio
async def test_the_description_is_json_and_the_root_leads_to_the_page():
    description = await client().get("/openapi.json")
    assert (await description.get_json())["openapi"] == "3.1.0"
    assert (await client().get("/")).headers["Location"] == "/docs"


@pytest.mark.trio
async def test_nothing_else_can_be_read_by_way_of_the_page():
    for name in ("..%2Fapp.py", "docs.html", "package.json"):
        answer = await client().get(f"/docs/{name}")
        assert answer.status_code == 404
