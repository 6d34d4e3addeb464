from pathlib import Path

import pytest

from deploy.local.environment import choose_ports, service_settings, user_settings
from deploy.local.errors import LocalError


def all_free(port: int) -> bool:
    return True


def free_from_9000(port: int) -> bool:
    return port >= 9000


def test_the_environment_wins_over_the_env_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("REDIS_URL=redis://file\nMYSQL_URL=mysql://file\n")
    settings = user_settings(tmp_path, {"REDIS_URL": "redis://environment"})
    assert settings == {"REDIS_URL": "redis://environment", "MYSQL_URL": "mysql://file"}


def test_an_empty_variable_does_not_override_the_env_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("REDIS_URL=redis://file\n")
    assert user_settings(tmp_path, {"REDIS_URL": ""}) == {"REDIS_URL": "redis://file"}


def test_the_env_file_is_optional(tmp_path: Path) -> None:
    assert user_settings(tmp_path, {"LOG_LEVEL": "debug"}) == {"LOG_LEVEL": "debug"}


def test_free_default_ports_are_used() -> None:
    assert choose_ports({}, all_free) == {
        "GATEWAY_PORT": "8888",
        "GATEWAY_OPS_PORT": "8889",
        "AUTH_PORT": "8001",
        "SMS_PORT": "8002",
        "SIMULATOR_PORT": "8899",
    }


def test_a_default_port_in_use_moves_to_the_next_free_one() -> None:
    ports = choose_ports({}, lambda port: port != 8001)
    assert ports["AUTH_PORT"] == "8002"
    assert ports["SMS_PORT"] == "8003"


def test_a_default_port_moves_if_the_user_set_the_same_one() -> None:
    ports = choose_ports({"SMS_PORT": "8001"}, all_free)
    assert ports["SMS_PORT"] == "8001"
    assert ports["AUTH_PORT"] == "8002"


@pytest.mark.parametrize(
    ("settings", "named"),
    [({}, "GATEWAY_PORT"), ({"GATEWAY_PORT": "9000", "AUTH_PORT": "8001"}, "AUTH_PORT")],
    ids=["the gateway's default", "one that the user set"],
)
def test_a_fixed_port_in_use_is_reported_with_its_variable(settings: dict[str, str], named: str) -> None:
    with pytest.raises(LocalError, match=rf"port \d+ is in use.*{named}"):
        choose_ports(settings, free_from_9000)


@pytest.mark.parametrize("value", ["http", "0", "65536", "-1", "8e3"])
def test_a_malformed_port_is_reported_with_its_variable(value: str) -> None:
    with pytest.raises(LocalError, match="SMS_PORT takes a port number"):
        choose_ports({"SMS_PORT": value}, all_free)


def test_with_a_provider_there_is_no_simulator_port() -> None:
    assert "SIMULATOR_PORT" not in choose_ports({"YUNPIAN_BASE_URL": "http://x"}, all_free)


def test_the_users_settings_override_the_defaults(tmp_path: Path) -> None:
    ports = choose_ports({}, all_free)
    settings = service_settings({"CORS_ORIGINS": "http://mine"}, ports, {}, tmp_path)
    assert settings["CORS_ORIGINS"] == "http://mine"


def test_urls_have_the_chosen_ports(tmp_path: Path) -> None:
    ports = choose_ports({}, lambda port: port not in {8001, 8899})
    settings = service_settings({}, ports, {"REDIS_URL": "redis://here"}, tmp_path)
    assert settings["AUTH_URL"] == "http://127.0.0.1:8002"
    assert settings["YUNPIAN_BASE_URL"] == "http://127.0.0.1:8900"
    assert settings["REDIS_URL"] == "redis://here"
    assert settings["SMS_URL"] == f"http://127.0.0.1:{ports['SMS_PORT']}"


def test_the_simulators_callback_url_has_the_workers_secret(tmp_path: Path) -> None:
    ports = choose_ports({}, all_free)
    settings = service_settings({}, ports, {}, tmp_path)
    secret = settings["YUNPIAN_CALLBACK_SECRET"]
    assert settings["SIMULATOR_CALLBACK_URL"] == f"http://127.0.0.1:8888/callbacks/yunpian/{secret}/"
    rotating = service_settings({"YUNPIAN_CALLBACK_SECRET": "new,old"}, ports, {}, tmp_path)
    assert rotating["SIMULATOR_CALLBACK_URL"].endswith("/yunpian/new/")


def test_with_pulled_reports_there_is_no_callback_url(tmp_path: Path) -> None:
    settings = service_settings({"SMS_REPORTS": "pull"}, choose_ports({}, all_free), {}, tmp_path)
    assert "SIMULATOR_CALLBACK_URL" not in settings


@pytest.mark.parametrize("name", ["code_secret", "message_secret"])
def test_a_secret_is_created_once_and_readable_by_its_owner_only(name: str, tmp_path: Path) -> None:
    ports = choose_ports({}, all_free)
    first = service_settings({}, ports, {}, tmp_path)[name.upper()]
    assert service_settings({}, ports, {}, tmp_path)[name.upper()] == first
    assert len(bytes.fromhex(first)) == 32
    assert (tmp_path / name).stat().st_mode & 0o777 == 0o600


def test_a_port_that_another_starting_run_has_claimed_moves() -> None:
    ports = choose_ports({}, all_free, take=lambda port: port != 8002)
    assert ports["SMS_PORT"] == "8003"
    assert ports["GATEWAY_PORT"] == "8888"
