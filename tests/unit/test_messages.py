import json
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import pytest

from shared.messages import SendCodeV1, UnreadableMessage, decode_send_code

SCHEMA = Path(__file__).parents[2] / "shared" / "schemas" / "sms.send_code.v1.json"
GOLDEN = {
    "message_id": "18fc1c05b58ee8f37c16cdae23ba853f",
    "mobile": "13800000000",
    "code": "012345",
    "purpose": "register",
    "channel": "sms",
    "created_at": "2026-01-02T03:04:05Z",
    "expires_at": "2026-01-02T03:14:05Z",
}


def test_the_checked_in_schema_is_the_models() -> None:
    assert json.loads(SCHEMA.read_text()) == SendCodeV1.model_json_schema()


def test_the_wire_form_stays_as_it_is() -> None:
    message = decode_send_code("sms.send_code.v1", json.dumps(GOLDEN).encode())
    assert message.expires_at == datetime(2026, 1, 2, 3, 14, 5, tzinfo=UTC)
    assert json.loads(message.model_dump_json()) == GOLDEN
    jsonschema.validate(GOLDEN, json.loads(SCHEMA.read_text()))


def test_members_from_the_future_are_ignored_and_optional_ones_have_defaults() -> None:
    body = {name: value for name, value in GOLDEN.items() if name != "channel"} | {"priority": 5}
    assert decode_send_code("sms.send_code.v1", json.dumps(body).encode()).channel == "sms"


@pytest.mark.parametrize(
    ("message_type", "body", "reason"),
    [
        (None, b"{}", "unknown message type"),
        ("sms.send_code.v9", b"{}", "unknown message type"),
        ("sms.send_code.v1", b"", "malformed sms.send_code.v1: body"),
        ("sms.send_code.v1", b"\xff\x00garbage", "malformed sms.send_code.v1: body"),
        ("sms.send_code.v1", b"[]", "malformed sms.send_code.v1: body"),
        (
            "sms.send_code.v1",
            json.dumps(GOLDEN | {"mobile": "1", "code": "x"}).encode(),
            "malformed sms.send_code.v1: code, mobile",
        ),
    ],
    ids=["no-type", "future-type", "empty", "garbage", "array", "members"],
)
def test_what_cannot_be_read_says_why_without_values(
    message_type: str | None, body: bytes, reason: str
) -> None:
    with pytest.raises(UnreadableMessage) as refusal:
        decode_send_code(message_type, body)
    assert refusal.value.reason == reason


def test_the_code_is_not_in_the_repr() -> None:
    assert "012345" not in repr(decode_send_code("sms.send_code.v1", json.dumps(GOLDEN).encode()))
