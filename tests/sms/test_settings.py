"""The settings of the provider: accounts, rate, money."""

from collections.abc import Mapping
from decimal import Decimal

import pytest

from services.sms.provider.yunpian.voice import voice_url
from services.sms.settings import ProviderSettings, parse_accounts

KEY = "0123456789abcdef0123456789abcdef"
OTHER_KEY = "fedcba9876543210fedcba9876543210"


def load(monkeypatch: pytest.MonkeyPatch, variables: Mapping[str, str]) -> ProviderSettings:
    for name, value in {"YUNPIAN_API_KEY": KEY, **variables}.items():
        monkeypatch.setenv(name, value)
    return ProviderSettings.load()


def test_further_accounts_have_a_name_a_key_and_an_optional_url() -> None:
    backup, abroad = parse_accounts(f"backup={KEY}, abroad={OTHER_KEY}@https://us.yunpian.com/")

    assert (backup.name, backup.api_key.get_secret_value(), backup.base_url) == ("backup", KEY, "")
    assert (abroad.name, abroad.base_url) == ("abroad", "https://us.yunpian.com")
    assert KEY not in repr(backup)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("YUNPIAN_ACCOUNTS", KEY),
        ("YUNPIAN_ACCOUNTS", f"main={KEY}"),  # the first one's name
        ("YUNPIAN_ACCOUNTS", f"backup={KEY},backup={OTHER_KEY}"),
        ("YUNPIAN_ACCOUNTS", f"Backup!={KEY}"),
        ("YUNPIAN_ACCOUNTS", f"backup={KEY}@sms.yunpian.com"),
        ("YUNPIAN_ACCOUNTS", f"backup={KEY}@https://:80"),
        ("YUNPIAN_ACCOUNTS", "backup="),
        ("YUNPIAN_VOICE_BASE_URL", "voice.yunpian.com"),
        ("SMS_RATE_LIMIT", "50"),
        ("SMS_RATE_LIMIT", "0/s"),
        ("SMS_RATE_LIMIT", "1.5/s"),
        ("SMS_DAILY_SPEND_CAP", "-1"),
        ("SMS_DAILY_SPEND_CAP", "NaN"),
        ("SMS_DAILY_SPEND_CAP", "much"),
        ("SMS_PRICE", "0"),
    ],
)
def test_a_malformed_variable_is_reported_in_one_line_without_its_value(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        load(monkeypatch, {name: value})

    error = capsys.readouterr().err
    assert ended.value.code == 2
    assert error.startswith(f"{name} is malformed; it takes ")
    assert error.count("\n") == 1
    assert KEY not in error


def test_by_default_there_is_no_cap_and_a_rate_of_a_hundred_a_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = load(monkeypatch, {})

    assert settings.sends_per_second == 100
    assert settings.sms_daily_spend_cap == 0
    assert not settings.yunpian_accounts


def test_variables_set_rate_and_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(monkeypatch, {"SMS_RATE_LIMIT": "none", "SMS_DAILY_SPEND_CAP": "200.50"})

    assert (settings.sends_per_second, settings.sms_daily_spend_cap) == (None, Decimal("200.50"))


@pytest.mark.parametrize(
    ("base_url", "expected"),
    [
        ("https://sms.yunpian.com", "https://voice.yunpian.com"),
        ("https://us.yunpian.com", "https://us.yunpian.com"),
        ("http://127.0.0.1:8899", "http://127.0.0.1:8899"),
    ],
)
def test_the_voice_url_follows_the_base_url(base_url: str, expected: str) -> None:
    assert voice_url(base_url) == expected
