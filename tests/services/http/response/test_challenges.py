from cqox.errors import NotAuthenticated, NotFound, PermissionMissing
from services.http.response.challenges import challenge_of


def test_the_challenge_names_the_class_of_the_refusal():
    field = "WWW-Authenticate"
    assert challenge_of(NotAuthenticated("none")) == {field: "Bearer"}
    assert challenge_of(NotAuthenticated("bad", reason="invalid_token")) == {field: 'Bearer error="invalid_token"'}
    assert challenge_of(PermissionMissing("no", permission="datasets:delete")) == {
        field: 'Bearer error="insufficient_scope", scope="datasets:delete"'
    }


def test_other_errors_have_no_challenge():
    assert challenge_of(NotFound("gone")) == {}
