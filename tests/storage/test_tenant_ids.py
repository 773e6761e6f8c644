import pytest

from cqox.storage import DEFAULT_TENANT, check_tenant_id, is_tenant_id


@pytest.mark.parametrize("name", [DEFAULT_TENANT, "a", "0", "acme-2", "a" * 63])
def test_an_id_of_small_letters_digits_and_hyphens_is_taken(name: str) -> None:
    assert is_tenant_id(name)
    assert check_tenant_id(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "-a", "A", "a" * 64, "..", ".", "a/b", "../default", "a\\b", "a.b", "a_b", "a b", "a\n", "a\0", "é", "٣", "*"],
)
def test_what_could_leave_its_place_in_a_path_or_a_key_is_refused_and_not_repeated(name: str) -> None:
    assert not is_tenant_id(name)
    with pytest.raises(ValueError, match="tenant id") as caught:
        check_tenant_id(name)
    assert len(name) < 3 or name not in str(caught.value)
