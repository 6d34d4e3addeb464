"""The headers of messages: the history of a message that is retried, and the reason of a dead letter.

None begins with `x-`: such headers belong to the broker, which uses them to detect cycles and from version 4
on ignores those that publishers set.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

from services.sms.delivery.models import AttemptHistory
from shared.contracts.messages import SendCode
from shared.http import request_ids

Headers = dict[str, str | int]


def read_request_id(headers: Mapping[str, object]) -> str:
    """Return the id of the request that caused the message, or a new one."""
    return request_ids.accept_or_create(str(headers.get("request_id", "")))


def read_history(headers: Mapping[str, object], message: SendCode, *, redelivered: bool) -> AttemptHistory:
    """Return the attempts that a message's headers tell of; without headers there were none."""
    attempts = headers.get("attempts")
    return AttemptHistory(
        attempts=attempts if isinstance(attempts, int) and attempts > 0 else 0,
        since=_parse_time(headers.get("since")) or message.created_at,
        account=str(headers.get("account", "")),
        resent=headers.get("resent") == 1,
        redelivered=redelivered,
        halted=frozenset(filter(None, str(headers.get("halted", "")).split(","))),
    )


def retry_headers(request_id: str, history: AttemptHistory) -> Headers:
    """Return the headers of a message that is retried."""
    return {
        "request_id": request_id,
        "attempts": history.attempts,
        "since": history.since.isoformat(),
        "account": history.account,
        "resent": int(history.resent),
        **({"halted": ",".join(sorted(history.halted))} if history.halted else {}),
    }


def dead_letter_headers(
    request_id: str, *, reason: str, code: str, attempts: int, died_at: datetime
) -> Headers:
    """Return the headers of a dead letter."""
    return {
        "request_id": request_id,
        "reason": reason,
        "code": code,
        "attempts": attempts,
        "died_at": died_at.isoformat(),
    }


def _parse_time(value: object) -> datetime | None:
    try:
        time = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)
