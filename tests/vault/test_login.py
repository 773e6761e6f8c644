import json
from pathlib import Path

import pytest

from cqox.vault import VaultMisused
from cqox.vault.login import read_login

JWT = "eyJhbGciOiJub25lIn0.e30.c2ln"
APP_ROLE = {"role_id": "r" * 36, "secret_id": "s" * 36}


def written(folder: Path, content: object) -> Path:
    file = folder / "role.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    file.chmod(0o600)
    return file


def test_an_app_role_logs_in_by_both_ids(tmp_path: Path) -> None:
    login = read_login(written(tmp_path, APP_ROLE))
    assert (login.path, dict(login.body)) == ("auth/approle/login", APP_ROLE)
    assert "sss" not in repr(login)


def test_an_auth_method_may_be_at_another_path(tmp_path: Path) -> None:
    login = read_login(written(tmp_path, APP_ROLE | {"mount": "teams/a"}))
    assert (login.path, dict(login.body)) == ("auth/teams/a/login", APP_ROLE)


def test_a_bare_token_logs_in_with_the_default_role(tmp_path: Path) -> None:
    login = read_login(written(tmp_path, f"{JWT}\n"))
    assert (login.path, dict(login.body)) == ("auth/jwt/login", {"jwt": JWT})


def test_a_token_with_its_role(tmp_path: Path) -> None:
    login = read_login(written(tmp_path, {"role": "engine", "jwt": JWT, "mount": "kubernetes"}))
    assert (login.path, dict(login.body)) == ("auth/kubernetes/login", {"role": "engine", "jwt": JWT})


def test_the_file_of_a_token_is_read_at_each_login(tmp_path: Path) -> None:
    file = tmp_path / "token"
    role = written(tmp_path, {"role": "engine", "jwt_file": str(file)})
    for token in (JWT, JWT + "2"):
        file.write_text(token)
        file.chmod(0o600)
        assert read_login(role).body == {"role": "engine", "jwt": token}
    file.write_text("no token")
    with pytest.raises(VaultMisused, match="holds no JSON Web Token"):
        read_login(role)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "hello",
        "{",
        [],
        {},
        {"role_id": "r"},
        {"secret_id": "planted"},
        APP_ROLE | {"role_id": ""},
        APP_ROLE | {"secret_id": 5},
        APP_ROLE | {"jwt": JWT},
        APP_ROLE | {"planted": "x"},
        {"role": "x"},
        {"jwt": JWT, "jwt_file": "/x"},
        APP_ROLE | {"mount": "../sys"},
        APP_ROLE | {"mount": "a b"},
    ],
)
def test_another_form_is_refused_without_its_content(content: object, tmp_path: Path) -> None:
    with pytest.raises(VaultMisused, match=r"role\.json") as raised:
        read_login(written(tmp_path, content))
    assert JWT not in str(raised.value)
    assert "sss" not in str(raised.value)


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o660, 0o606, 0o644])
def test_a_file_that_others_can_read_is_refused(mode: int, tmp_path: Path) -> None:
    file = written(tmp_path, APP_ROLE)
    file.chmod(mode)
    with pytest.raises(VaultMisused, match="chmod 600"):
        read_login(file)


def test_a_file_that_is_missing_or_too_long_or_no_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(VaultMisused, match="No such file"):
        read_login(tmp_path / "none")
    with pytest.raises(VaultMisused, match="65,536"):
        read_login(written(tmp_path, "x" * 70_000))
    file = written(tmp_path, "")
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(VaultMisused, match="UTF-8"):
        read_login(file)
