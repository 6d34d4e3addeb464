"""The headers of our messages: what a message tells of itself, and why it is dead.

None begins with `x-`: those are the broker's, which takes a message for one of a cycle by them, and
from version 4 on ignores what publishers put there.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

from services.sms.delivery.models import Trace
from shared.contracts.messages import SendCode
from shared.http import request_ids

Headers = dict[str, str | int]


def read_request_id(headers: Mapping[str, object]) -> str:
    """Return the id of the request that the message comes from, a new one where it has none."""
    return request_ids.accept_or_create(str(headers.get("request_id", "")))


def read_trace(headers: Mapping[str, object], message: SendCode, *, redelivered: bool) -> Trace:
    """Return what a message tells of its attempts; one without headers has had none."""
    attempts = headers.get("attempts")
    return Trace(
        attempts=attempts if isinstance(attempts, int) and attempts > 0 else 0,
        since=_moment(headers.get("since")) or message.created_at,
        account=str(headers.get("account", "")),
        resent=headers.get("resent") == 1,
        redelivered=redelivered,
    )


def of_waiting(request_id: str, trace: Trace) -> Headers:
    """Return the headers of a message that comes again."""
    return {
        "request_id": request_id,
        "attempts": trace.attempts,
        "since": trace.since.isoformat(),
        "account": trace.account,
        "resent": int(trace.resent),
    }


def of_dead(request_id: str, *, reason: str, code: str, attempts: int, died_at: datetime) -> Headers:
    """Return the headers of a message that is given up on."""
    return {
        "request_id": request_id,
        "reason": reason,
        "code": code,
        "attempts": attempts,
        "died_at": died_at.isoformat(),
    }


def _moment(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
