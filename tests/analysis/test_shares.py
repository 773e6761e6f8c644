"""Share links: what opens a report, and what does not."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cqox.analysis.results import Results
from cqox.analysis.shares import MOST_SHARES, TOKEN_PREFIX, Shares, no_shared_report
from cqox.errors import InvalidRequest, NotAllowed, NotFound, StoreUnavailable
from cqox.storage import SqliteStore
from tests.storage.bound import a_cache, in_default
from tests.storage.records import a_report

pytestmark = pytest.mark.anyio

ONE = a_report(1).analysis_id


class Clock:
    """A wall clock that stands still."""

    def __init__(self) -> None:
        self.at = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at


class Made:
    def __init__(self, store: SqliteStore) -> None:
        self.store, self.clock = store, Clock()
        self.results = Results(store, a_cache())
        self.shares = self.under(30.0)

    def under(self, most_days: float) -> Shares:
        """The shares under another setting of the operator."""
        return Shares(store=self.store, results=self.results, most_days=most_days, now=self.clock)


@asynccontextmanager
async def made(folder: Path) -> AsyncIterator[Made]:
    async with in_default(SqliteStore.open, folder / "results.sqlite") as store:
        await store.save(a_report(1))
        yield Made(store)


def stored_bytes(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir() if path.is_file())


async def is_refused(shares: Shares, token: str) -> bool:
    """Return whether a token is answered as every token that opens nothing."""
    with pytest.raises(NotFound) as caught:
        await shares.opened(token)
    expected = no_shared_report()
    return (caught.value.detail, caught.value.field, caught.value.choices) == (
        expected.detail, expected.field, expected.choices,
    )  # fmt: skip


async def test_a_token_opens_its_report_and_the_store_holds_its_digest_only(tmp_path: Path) -> None:
    async with made(tmp_path) as house:
        new = await house.shares.create(ONE)
        assert new.token.startswith(TOKEN_PREFIX)
        assert len(new.token) == len(TOKEN_PREFIX) + 43
        assert await house.shares.opened(new.token) == ONE
        assert new.share.digest == hashlib.sha256(new.token.encode()).hexdigest()
        assert (await house.shares.create(ONE)).token != new.token
    content = stored_bytes(tmp_path)
    assert new.share.digest.encode() in content
    assert new.token.encode() not in content
    assert new.token.removeprefix(TOKEN_PREFIX).encode() not in content


@pytest.mark.parametrize("token", ["", "x", TOKEN_PREFIX, TOKEN_PREFIX + "A" * 43, "\0", "\ud800", "é" * 10_000])
async def test_a_token_that_nobody_was_given_opens_nothing(tmp_path: Path, token: str) -> None:
    async with made(tmp_path) as house:
        await house.shares.create(ONE)
        assert await is_refused(house.shares, token)


async def test_every_token_that_opens_nothing_is_answered_in_the_same_way(tmp_path: Path) -> None:
    async with made(tmp_path) as house:
        withdrawn, expired, lives = [await house.shares.create(ONE, days=days) for days in (2, 1, 3)]
        await house.shares.revoke(ONE, withdrawn.share.share_id)
        assert await is_refused(house.shares, withdrawn.token)
        house.clock.at += timedelta(days=1)
        assert await is_refused(house.shares, expired.token)
        assert await house.shares.opened(lives.token) == ONE
        assert [share.share_id for share in await house.shares.of(ONE)] == [lives.share.share_id]
        # The operator allows none any more, or none of this age.
        assert await is_refused(house.under(0.0), lives.token)
        assert await is_refused(house.under(0.5), lives.token)
        assert list(await house.under(0.5).of(ONE)) == []
        await house.results.erase([ONE])
        assert await is_refused(house.shares, lives.token)
        await house.store.save(a_report(1))
        assert await is_refused(house.shares, lives.token)


async def test_links_are_created_only_where_they_are_allowed_and_only_for_so_long(tmp_path: Path) -> None:
    async with made(tmp_path) as house:
        with pytest.raises(NotAllowed, match="CQOX_SHARE_LINKS=on"):
            await house.under(0.0).create(ONE)
        with pytest.raises(InvalidRequest, match="30 days at most") as caught:
            await house.shares.create(ONE, days=31)
        assert caught.value.field == "days"
        with pytest.raises(NotFound, match="analysis"):
            await house.shares.create("nothing")
        for days, last in ((None, 30), (30, 30), (0.5, 0.5)):
            share = (await house.shares.create(ONE, days=days)).share
            assert datetime.fromisoformat(share.expires_at) == house.clock.at + timedelta(days=last)


async def test_a_link_of_the_same_id_gets_a_new_token(tmp_path: Path) -> None:
    async with made(tmp_path) as house:
        first, second = [await house.shares.create(ONE, share_id="same") for _ in range(2)]
        assert await is_refused(house.shares, first.token)
        assert await house.shares.opened(second.token) == ONE
        assert len(await house.shares.of(ONE)) == 1


async def test_a_report_has_a_bounded_number_of_links(tmp_path: Path) -> None:
    async with made(tmp_path) as house:
        for _ in range(MOST_SHARES):
            await house.shares.create(ONE)
        with pytest.raises(InvalidRequest, match="100 share links"):
            await house.shares.create(ONE)


async def test_a_report_that_is_not_stored_yet_is_not_shared(tmp_path: Path) -> None:
    async with made(tmp_path) as house:

        async def refused(report: object) -> bool:
            raise StoreUnavailable("away")

        house.store.save = refused  # type: ignore[method-assign, assignment]
        await house.results.keep(a_report(2))
        with pytest.raises(StoreUnavailable, match="not stored yet"):
            await house.shares.create(a_report(2).analysis_id)


async def test_only_links_of_the_report_are_withdrawn_and_listed(tmp_path: Path) -> None:
    async with made(tmp_path) as house:
        await house.store.save(a_report(2))
        share_id = (await house.shares.create(ONE)).share.share_id
        for key, wrong in ((a_report(2).analysis_id, share_id), (ONE, "nothing")):
            with pytest.raises(NotFound) as caught:
                await house.shares.revoke(key, wrong)
            assert caught.value.field == "share_id"
        assert list(await house.shares.of(a_report(2).analysis_id)) == []
        with pytest.raises(NotFound) as caught:
            await house.shares.of("nothing")
        assert caught.value.field == "analysis_id"
