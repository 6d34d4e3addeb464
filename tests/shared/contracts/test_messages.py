import json
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import pytest

from shared.contracts.messages import (
    SendCodeV1,
    SendCodeV2,
    UnreadableMessage,
    decode_send_code,
    encode_send_code,
)
from shared.security.sealing import Sealer

SCHEMAS = Path(__file__).parents[3] / "shared" / "contracts" / "schemas"
SEALER = Sealer(["x" * 32])
V1, V2 = SendCodeV1.TYPE, SendCodeV2.TYPE
GOLDEN = {
    "message_id": "18fc1c05b58ee8f37c16cdae23ba853f",
    "mobile": "13800000000",
    "code": "012345",
    "purpose": "register",
    "channel": "sms",
    "created_at": "2026-01-02T03:04:05Z",
    "expires_at": "2026-01-02T03:14:05Z",
}
# GOLDEN's number and code, sealed with SEALER.
SEALED = "QnJtU5vVFTNIWUT5NQMMoil-s3ZLTgM9hNAHLZnvjPv7kRDbPifq1tTlZOcbWA8uqi_tmGuYytAV85cj9RMJdyZwGyM="
GOLDEN_V2 = {name: value for name, value in GOLDEN.items() if name not in {"mobile", "code"}} | {
    "sealed": SEALED
}


@pytest.mark.parametrize("model", [SendCodeV1, SendCodeV2])
def test_the_checked_in_schema_matches_the_model(model: type[SendCodeV1 | SendCodeV2]) -> None:
    assert json.loads((SCHEMAS / f"{model.TYPE}.json").read_text()) == model.model_json_schema()


@pytest.mark.parametrize(("message_type", "golden"), [(V1, GOLDEN), (V2, GOLDEN_V2)])
def test_both_versions_are_decoded_to_the_same_message(message_type: str, golden: dict[str, str]) -> None:
    message = decode_send_code(message_type, json.dumps(golden).encode(), SEALER)
    assert message.expires_at == datetime(2026, 1, 2, 3, 14, 5, tzinfo=UTC)
    assert json.loads(message.model_dump_json()) == GOLDEN
    jsonschema.validate(golden, json.loads((SCHEMAS / f"{message_type}.json").read_text()))


def test_the_wire_format_is_stable_and_hides_number_and_code() -> None:
    message = decode_send_code(V1, json.dumps(GOLDEN).encode(), SEALER)
    body = encode_send_code(message, SEALER)
    assert json.loads(body) | {"sealed": SEALED} == GOLDEN_V2
    assert b"13800000000" not in body
    assert b"012345" not in body
    assert decode_send_code(V2, body, SEALER).code == "012345"


def test_unknown_members_are_ignored_and_optional_ones_have_defaults() -> None:
    body = {name: value for name, value in GOLDEN_V2.items() if name != "channel"} | {"priority": 5}
    assert decode_send_code(V2, json.dumps(body).encode(), SEALER).channel == "sms"


def sealed(content: bytes, message_id: str = GOLDEN["message_id"]) -> bytes:
    return json.dumps(GOLDEN_V2 | {"sealed": SEALER.seal(content, f"{V2} {message_id}")}).encode()


@pytest.mark.parametrize(
    ("message_type", "body", "reason"),
    [
        (None, b"{}", "unknown message type"),
        ("sms.send_code.v9", b"{}", "unknown message type"),
        (V1, b"", f"malformed {V1}: body"),
        (V1, b"\xff\x00garbage", f"malformed {V1}: body"),
        (V1, b"[]", f"malformed {V1}: body"),
        (V1, json.dumps(GOLDEN | {"mobile": "1", "code": "x"}).encode(), f"malformed {V1}: code, mobile"),
        (V1, json.dumps(GOLDEN | {"expires_at": "2026-01-02T03:14"}).encode(), f"malformed {V1}: expires_at"),
        (V2, json.dumps(GOLDEN).encode(), f"malformed {V2}: sealed"),
        (V2, json.dumps(GOLDEN_V2 | {"sealed": "??é"}).encode(), f"sealed {V2}: no secret opens it"),
        (V2, json.dumps(GOLDEN_V2 | {"message_id": "other"}).encode(), f"sealed {V2}: no secret opens it"),
        (V2, sealed(b"[]"), f"malformed {V2}: sealed"),
        (V2, sealed(b"garbage"), f"malformed {V2}: sealed"),
        (V2, sealed(b'{"mobile": "1"}'), f"malformed {V2}: code, mobile"),
    ],
    ids=[
        "no-type", "future-type", "empty", "garbage", "array", "members", "no-zone", "not-sealed",
        "not-base64", "of-another-message", "sealed-array", "sealed-garbage", "sealed-members",
    ],
)  # fmt: skip
def test_an_unreadable_message_has_a_reason_without_values(
    message_type: str | None, body: bytes, reason: str
) -> None:
    with pytest.raises(UnreadableMessage) as raised:
        decode_send_code(message_type, body, SEALER)
    assert raised.value.reason == reason


def test_every_secret_opens_and_the_first_one_seals() -> None:
    rotating = Sealer(["y" * 32, "x" * 32])
    message = decode_send_code(V2, json.dumps(GOLDEN_V2).encode(), rotating)
    body = encode_send_code(message, rotating)
    assert decode_send_code(V2, body, Sealer(["y" * 32])) == message
    with pytest.raises(UnreadableMessage):
        decode_send_code(V2, body, SEALER)


@pytest.mark.parametrize("golden", [(V1, GOLDEN), (V2, GOLDEN_V2)])
def test_number_and_code_are_not_in_the_repr(golden: tuple[str, dict[str, str]]) -> None:
    shown = repr(decode_send_code(golden[0], json.dumps(golden[1]).encode(), SEALER))
    assert "012345" not in shown
    assert "13800000000" not in shown
