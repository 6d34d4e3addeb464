"""An isolated part of the shared servers: a database, a Redis database, a virtual host.

Systems in the same part would consume each other's messages and count toward each other's limits.
"""

import subprocess
from contextlib import closing

import pymysql

from deploy.local.mariadb import DATABASE, USER
from deploy.local.ports import LOOPBACK
from deploy.local.programs import rabbitmq_script
from deploy.local.rabbitmq import NODE, RabbitMq
from deploy.local.rabbitmq import USER as BROKER_USER
from deploy.local.servers import Servers
from shared.server_urls import parse_mysql_url
from tests.support.system import run

_REDIS_DATABASE = 1


def isolated_urls(servers: Servers, name: str) -> dict[str, str]:
    """Create an isolated part with migrated tables; return its URLs as settings."""
    urls = {
        "MYSQL_URL": _create_database(servers, f"{DATABASE}_{name}"),
        "REDIS_URL": servers.redis.url.removesuffix("/0") + f"/{_REDIS_DATABASE}",
        "AMQP_URL": servers.rabbitmq.url + _create_virtual_host(servers, name),
    }
    run("services.auth", "migrate", env=urls)
    return urls


def _create_database(servers: Servers, name: str) -> str:
    password = parse_mysql_url(servers.mariadb.url).password
    connection = pymysql.connect(host=LOOPBACK, port=servers.mariadb.port, user=USER, password=password)
    with closing(connection), connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
    return servers.mariadb.url.removesuffix(DATABASE) + name


def _create_virtual_host(servers: Servers, name: str) -> str:
    program = (
        f'rabbit_vhost:add(<<"{name}">>, <<"tests">>), '
        f'rabbit_auth_backend_internal:set_permissions(<<"{BROKER_USER}">>, <<"{name}">>, '
        '<<".*">>, <<".*">>, <<".*">>, <<"tests">>).'
    )
    rabbitmqctl(servers.rabbitmq, "eval", program)
    return name


def rabbitmqctl(broker: RabbitMq, *arguments: str) -> None:
    """Run a command of the broker's own tool."""
    script = rabbitmq_script()
    assert script is not None
    environment = dict(broker.environment())
    environment.pop("detached")  # only for the server's own start
    command = [str(script.with_name("rabbitmqctl")), "--quiet", "--node", NODE, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
