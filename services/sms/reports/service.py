"""What became of accepted messages at the phone, as the provider reports it afterwards."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

Outcome = Literal["delivered", "failed"]


@dataclass(frozen=True, slots=True)
class StatusReport:
    """One report.

    Attributes:
        sid: the provider's number of the message.
        outcome: whether the phone got it.
        code: the carrier's code where it did not; codes differ by carrier.
        at: when that was, as the provider says.
    """

    sid: str
    outcome: Outcome
    code: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Reported:
    """What a status report did.

    Attributes:
        known: whether its message is on record; where it is not, the report waits for it.
        applied: whether it changed the record; a duplicate does not.
        accepted_at: when the provider accepted the message, where known.
        dial_code: the country of its number, where known.
        prefix: the first digits of its number, where known.
    """

    known: bool
    applied: bool
    accepted_at: datetime | None = None
    dial_code: str = ""
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """The reports of one push or pull, and how many of its items could not be read."""

    reports: Sequence[StatusReport]
    unreadable: int = 0


class ReportBook(Protocol):
    """Where reports are stored."""

    async def report(self, reports: Sequence[StatusReport], account: str) -> Sequence[Reported]:
        """Store all of them or none, in one step; in any order and any number of times alike.

        Args:
            reports: as they came.
            account: whose they are, empty where that is not known.
        """


class Tally(Protocol):
    """What counts reports."""

    def unreadable(self, count: int) -> None:
        """Count items that are no reports."""

    def stored(self, report: StatusReport, reported: Reported) -> None:
        """Count a stored report by what it did."""


async def take_reports(batch: Batch, account: str = "", *, book: ReportBook, tally: Tally) -> None:
    """Store the reports of a push or pull and count what they did.

    What cannot be read is counted and dropped: the provider would only repeat it as it is.
    """
    tally.unreadable(batch.unreadable)
    if not batch.reports:
        return
    for report, reported in zip(batch.reports, await book.report(batch.reports, account), strict=True):
        tally.stored(report, reported)
