"""The simulator's settings."""

import pytest
from pydantic import ValidationError

from deploy.local.simulator.settings import SimulatorSettings


def test_the_first_account_has_the_key_of_the_services() -> None:
    settings = SimulatorSettings(yunpian_api_key="k1", simulator_more_accounts="spare=k2, third=k3")
    assert settings.keys == {"first": "k1", "spare": "k2", "third": "k3"}


def test_malformed_accounts_are_rejected() -> None:
    with pytest.raises(ValidationError):
        SimulatorSettings(simulator_more_accounts="spare")
