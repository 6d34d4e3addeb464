import secrets

import pytest

from services.auth.settings import AuthSettings, MysqlSettings
from services.gateway.settings import GatewaySettings
from services.sms.settings import SmsSettings
from shared.settings import AmqpSettings, ServiceSettings

GOOD = {
    "MYSQL_URL": "mysql://user:p%40ss@127.0.0.1:3306/dialpass",
    "REDIS_URL": "redis://127.0.0.1:6379/0",
    "AMQP_URL": "amqp://user:password@one:5672/,amqp://user:password@two:5672/",
    "CODE_SECRET": "x" * 32,
    "MESSAGE_SECRET": "x" * 32 + "," + "y" * 32,
    "SIGNING_KEYS_DIR": "/keys",
    "YUNPIAN_API_KEY": "0123456789abcdef0123456789abcdef",
    "SMS_SIGNATURE": "Dialpass",
    "CORS_ORIGINS": "https://app.example.com, https://*.example.org",
    "TRUSTED_PROXIES": "10.0.0.0/8",
    # The secrets above are published here.
    "ALLOW_DEVELOPMENT_SECRETS": "true",
}
ALL = (AuthSettings, GatewaySettings, SmsSettings)


@pytest.fixture(autouse=True)
def _only_these_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for settings in ALL:
        for name in settings.model_fields:
            monkeypatch.delenv(name.upper(), raising=False)
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("settings", ALL)
def test_the_required_variables_are_sufficient(settings: type[ServiceSettings]) -> None:
    assert settings.load().log_level == "info"


def test_lists_are_separated_by_commas() -> None:
    assert GatewaySettings.load().cors_origins == ("https://app.example.com", "https://*.example.org")


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        (AuthSettings, "MYSQL_URL"),
        (AuthSettings, "REDIS_URL"),
        (AuthSettings, "AMQP_URL"),
        (AuthSettings, "CODE_SECRET"),
        (AuthSettings, "MESSAGE_SECRET"),
        (SmsSettings, "MESSAGE_SECRET"),
        (AuthSettings, "SIGNING_KEYS_DIR"),
        (SmsSettings, "YUNPIAN_API_KEY"),
        (SmsSettings, "SMS_SIGNATURE"),
    ],
)
@pytest.mark.parametrize("value", [None, ""], ids=["unset", "empty"])
def test_a_missing_variable_is_reported_in_one_line(
    settings: type[ServiceSettings],
    name: str,
    value: str | None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv(name) if value is None else monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as end:
        settings.load()
    assert end.value.code == 2
    assert capsys.readouterr().err.startswith(f"{name} is missing; it takes ")


@pytest.mark.parametrize(
    ("settings", "name", "value"),
    [
        (AuthSettings, "MYSQL_URL", "postgres://user:hunter2@host/db"),
        (AuthSettings, "REDIS_URL", "hunter2"),
        (AuthSettings, "AMQP_URL", "amqp://good:hunter2@one/,http://bad:hunter2@two/"),
        (AuthSettings, "CODE_SECRET", "hunter2"),
        (AuthSettings, "MESSAGE_SECRET", "hunter2"),
        (SmsSettings, "MESSAGE_SECRET", "x" * 32 + ",hunter2"),
        (AuthSettings, "BCRYPT_ROUNDS", "3"),
        (AuthSettings, "CODE_LENGTH", "9"),
        (AuthSettings, "CODE_TTL", "ten minutes"),
        (AuthSettings, "AUTH_PORT", "0"),
        (GatewaySettings, "AUTH_URL", "auth:8001"),
        (GatewaySettings, "CORS_ORIGINS", "*"),
        (GatewaySettings, "CORS_ORIGINS", "https://example.com/path"),
        (GatewaySettings, "TRUSTED_PROXIES", "hunter2"),
        (GatewaySettings, "GATEWAY_PORT", "65536"),
        (GatewaySettings, "LOG_FORMAT", "xml"),
        (SmsSettings, "SMS_SIGNATURE", "【Dialpass】"),
        (SmsSettings, "SMS_TEMPLATE", "no code in it"),
        (SmsSettings, "SMS_RETRY_DELAYS", ","),
        (SmsSettings, "SMS_RETRY_DELAYS", "5,15,15"),
        (SmsSettings, "SMS_RETRY_DELAYS", "60,5"),
        (SmsSettings, "SMS_RETRY_DELAYS", "0,5"),
        (SmsSettings, "SMS_TEMPLATE", "{code} {name}"),
        (SmsSettings, "SMS_TEMPLATES", "{"),
        (SmsSettings, "SMS_TEMPLATES", '["{code}"]'),
        (SmsSettings, "SMS_TEMPLATES", '{"login": "no code in it"}'),
        (SmsSettings, "SMS_TEMPLATES", '{"logout": "{code}"}'),
        (SmsSettings, "SMS_FOREIGN_TEMPLATE", "no code in it"),
        (SmsSettings, "SMS_FOREIGN_SIGNATURE", "【Dialpass】"),
        (SmsSettings, "SMS_REGION_TEMPLATES", '{"GB": "no code in it"}'),
        (SmsSettings, "SMS_REGION_TEMPLATES", '{"Britain": "{code}"}'),
        (SmsSettings, "YUNPIAN_API_KEY", "hunter2"),
    ],
)
def test_a_malformed_variable_is_reported_in_one_line_without_its_value(
    settings: type[ServiceSettings],
    name: str,
    value: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as end:
        settings.load()
    error = capsys.readouterr().err
    assert end.value.code == 2
    assert error.startswith(f"{name} is malformed; it takes ")
    assert len(error.splitlines()) == 1
    assert "hunter2" not in error


def test_all_problems_are_reported_together(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MYSQL_URL")
    monkeypatch.setenv("AUTH_PORT", "many")
    with pytest.raises(SystemExit):
        AuthSettings.load()
    assert {line.split()[0] for line in capsys.readouterr().err.splitlines()} == {"MYSQL_URL", "AUTH_PORT"}


@pytest.mark.parametrize("settings", ALL)
def test_secrets_are_not_in_the_repr(settings: type[ServiceSettings]) -> None:
    shown = repr(settings.load())
    assert "password@" not in shown
    assert GOOD["CODE_SECRET"] not in shown
    assert GOOD["MESSAGE_SECRET"] not in shown
    assert GOOD["YUNPIAN_API_KEY"] not in shown


@pytest.mark.parametrize("settings", ALL)
def test_every_variable_has_a_description(settings: type[ServiceSettings]) -> None:
    assert all(field.description for field in settings.model_fields.values())


def test_the_nodes_of_a_broker_can_have_spaces_around_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMQP_URL", "amqp://a:5672/, amqp://b:5672/")
    assert AmqpSettings.load().amqp_urls == ["amqp://a:5672/", "amqp://b:5672/"]


def refused(
    settings: type[ServiceSettings], name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> pytest.ExceptionInfo[SystemExit]:
    """Load settings with secrets that nobody knows, except one."""
    unknown = {"CODE_SECRET": secrets.token_hex(32), "MESSAGE_SECRET": secrets.token_hex(32),
               "YUNPIAN_API_KEY": secrets.token_hex(16), "AMQP_URL": "amqp://user:unknown@one/",
               "MYSQL_URL": "mysql://user:unknown@one/name"}  # fmt: skip
    for variable, own in (unknown | {name: value}).items():
        monkeypatch.setenv(variable, own)
    monkeypatch.delenv("ALLOW_DEVELOPMENT_SECRETS")
    with pytest.raises(SystemExit) as end:
        settings.load()
    return end


@pytest.mark.parametrize(
    ("settings", "name", "value"),
    [
        (AuthSettings, "CODE_SECRET", "development-only-development-only"),
        (AuthSettings, "CODE_SECRET", "a secret for tests, and for nothing else"),
        (AuthSettings, "MESSAGE_SECRET", "development-only-development-only"),
        (SmsSettings, "MESSAGE_SECRET", "development-only-development-only"),
        (SmsSettings, "MESSAGE_SECRET", "f0" * 32 + ", another secret for tests and for nothing else"),
        (AuthSettings, "MESSAGE_SECRET", "x" * 32),
        (AuthSettings, "MYSQL_URL", "mysql://dialpass:development-only@mariadb:3306/dialpass"),
        (MysqlSettings, "MYSQL_URL", "mysql://dialpass:development-only@mariadb:3306/dialpass"),
        (AuthSettings, "MYSQL_URL", "mysql://dialpass:development%2Donly@one,two/dialpass?tls=verify"),
        (AuthSettings, "AMQP_URL", "amqp://dialpass:development-only@rabbitmq:5672/"),
        (SmsSettings, "AMQP_URL", "amqp://user:unknown@one/,amqps://dialpass:development-only@two/"),
        (AuthSettings, "REDIS_URL", "redis://:development-only@redis:6379/0"),
        (AuthSettings, "REDIS_URL", "redis+sentinel://:development-only@one,two/main/0"),
        (SmsSettings, "YUNPIAN_API_KEY", "0123456789abcdef0123456789abcdef"),
        (SmsSettings, "YUNPIAN_ACCOUNTS", "second=fedcba9876543210fedcba9876543210"),
        (SmsSettings, "YUNPIAN_CALLBACK_SECRET", "development-only-development-only"),
        (AuthSettings, "GATEWAY_SECRET", "development-only-development-only"),
        (GatewaySettings, "GATEWAY_SECRET", "development-only-development-only"),
    ],
)  # fmt: skip
def test_a_secret_that_is_in_the_repository_is_refused(
    settings: type[ServiceSettings],
    name: str,
    value: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert refused(settings, name, value, monkeypatch).value.code == 2
    error = capsys.readouterr().err
    assert error.startswith(f"{name} is malformed: it is published in Dialpass's repository")
    assert len(error.splitlines()) == 1
    assert "development-only" not in error
    monkeypatch.setenv("ALLOW_DEVELOPMENT_SECRETS", "true")
    settings.load()


NO_CA = ": /x cannot be used as CA"


@pytest.mark.parametrize(
    ("settings", "name", "value", "why"),
    [
        (AuthSettings, "MYSQL_URL", "mysql://u:hunter3@one/name?tls=verfy", ""),
        (AuthSettings, "MYSQL_URL", "mysql://u:hunter3@one/name?tsl=verify", ""),
        (AuthSettings, "MYSQL_URL", "mysql://u:hunter3@one/name?tls_ca=/x", ""),
        (AuthSettings, "MYSQL_URL", "mysql://u:hunter3@one/name?tls=verify&tls_ca=/x", NO_CA),
        (AuthSettings, "REDIS_URL", "rediss://:hunter3@one/0?ssl_ca_certs=/x", NO_CA),
        (AuthSettings, "REDIS_URL", "redis://one/0?ssl_ca_certs=/x", ": a CA or a certificate needs rediss"),
        (AuthSettings, "REDIS_URL", "rediss+sentinel://one,two/main?ssl_ca_certs=/x", NO_CA),
        (SmsSettings, "AMQP_URL", "amqps://u:hunter3@one/?cafile=/x", NO_CA),
        (SmsSettings, "AMQP_URL", "amqp://u:hunter3@one/?cafile=/x", ": a CA or a certificate needs amqps"),
        (GatewaySettings, "GATEWAY_SECRET", "hunter3", ""),
        (GatewaySettings, "GATEWAY_SECRET", "é" * 40, ""),
        (AuthSettings, "GATEWAY_SECRET", "a line\nbreak in a secret of 40 characters", ""),
        (AuthSettings, "TRUSTED_GATEWAYS", "gateway", ""),
        (AuthSettings, "BIND_ADDRESS", "auth.example.com", ""),
        (GatewaySettings, "GATEWAY_OPS_BIND_ADDRESS", "0.0.0", ""),
    ],
)  # fmt: skip
def test_what_would_connect_or_listen_in_another_way_than_meant_is_refused(
    settings: type[ServiceSettings],
    name: str,
    value: str,
    why: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit):
        settings.load()
    error = capsys.readouterr().err
    assert error.startswith(f"{name} is malformed{why}")
    assert "hunter3" not in error


def test_services_listen_on_this_machine_alone_unless_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert AuthSettings.load().bind_address == ("localhost",)
    monkeypatch.setenv("BIND_ADDRESS", "10.0.0.1, ::1")
    assert AuthSettings.load().bind_address == ("10.0.0.1", "::1")
