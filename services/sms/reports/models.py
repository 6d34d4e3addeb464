"""Status reports: what became of accepted messages at the phone."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

ReportStatus = Literal["delivered", "failed"]


@dataclass(frozen=True, slots=True)
class StatusReport:
    """One report.

    Attributes:
        sid: the provider's id of the message.
        status: whether it reached the phone.
        code: the carrier's code where it did not; codes differ by carrier.
        at: the time that the provider gives.
        uid: the id of our message, empty where the provider does not give it back.
    """

    sid: str
    status: ReportStatus
    code: str
    at: datetime
    uid: str = ""


@dataclass(frozen=True, slots=True)
class ReportBatch:
    """The reports of one push or pull, and how many of its items were unreadable."""

    reports: Sequence[StatusReport]
    unreadable: int = 0


@dataclass(frozen=True, slots=True)
class ReportResult:
    """What applying a status report changed.

    Attributes:
        known: whether its message is on record; otherwise the report is kept for it.
        applied: whether it changed the record; a duplicate does not.
        accepted_at: when the provider accepted the message, where known.
        dial_code: the country code of its number, where known.
        prefix: the first digits of its number, where known.
        recovered: whether it tells of an acceptance whose answer was lost.
    """

    known: bool
    applied: bool
    accepted_at: datetime | None = None
    dial_code: str = ""
    prefix: str = ""
    recovered: bool = False
