from pathlib import Path

import pytest

from deploy.local.compose import Compose, url
from deploy.local.errors import LocalError

DOCKER = """#!/bin/sh
case "$*" in
    info | "compose version") ;;
    "compose up --detach redis rabbitmq" | "compose up --detach mariadb") ;;
    "compose ps --quiet redis") echo 1111 ;;
    "compose ps --quiet rabbitmq") echo 2222 ;;
    "compose ps --quiet mariadb") echo 3333 ;;
    inspect*1111) echo running healthy ;;
    inspect*2222) [ -e waited ] && echo running healthy || { touch waited; echo running starting; } ;;
    inspect*3333) echo restarting starting ;;
    "compose config") echo 'services: {redis: {}, rabbitmq: {}}' ;;
    "compose port redis 6379") echo 0.0.0.0:6380 ;;
    "compose port rabbitmq 5672") echo :0 ;;
    *) echo "unexpected: $*" >&2; exit 1 ;;
esac
"""


@pytest.fixture(name="compose")
def _compose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Compose:
    (tmp_path / "docker-compose.yml").touch()
    docker = tmp_path / "docker"
    docker.write_text(DOCKER)
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.chdir(tmp_path)
    compose = Compose.find(tmp_path)
    assert compose
    return compose


def test_a_started_server_has_the_url_of_its_published_port(compose: Compose) -> None:
    compose.start(["redis", "rabbitmq"])
    assert compose.urls(["redis"]) == {"redis": "redis://127.0.0.1:6380/0"}


def test_a_server_that_does_not_become_healthy_is_reported(compose: Compose) -> None:
    with pytest.raises(LocalError, match="mariadb in Docker is restarting starting"):
        compose.start(["mariadb"])


def test_a_server_without_a_published_port_is_reported(compose: Compose) -> None:
    with pytest.raises(LocalError, match="publishes no port of rabbitmq"):
        compose.urls(["rabbitmq"])


def test_a_failed_command_is_reported_with_its_error(compose: Compose) -> None:
    with pytest.raises(LocalError, match="unexpected: compose stop redis"):
        compose.stop(["redis"])


def test_without_a_compose_file_there_are_no_containers(tmp_path: Path) -> None:
    assert Compose.find(tmp_path) is None


@pytest.mark.parametrize("prefix", ["MARIADB", "MYSQL"])
def test_the_database_url_has_the_containers_credentials(prefix: str) -> None:
    variables = {f"{prefix}_USER": "u", f"{prefix}_PASSWORD": "p", f"{prefix}_DATABASE": "d"}
    assert url("mariadb", {"environment": variables}, 3307) == "mysql://u:p@127.0.0.1:3307/d"


def test_the_broker_url_has_the_containers_credentials() -> None:
    variables = {"RABBITMQ_DEFAULT_USER": "u", "RABBITMQ_DEFAULT_PASS": "p"}
    assert url("rabbitmq", {"environment": variables}, 5673) == "amqp://u:p@127.0.0.1:5673/"


def test_a_broker_without_credentials_has_the_default_ones() -> None:
    assert url("rabbitmq", {"environment": None}, 5672) == "amqp://guest:guest@127.0.0.1:5672/"


def test_each_service_has_its_own_user_of_the_broker(compose: Compose, tmp_path: Path) -> None:
    config = "services: {rabbitmq: {environment: {AUTH_PASSWORD: a, SMS_PASSWORD: s}}}"
    script = DOCKER.replace("services: {redis: {}, rabbitmq: {}}", config).replace(
        "echo :0", "echo 0.0.0.0:5673"
    )
    (tmp_path / "docker").write_text(script)
    assert compose.broker_urls(["auth", "sms", "other"]) == {
        "auth": "amqp://auth:a@127.0.0.1:5673/",
        "sms": "amqp://sms:s@127.0.0.1:5673/",
    }


def test_a_redis_with_a_password_has_it_in_its_url() -> None:
    assert url("redis", {"environment": {"REDIS_PASSWORD": "p"}}, 6380) == "redis://:p@127.0.0.1:6380/0"


def test_the_passwords_of_the_compose_file_are_made_before_its_servers_start(
    compose: Compose, tmp_path: Path
) -> None:
    (tmp_path / "deploy").mkdir()
    script = tmp_path / "deploy" / "secrets.sh"
    script.write_text("#!/bin/sh\ntouch made\n")
    script.chmod(0o755)
    compose.start(["redis", "rabbitmq"])  # as the engine above expects it
    assert (tmp_path / "made").exists()
