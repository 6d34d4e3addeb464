"""What each process of a one-machine run gets, and that nobody knows it beforehand."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from deploy.local.environment import PROCESSES, choose_ports, for_process, service_settings
from deploy.local.servers import Servers
from shared.security.development_secrets import is_published

URLS = {
    "MYSQL_URL": "mysql://dialpass:unknown@127.0.0.1/dialpass",
    "REDIS_URL": "redis://127.0.0.1/0",
    "AMQP_URL": "amqp://dialpass:unknown@127.0.0.1/",
}
OWN = {
    "auth": {"AMQP_URL": "amqp://auth:other@127.0.0.1/"},
    "sms": {"AMQP_URL": "amqp://sms:other@127.0.0.1/"},
}
SECRETS = {
    "gateway": {"GATEWAY_SECRET"},
    "auth": {"GATEWAY_SECRET", "CODE_SECRET", "MESSAGE_SECRET", "MYSQL_URL", "REDIS_URL", "AMQP_URL"},
    "sms": {"MESSAGE_SECRET", "REDIS_URL", "AMQP_URL", "YUNPIAN_API_KEY", "YUNPIAN_CALLBACK_SECRET"},
    # The callback's URL has the secret of the callback in it.
    "simulator": {"YUNPIAN_API_KEY", "SIMULATOR_CALLBACK_URL"},
}
ALL_SECRETS = set().union(*SECRETS.values()) | {
    "SIGNING_KEYS_DIR",
    "RABBITMQ_MANAGEMENT_URL",
    "MARIADB_PASSWORD",
}


def environment(name: str, folder: Path, **settings: str) -> dict[str, str]:
    mine = {
        "RABBITMQ_MANAGEMENT_URL": "http://dialpass:unknown@127.0.0.1:15672",
        "MARIADB_PASSWORD": "unknown",
        "PATH": "/bin",
    } | settings
    merged = service_settings(mine, choose_ports({}, lambda _: True), URLS, folder)
    return for_process(name, merged, OWN.get(name))


@pytest.mark.parametrize("name", PROCESSES)
def test_a_process_has_only_the_secrets_that_it_needs(name: str, tmp_path: Path) -> None:
    has = environment(name, tmp_path)
    keys = {"SIGNING_KEYS_DIR"} if name == "auth" else set()
    assert ALL_SECRETS & set(has) == SECRETS[name] | keys
    assert has["PATH"] == "/bin"
    if name in OWN:
        assert has["AMQP_URL"] == OWN[name]["AMQP_URL"]


@pytest.mark.parametrize("name", ["gateway", "auth", "sms"])
def test_no_secret_of_a_run_is_known_beforehand(name: str, tmp_path: Path) -> None:
    first, second = environment(name, tmp_path / "one"), environment(name, tmp_path / "two")
    for variable in SECRETS[name] - set(URLS):
        assert first[variable] != second[variable]
        assert not is_published(first[variable])
        assert SecretStr(first[variable])
    assert environment(name, tmp_path / "one") == first


@pytest.mark.parametrize("name", PROCESSES)
def test_only_the_gateway_can_be_opened_to_other_machines(name: str, tmp_path: Path) -> None:
    assert environment(name, tmp_path)["BIND_ADDRESS"] == "localhost"
    opened = environment(name, tmp_path, BIND_ADDRESS="*")
    assert opened["BIND_ADDRESS"] == ("*" if name == "gateway" else "localhost")
    if name == "gateway":
        assert opened["GATEWAY_OPS_BIND_ADDRESS"] == "localhost"


def test_the_private_broker_has_a_user_for_each_service(servers: Servers) -> None:
    urls = {user: servers.rabbitmq.url_of(user) for user in ("auth", "sms", "events", "monitor", "dialpass")}
    assert len({url.partition("@")[0] for url in urls.values()}) == 5
    assert urls["dialpass"] == servers.rabbitmq.url
