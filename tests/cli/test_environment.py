from pathlib import Path

import pytest

from cqox.cli.environment import LIMITS, bounds_of, check_variables, data_dir_of
from cqox.datasets import Limits
from cqox.errors import InvalidRequest
from services.config.settings import Settings
from services.config.table import table


def test_limits_are_those_of_the_services_with_their_defaults_and_bounds():
    settings = {setting.variable: setting for setting in table()}
    for name, limit in LIMITS.items():
        setting = settings[limit.variable]
        assert (limit.minimum, limit.is_size) == (setting.minimum, setting.unit == "bytes"), name
        assert getattr(Settings(), setting.name) == limit.default, name


def test_a_size_may_have_a_unit_and_empty_counts_as_absent():
    bounds = bounds_of({"CQOX_MAX_UPLOAD_BYTES": "2 MiB", "CQOX_MAX_ROWS": " 7 ", "CQOX_MAX_COLUMNS": ""})
    assert (bounds.file_limits["max_bytes"], bounds.file_limits["max_rows"]) == (2 * 2**20, 7)
    assert bounds.file_limits["max_columns"] == 5_000
    assert Limits(**bounds.file_limits).max_rows == 7


@pytest.mark.parametrize(("name", "text"), [("CQOX_MAX_ROWS", "1e3"), ("CQOX_WORKER_MEMORY_BYTES", "1 MiB")])
def test_an_invalid_value_is_refused_with_its_bound(name: str, text: str):
    with pytest.raises(InvalidRequest, match=f"{name} must be a whole number of at least .*'{text}'"):
        bounds_of({name: text})


def test_a_slip_in_a_name_is_refused_and_no_setting_of_the_services_is():
    check_variables({name: "1" for setting in table() for name in (setting.variable, setting.file_variable) if name})
    for slip, meant in (("CQOX_MAX_ROW", "CQOX_MAX_ROWS"), ("CQOX_DATADIR", "CQOX_DATA_DIR")):
        with pytest.raises(InvalidRequest, match=f"There is no setting {slip}") as caught:
            check_variables({slip: ""})
        assert caught.value.choices == (meant,)


def test_the_data_directory_is_that_of_the_services(tmp_path: Path):
    assert data_dir_of({"CQOX_DATA_DIR": str(tmp_path)}) == tmp_path
    assert data_dir_of({"XDG_DATA_HOME": "/srv"}) == Path("/srv/cqox")
