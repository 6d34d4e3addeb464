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


@pytest.mark.parametrize(
    ("mobile", "purpose", "text"),
    [
        ("13800000000", "login", "【Dialpass】您正在登录，验证码是123456，请勿告诉他人"),
        ("13800000000", "reset", "【Dialpass】Code 123456."),
        ("+447400123456", "login", "【Dialpass UK】123456 is your code"),
        ("+12025550123", "login", "【Dialpass UK】Your code: 123456"),
        ("+12025550123", "reset", "【Dialpass UK】Your code: 123456"),
        ("+85251234567", "reset", "【Dialpass UK】验证码123456"),
    ],
)
def test_a_text_to_another_region_has_the_template_approved_for_it(
    mobile: str, purpose: Purpose, text: str
) -> None:
    compose = text_composer(
        "Dialpass",
        "Code {code}.",
        {"login": LOGIN},
        foreign_signature="Dialpass UK",
        foreign_template="Your code: {code}",
        by_region={"GB": "{code} is your code", "HK": "验证码{code}"},
    )
    assert compose(MESSAGE.model_copy(update={"mobile": mobile, "purpose": purpose})) == text


def test_without_foreign_templates_all_texts_are_the_same() -> None:
    compose = text_composer("Dialpass", "Code {code}.")
    assert compose(MESSAGE.model_copy(update={"mobile": "+447400123456"})) == "【Dialpass】Code 123456."
