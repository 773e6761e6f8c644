import json
import re
from pathlib import Path

import pytest

from cqox.contract.messages import LANGUAGES
from services.config.settings import Settings
from services.http.server.app import App
from services.page.routes import add_page

STATIC = Path(__file__).parents[3] / "services" / "page" / "static"
MOST_BYTES = 300_000
"""Of everything before the first figure, uncompressed."""


def client():
    app = App(__name__, title="Gateway", settings=Settings())
    add_page(app)
    return app.test_client()


async def shell(language: str = "en", path: str = "/"):
    return await client().get(path, headers={"Accept-Language": language})


@pytest.mark.trio
async def test_everything_that_the_shell_loads_comes_from_here_and_is_small():
    text = (await (await shell()).get_data()).decode()
    loaded = re.findall(r'(?:src|href)="([^"]+)"', text)
    assert "/page/js/main.js" in loaded
    size = len(text)
    for address in {*loaded, "/page/text.en.json"} - {"/"}:
        assert address.startswith("/page/")
        answer = await client().get(address)
        assert answer.status_code == 200, address
        size += len(await answer.get_data())
    assert size < MOST_BYTES
    assert "vega" not in text


@pytest.mark.trio
@pytest.mark.parametrize(
    "path", ["/", "/d/test", "/j/1", "/a/1", "/history", "/dashboard", "/dashboard/operations", "/s"]
)
async def test_every_address_of_the_page_gives_the_shell_in_the_language_of_the_reader(path):
    for language in LANGUAGES:
        answer = await shell(language, path)
        assert f'<html lang="{language}">' in (await answer.get_data()).decode()
        assert answer.headers["Content-Language"] == language
        assert answer.headers["Vary"] == "Accept-Language"


@pytest.mark.trio
async def test_the_policy_forbids_everything_inline_and_every_other_host():
    answer = await shell()
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert "*" not in policy
    text = (await answer.get_data()).decode()
    assert not re.search(r"<style|style=|<script(?![^>]*src=)|\son\w+=", text)


def test_modules_import_only_files_that_there_are():
    names = {path.relative_to(STATIC).as_posix() for path in STATIC.rglob("*.js")}
    for path in (STATIC / "js").glob("*.js"):
        for target in re.findall(r'(?:from|import)\s*\(?"(\.[^"]+)"', path.read_text(encoding="utf-8")):
            found = (path.parent / target).resolve().relative_to(STATIC.resolve()).as_posix()
            assert found in names, (path.name, target)


@pytest.mark.trio
async def test_the_sentences_are_the_same_in_every_language():
    texts = [json.loads(await (await client().get(f"/page/text.{each}.json")).get_data()) for each in LANGUAGES]
    assert texts[0].keys() == texts[1].keys()
    assert texts[0]["step-answer"] == "Answer"
    assert all(texts[1].values())


@pytest.mark.trio
async def test_what_has_not_changed_is_not_sent_again():
    first = await client().get("/page/page.css")
    again = await client().get("/page/page.css", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, await again.get_data()) == (304, b"")


@pytest.mark.trio
@pytest.mark.parametrize(
    "name", ["..%2Froutes.py", "shell.html", "js/none.js", "text.xx.json", "vendor/../../vendor.py"]
)
async def test_nothing_else_can_be_read_by_way_of_the_page(name):
    assert (await client().get(f"/page/{name}")).status_code == 404
