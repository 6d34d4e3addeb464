from contextlib import ExitStack
from pathlib import Path

from deploy.local.environment import choose_ports
from deploy.local.programs import advice
from deploy.local.provisioning import provide
from deploy.local.summary import first_request, lines

GIVEN = {
    "MYSQL_URL": "mysql://me:hidden@db:3306/mine",
    "REDIS_URL": "redis://:hidden@cache:6379/0",
    "AMQP_URL": "amqp://me:hidden@broker:5672/",
}


def test_servers_that_the_user_names_are_used_and_none_is_started(tmp_path: Path) -> None:
    with ExitStack() as closing:
        supply = provide(tmp_path, tmp_path / ".run", GIVEN, closing, report=print)
    assert supply.urls == GIVEN
    assert supply.private == []


def test_the_summary_tells_where_to_look_and_no_secret(tmp_path: Path) -> None:
    ports = choose_ports({"GATEWAY_PORT": "9100"}, lambda port: True)
    with ExitStack() as closing:
        supply = provide(tmp_path, tmp_path / ".run", GIVEN, closing, report=print)
    shown = dict(lines(ports, supply, tmp_path))
    assert shown["gateway"].startswith("http://localhost:9100/ ")
    assert shown["inbox"].startswith("http://localhost:8899/")
    assert "hidden" not in repr(shown)
    assert "http://localhost:9100/code/" in first_request(ports)


def test_advice_is_one_line_with_every_missing_package() -> None:
    line = advice(["mariadb", "rabbitmq"])
    assert "mariadb-server rabbitmq-server" in line
    assert "\n" not in line
