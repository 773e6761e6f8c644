import pytest

from cqox.fault_points import fault_point, hooked


def test_a_place_does_nothing_without_a_hook() -> None:
    fault_point("somewhere", 1)


def test_a_hook_sees_the_place_with_its_details_and_may_raise() -> None:
    seen = []

    def hook(name: str, *details: object) -> None:
        seen.append((name, details))
        if name == "here":
            raise OSError("broken")

    with hooked(hook):
        fault_point("there", 1, "two")
        with pytest.raises(OSError, match="broken"):
            fault_point("here")
    fault_point("here")
    assert seen == [("there", (1, "two")), ("here", ())]
