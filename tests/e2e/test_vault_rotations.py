"""Both services while all that a vault has issued to them is replaced: `make vault` runs this."""

from pathlib import Path

from tests.e2e.vaulted import vaulted
from tests.waiting import wait_until


def test_certificates_and_users_are_replaced_and_no_request_fails(tmp_path: Path) -> None:
    with vaulted(tmp_path, user=6, longest_user=10, certificate=9, token=10) as system:
        users = set[str]()

        def seen() -> int:
            users.update(system.postgres.users())
            return len(users)

        with system.load() as load:
            wait_until(lambda: seen() >= 4 and min(system.versions(each) for each in ("gateway", "engine")) >= 4)
        assert load.failed == {}
        assert load.answers["200"] > 100
