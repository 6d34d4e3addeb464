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
        sid: the provider's id of the message, empty where it is known by its uid only.
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
    """The reports of one push or pull.

    Attributes:
        reports: those that say what became of a message.
        unreadable: items that are no report.
        undecided: reports that nothing is known yet.
        replies: messages from phones, which are not kept.
    """

    reports: Sequence[StatusReport]
    unreadable: int = 0
    undecided: int = 0
    replies: int = 0

    @property
    def size(self) -> int:
        """The number of all items."""
        return len(self.reports) + self.unreadable + self.undecided + self.replies


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
