import socket

import pytest

from services.config.configuration import SettingsError
from services.config.settings import Settings
from services.http.server.exposure import check_exposure
from services.http.server.sockets import listen


def check(host: str, settings: Settings) -> None:
    sockets = listen(host, 0)
    try:
        check_exposure(settings, sockets)
    finally:
        for one in sockets:
            one.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "localhost"])
def test_a_service_without_a_login_listens_on_loopback(host: str):
    check(host, Settings(host=host))


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_it_listens_nowhere_else(host: str):
    with pytest.raises(SettingsError, match="CQOX_AUTH=keys") as refused:
        check(host, Settings(host=host))
    assert "CQOX_AUTH=open" in str(refused.value)


@pytest.mark.parametrize("auth", ["open", "keys"])
def test_it_listens_anywhere_where_its_operator_says_so(auth: str):
    check("0.0.0.0", Settings(host="0.0.0.0", auth=auth))


def test_a_unix_socket_is_of_this_machine(tmp_path):
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(tmp_path / "s"))
        check_exposure(Settings(), [one])
