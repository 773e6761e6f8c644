from typing import get_args

from cqox.cli.analyze_flags import FigureFormat, analyze_flags, parameter, with_flags
from cqox.contract import ROLES


def test_every_role_is_a_flag_with_its_meaning():
    flags = {each.name: each for each in analyze_flags()}
    for name, role in ROLES.items():
        _, option = get_args(flags[name].annotation)
        assert option.help == role.meaning


def test_a_function_gets_the_signature_of_its_flags():
    def command(**given: object) -> None: ...

    made = with_flags(command, [parameter("a", int, 1)])
    assert (made.__annotations__, str(made.__signature__)) == ({"a": int}, "(*, a: int = 1)")


def test_formats_of_figures_are_those_that_are_drawn():
    assert {each.value for each in FigureFormat} == {"svg", "png", "json"}
