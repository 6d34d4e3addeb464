from contextlib import ExitStack
from pathlib import Path

from deploy.local.environment import choose_ports
from deploy.local.programs import advice
from deploy.local.provisioning import provision
from deploy.local.summary import first_request, lines

GIVEN = {
    "MYSQL_URL": "mysql://me:hidden@db:3306/mine",
    "REDIS_URL": "redis://:hidden@cache:6379/0",
    "AMQP_URL": "amqp://me:hidden@broker:5672/",
}


def test_servers_named_by_the_user_are_not_started(tmp_path: Path) -> None:
    with ExitStack() as closing:
        servers = provision(tmp_path, tmp_path / ".run", GIVEN, closing, report=print)
    assert servers.urls == GIVEN
    assert servers.private == []


def test_the_summary_has_urls_without_secrets(tmp_path: Path) -> None:
    ports = choose_ports({"GATEWAY_PORT": "9100"}, lambda port: True)
    with ExitStack() as closing:
        servers = provision(tmp_path, tmp_path / ".run", GIVEN, closing, report=print)
    shown = dict(lines(ports, servers, tmp_path))
    assert shown["gateway"].startswith("http://localhost:9100/ ")
    assert shown["inbox"].startswith("http://localhost:8899/")
    assert "hidden" not in repr(shown)
    assert "http://localhost:9100/code/" in first_request(ports)


def test_the_advice_is_one_line_with_every_missing_package() -> None:
    line = advice(["mariadb", "rabbitmq"])
    assert "mariadb-server rabbitmq-server" in line
    assert "\n" not in line
