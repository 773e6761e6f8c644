from cqox.storage.objects.keys import ERASED, TENANTS, root_of


def test_keys_of_tenants_lie_apart_from_each_other_and_from_marks() -> None:
    assert root_of("acme") == "tenants/acme/"
    assert not root_of("acme-2").startswith(root_of("acme"))
    assert not root_of("acme").startswith(ERASED)
    assert root_of("acme").startswith(TENANTS)
