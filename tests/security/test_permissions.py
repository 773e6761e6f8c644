from hypothesis import given
from hypothesis import strategies as st

from cqox.security import LOCAL, ROLES, Permission, Role, granted, may_know

NAMES = st.sampled_from([*Permission])
ROLE_NAMES = st.lists(st.sampled_from([*Role]))


def test_a_role_is_a_role_of_the_design():
    assert {role: len(ROLES[role]) for role in Role} == {
        "reader": 4,
        "analyst": 8,
        "steward": 11,
        "auditor": 2,
        "operator": 3,
        "platform": 3,
    }


def test_operator_and_platform_see_no_data():
    data = {each for each in Permission if each.partition(":")[0] in ("datasets", "analyses", "jobs", "sources")}
    assert not (granted(["operator", "platform", "auditor"]) & data)


@given(ROLE_NAMES, st.lists(NAMES))
def test_a_scope_only_narrows_a_role(roles: list[str], scopes: list[str]):
    whole, narrowed = granted(roles), granted(roles, scopes)
    assert narrowed <= whole
    assert narrowed == {each for each in whole if each in scopes or each == "api:use"}


def test_an_unknown_role_or_scope_grants_nothing():
    assert granted(["root"]) == frozenset()
    assert granted(["reader"], ["datasets:everything"]) == {Permission.API_USE}


def test_nobody_but_the_gateway_may_ask_who_holds_a_key():
    assert Permission.KEYS_RESOLVE not in granted(Role)
    assert Permission.KEYS_RESOLVE not in LOCAL.permissions
    assert LOCAL.permissions == set(Permission) - {Permission.KEYS_RESOLVE}


def test_an_object_may_be_known_to_those_who_may_read_its_family():
    reader, operator = granted(["reader"]), granted(["operator"])
    assert may_know(Permission.DATASETS_DELETE, reader)
    assert not may_know(Permission.DATASETS_DELETE, operator)
    assert not may_know(Permission.KEYS_MANAGE, granted(["steward", "platform"]) - {Permission.KEYS_MANAGE})
