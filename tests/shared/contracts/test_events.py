import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from shared.contracts.events import EVENTS, DomainEvent, decode_event, routing_key
from shared.contracts.messages import UnreadableMessage

SCHEMAS = Path(__file__).parents[3] / "shared" / "contracts" / "schemas"
COMMON = {
    "event_id": "18fc1c05b58ee8f37c16cdae23ba853f",
    "occurred_at": "2026-01-02T03:04:05.678901Z",
    "user_id": 7,
}
SESSION_ID = "0123456789abcdef0123456789abcdef"
GOLDEN = {
    "user.registered.v1": COMMON | {"mobile": "138****0000", "method": "password"},
    "user.deleted.v1": COMMON,
    "user.disabled.v1": COMMON,
    "user.enabled.v1": COMMON,
    "profile.changed.v1": COMMON | {"members": ["nickname", "avatar"]},
    "mobile.changed.v1": COMMON | {"mobile": "138****0000"},
    "password.changed.v1": COMMON | {"method": "reset"},
    "session.started.v1": COMMON | {"session_id": SESSION_ID, "method": "code"},
    "session.ended.v1": COMMON | {"session_id": SESSION_ID, "reason": "password_reset"},
}


def schema_of(event: type[DomainEvent]) -> Any:
    return json.loads((SCHEMAS / f"{event.TYPE}.json").read_text())


def test_every_event_has_a_golden_document() -> None:
    assert [event.TYPE for event in EVENTS] == list(GOLDEN)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.TYPE)
def test_the_checked_in_schema_matches_the_model(event: type[DomainEvent]) -> None:
    assert schema_of(event) == event.model_json_schema()


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.TYPE)
def test_the_wire_format_is_stable(event: type[DomainEvent]) -> None:
    golden = GOLDEN[event.TYPE]
    decoded = decode_event(event.TYPE, json.dumps(golden).encode())
    assert type(decoded) is event
    assert json.loads(decoded.model_dump_json()) == golden
    jsonschema.validate(golden, schema_of(event))


def test_the_routing_key_is_the_type_without_its_version() -> None:
    assert routing_key("user.registered.v1") == "user.registered"


@pytest.mark.parametrize(
    ("event_type", "body", "reason"),
    [
        (None, b"{}", "unknown event type"),
        ("user.registered.v9", b"{}", "unknown event type"),
        ("user.registered.v1", b"{}", "malformed user.registered.v1"),
        ("user.registered.v1", b"\xff", "malformed user.registered.v1"),
    ],
    ids=["no-type", "future-type", "members", "garbage"],
)
def test_an_unreadable_event_has_a_reason(event_type: str | None, body: bytes, reason: str) -> None:
    with pytest.raises(UnreadableMessage) as raised:
        decode_event(event_type, body)
    assert raised.value.reason == reason
