import pytest

from cqox.cli.estimators import print_estimators
from cqox.estimators import entries


def test_every_estimator_is_one_line_with_its_estimand_under_its_family(capsys: pytest.CaptureFixture[str]) -> None:
    print_estimators()
    heading, *lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert heading.startswith("name")
    families = {entry.family for entry in entries()}
    found, family = {}, ""
    for line in filter(None, lines):
        if line in families:
            family = line
        else:
            found[line.split()[0]] = (family, line.split()[1])
    assert found == {entry.name: (entry.family, entry.estimand.split()[0]) for entry in entries()}
