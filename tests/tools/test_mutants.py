import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
SETTINGS = tomllib.loads((ROOT / "tools" / "mutants.toml").read_text(encoding="utf-8"))
MUTMUT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mutmut"]


def test_every_exception_from_the_mutation_run_has_its_reason_and_is_still_in_the_code() -> None:
    modules = [path.read_text(encoding="utf-8") for each in MUTMUT["only_mutate"] for path in ROOT.glob(each)]
    code = {re.sub(r"\s+", " ", text) for text in modules}
    for each in SETTINGS["equivalent"]:
        assert set(each) == {"function", "before", "after", "why"}
        assert any(each["before"] in text for text in code), each["before"]
        assert each["before"] != each["after"]
    for each in SETTINGS["unmeasured"]:
        assert set(each) == {"function", "why"}
    for each in (*SETTINGS["equivalent"], *SETTINGS["unmeasured"]):
        name = each["function"].rpartition(".")[2]
        assert any(f"def {name}(" in text for text in code), name
        assert each["why"].endswith(".")


def test_the_mutation_run_names_modules_and_tests_that_exist() -> None:
    for pattern in MUTMUT["only_mutate"]:
        assert list(ROOT.glob(pattern)), pattern
    for name in MUTMUT["pytest_add_cli_args_test_selection"]:
        assert (ROOT / name).exists(), name
    for argument in MUTMUT["pytest_add_cli_args"]:
        if argument.startswith("--deselect="):
            path, _, test = argument.removeprefix("--deselect=").partition("::")
            assert f"def {test}(" in (ROOT / path).read_text(encoding="utf-8"), test
