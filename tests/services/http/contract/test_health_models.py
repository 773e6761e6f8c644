from importlib.metadata import version

import pytest
from pydantic import ValidationError

from cqox.contract import Health
from services.http.contract.health_models import Liveness, code_version

HEALTH = {
    "status": "degraded",
    "service": "engine",
    "version": "1",
    "degraded": {"cache": "no answer"},
    "in_flight": 0,
    "uptime_seconds": 1.5,
}


def test_the_version_is_that_of_the_package() -> None:
    assert code_version() == version("cqox")


def test_health_keeps_its_members_and_refuses_an_unknown_status() -> None:
    assert Health.model_validate(HEALTH).model_dump(mode="json") == HEALTH
    assert Liveness().model_dump() == {"status": "alive"}
    with pytest.raises(ValidationError):
        Health.model_validate(HEALTH | {"status": "fine"})
