"""Notices: delivered as texts, as codes are."""

import pytest
from redis.asyncio import Redis

from services.sms.delivery.texts import text_composer
from shared.contracts.messages import SendNotice
from tests.support.sms_delivery import ACCEPTED, MESSAGE, DeliveryHarness

NOTICE = SendNotice(
    message_id="m1",
    mobile=MESSAGE.mobile,
    text="您的密码已重置",
    purpose="reset",
    created_at=MESSAGE.created_at,
    expires_at=MESSAGE.expires_at,
)


@pytest.fixture
def harness(own_redis: Redis) -> DeliveryHarness:
    return DeliveryHarness(own_redis, message=NOTICE)


async def test_a_notice_is_sent_with_its_own_text(harness: DeliveryHarness) -> None:
    assert (await harness.answering(ACCEPTED).deliver()).status == "accepted"
    [sent] = harness.provider.sent
    assert (sent.mobile, sent.text, sent.code, sent.channel) == (
        MESSAGE.mobile, "【Dialpass】您的密码已重置", "", "sms",
    )  # fmt: skip


def test_a_text_with_braces_is_not_a_template() -> None:
    notice = NOTICE.model_copy(update={"text": "{code} {0}"})
    assert text_composer("S", "{code}")(notice) == "【S】{code} {0}"
