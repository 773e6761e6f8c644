import pytest

from services.config.configuration import SettingsError
from services.config.settings import Settings
from services.http.security.hop import hop_keys


def test_without_a_key_nothing_is_signed():
    assert hop_keys(Settings(), "engine") is None
    assert hop_keys(Settings(auth="open"), "engine") is None


def test_requiring_keys_without_one_between_the_services_ends_the_start():
    with pytest.raises(SettingsError, match="CQOX_HOP_KEY_FILE"):
        hop_keys(Settings(auth="keys"), "engine")


def test_two_keys_are_taken_while_one_is_replaced():
    keys = hop_keys(Settings(auth="keys", hop_key=f"{'n' * 32}, {'o' * 32}"), "engine")
    old = hop_keys(Settings(auth="keys", hop_key="o" * 32), "engine")
    assert keys is not None
    assert old is not None
    made = old.sign("p", method="GET", target=b"/", now=0.0)
    assert keys.verifies(made, "p", method="GET", target=b"/", now=0.0)


def test_a_short_key_ends_the_start_without_being_shown():
    with pytest.raises(SettingsError, match="at least 32") as refused:
        hop_keys(Settings(auth="keys", hop_key="hunter2"), "engine")
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("auth", ["keys", "oidc"])
def test_certificates_do_in_place_of_a_key_where_the_engine_demands_that_of_a_gateway(tmp_path, auth):
    both = Settings(auth=auth, tls_dir=tmp_path, tls_peers="spiffe://cqox/gateway")
    assert hop_keys(both, "engine") is None
    assert hop_keys(both, "gateway") is None
    assert hop_keys(Settings(auth=auth, tls_dir=tmp_path), "gateway") is None
    for peers in ("", "spiffe://cqox/other"):
        with pytest.raises(SettingsError, match="CQOX_TLS_PEERS=spiffe://cqox/gateway"):
            hop_keys(Settings(auth=auth, tls_dir=tmp_path, tls_peers=peers), "engine")
