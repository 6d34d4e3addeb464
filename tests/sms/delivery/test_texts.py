"""The texts: signature, and the template of the code's purpose where there is one."""

import pytest

from services.sms.delivery.texts import text_composer
from services.sms.settings import SmsSettings
from shared.contracts.messages import Purpose
from tests.support.sms_delivery import MESSAGE

LOGIN = "您正在登录，验证码是{code}，请勿告诉他人"


@pytest.mark.parametrize(
    ("purpose", "text"),
    [
        ("login", "【Dialpass】您正在登录，验证码是123456，请勿告诉他人"),
        ("reset", "【Dialpass】Code 123456."),
    ],
)
def test_a_text_names_its_purpose_where_a_template_does(purpose: Purpose, text: str) -> None:
    compose = text_composer("Dialpass", "Code {code}.", {"login": LOGIN})
    assert compose(MESSAGE.model_copy(update={"purpose": purpose, "code": "123456"})) == text


def test_templates_are_set_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    required = {
        "REDIS_URL": "redis://unused", "AMQP_URL": "amqp://unused", "MESSAGE_SECRET": "x" * 32,
        "YUNPIAN_API_KEY": "0123456789abcdef", "SMS_SIGNATURE": "Dialpass",
    }  # fmt: skip
    for name, value in required.items():
        monkeypatch.setenv(name, value)
    assert SmsSettings.load().sms_templates == {}
    monkeypatch.setenv("SMS_TEMPLATES", f'{{"login": "{LOGIN}"}}')
    assert SmsSettings.load().sms_templates == {"login": LOGIN}
