"""Purposes and message types that the previous version of the worker does not know."""

import json
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import pytest

from shared.contracts.events import EndCause, SessionEnded, session_ended
from shared.contracts.messages import (
    SendCode,
    SendCodeV2,
    SendNotice,
    SendNoticeV1,
    UnreadableMessage,
    decode_send_code,
    encode_send_code,
    wire_type,
)
from shared.security.sealing import Sealer

SCHEMAS = Path(__file__).parents[3] / "shared" / "contracts" / "schemas"
SEALER = Sealer(["x" * 32])
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CODE = SendCode(
    message_id="m1", mobile="13800000000", code="012345", purpose="confirm", created_at=AT, expires_at=AT
)
NOTICE = SendNotice(
    message_id="m1",
    mobile="13800000000",
    text="您的密码已重置",
    purpose="reset",
    created_at=AT,
    expires_at=AT,
)
# What the previous version accepts.
FORMER_PURPOSES = {"register", "login", "reset", "change_mobile", "delete"}


def test_the_previous_version_reads_a_new_purpose_as_one_that_it_knows() -> None:
    body = encode_send_code(CODE, SEALER)
    document = json.loads(body)
    assert document["purpose"] in FORMER_PURPOSES
    assert document["exact_purpose"] == "confirm"
    jsonschema.validate(document, json.loads((SCHEMAS / "sms.send_code.v2.json").read_text()))
    assert decode_send_code(SendCodeV2.TYPE, body, SEALER) == CODE


def test_a_purpose_of_the_next_version_stays_what_it_is_called_for_this_one() -> None:
    names = {"purpose": "login", "exact_purpose": "pay"}
    sealed = SEALER.seal(
        json.dumps(CODE.model_dump(mode="json") | names).encode(), f"{SendCodeV2.TYPE} {CODE.message_id}"
    )
    document = json.loads(encode_send_code(CODE, SEALER)) | names | {"sealed": sealed}
    message = decode_send_code(SendCodeV2.TYPE, json.dumps(document).encode(), SEALER)
    assert message.purpose == "login"


@pytest.mark.parametrize("purpose", sorted(FORMER_PURPOSES))
def test_the_other_purposes_are_sent_as_before(purpose: str) -> None:
    message = CODE.model_copy(update={"purpose": purpose})
    document = json.loads(encode_send_code(message, SEALER))
    assert document["purpose"] == purpose
    assert "exact_purpose" not in document


def test_a_notice_hides_number_and_text_and_is_decoded_as_it_was() -> None:
    body = encode_send_code(NOTICE, SEALER)
    assert wire_type(NOTICE) == SendNoticeV1.TYPE == "sms.send_notice.v1"
    assert set(json.loads(body)) == {"message_id", "sealed", "purpose", "created_at", "expires_at"}
    assert NOTICE.text not in body.decode()
    jsonschema.validate(json.loads(body), json.loads((SCHEMAS / "sms.send_notice.v1.json").read_text()))
    assert decode_send_code(SendNoticeV1.TYPE, body, SEALER) == NOTICE
    for secret in (NOTICE.mobile, NOTICE.text):
        assert secret not in repr(NOTICE)


def test_the_checked_in_schema_of_a_notice_matches_the_model() -> None:
    schema = json.loads((SCHEMAS / f"{SendNoticeV1.TYPE}.json").read_text())
    assert schema == SendNoticeV1.model_json_schema()


def test_a_notice_cannot_pass_as_a_code_or_the_other_way_round() -> None:
    for message, other in ((NOTICE, SendCodeV2.TYPE), (CODE, SendNoticeV1.TYPE)):
        with pytest.raises(UnreadableMessage):
            decode_send_code(other, encode_send_code(message, SEALER), SEALER)


@pytest.mark.parametrize(
    ("cause", "reason", "more"),
    [
        ("password_reset", "password_reset", None),
        ("mobile_changed", "ended_by_user", "mobile_changed"),
        ("too_many_sessions", "ended_by_user", "too_many_sessions"),
    ],
)
def test_consumers_of_the_previous_version_know_every_reason(
    cause: EndCause, reason: str, more: str | None
) -> None:
    event = session_ended(7, AT, "0" * 32, cause)
    document = json.loads(event.model_dump_json())
    assert (document["reason"], document.get("cause")) == (reason, more)
    assert ("cause" in document) == (more is not None)
    assert SessionEnded.model_validate(document) == event
