import pytest

from services.auth.settings import AuthSettings
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
