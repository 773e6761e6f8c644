import pytest

from cqox.vault import Vault, VaultRefused, VaultUnavailable
from cqox.vault.kv import read_field
from tests.servers.openbao import OpenBao

pytestmark = pytest.mark.xdist_group("openbao")


@pytest.fixture
def written(bao: OpenBao) -> None:
    fields = {"plain": "a b#c", "line": "with an end\n", "empty": " ", "lines": "a\nb", "number": 5}
    bao.write("secret/data/cqox/deep/er", data=fields)


@pytest.mark.usefixtures("written")
def test_a_field_is_read_without_the_end_of_its_line(vault: Vault) -> None:
    assert read_field(vault, "secret/cqox/deep/er#plain") == "a b#c"
    assert read_field(vault, "secret/cqox/deep/er#line") == "with an end"


@pytest.mark.usefixtures("written")
def test_the_latest_version_is_read(vault: Vault, bao: OpenBao) -> None:
    bao.write("secret/data/cqox/deep/er", data={"plain": "newer"})
    assert read_field(vault, "secret/cqox/deep/er#plain") == "newer"
    bao.request("DELETE", "secret/data/cqox/deep/er")
    with pytest.raises(ValueError, match="there is no secret cqox/deep/er"):
        read_field(vault, "secret/cqox/deep/er#plain")


@pytest.mark.usefixtures("written")
@pytest.mark.parametrize(
    ("field", "reason"),
    [
        ("none", "no text in the field none"),
        ("empty", "no text"),
        ("number", "no text"),
        ("lines", "more than one line"),
    ],
)
def test_what_is_no_line_of_text_is_refused_without_its_value(vault: Vault, field: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as raised:
        read_field(vault, f"secret/cqox/deep/er#{field}")
    assert "a\nb" not in str(raised.value)


@pytest.mark.parametrize(
    "reference",
    [
        *("", "secret", "secret/path", "secret#field", "/path#field", "secret/path#"),
        *("secret/../sys/seal#a", "secret/a?b#c", "secret/a b#c", "secret/a#b#c"),
    ],
)
def test_another_form_is_refused_before_anything_is_asked(vault: Vault, reference: str) -> None:
    with pytest.raises(ValueError, match="it must be vault:<mount>/<path>#<field>"):
        read_field(vault, reference)
    assert vault.token_number == 0


def test_what_is_not_there_or_not_allowed_is_said(vault: Vault, bao: OpenBao) -> None:
    with pytest.raises(ValueError, match="no secret cqox/none in a KV 2 engine at secret/"):
        read_field(vault, "secret/cqox/none#a")
    with pytest.raises(VaultRefused, match="does not allow GET secret/data/others"):
        read_field(vault, "secret/others#a")
    with bao.sealed(), pytest.raises(VaultUnavailable):
        read_field(vault, "secret/cqox/deep/er#plain")
