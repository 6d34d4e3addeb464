"""Texts that tell the owner of a number what was done to its account."""

import secrets
from collections.abc import Mapping
from datetime import timedelta

import structlog

from services.auth.codes.publisher import SendCodePublisher
from shared.clock import Clock
from shared.contracts.messages import NoticeKind, Purpose, SendNotice
from shared.errors import Unavailable
from shared.observability.metrics import AuthMetrics

# A notice that is late is better than none, but the worker keeps no record of a message for long.
_LIFETIME = timedelta(hours=1)
_PURPOSES: Mapping[NoticeKind, Purpose] = {
    "mobile_changed": "change_mobile",
    "password_reset": "reset",
    "account_deleted": "delete",
}

log = structlog.get_logger()


class NoticeService:
    """Sends notices, where a text is set: the provider must have approved it.

    Args:
        publisher: hands messages to the SMS worker.
        texts: the texts by kind, without the signature; an empty one means that no notice is sent.
        clock: returns the current time.
        metrics: counts notices.
    """

    def __init__(
        self,
        publisher: SendCodePublisher,
        texts: Mapping[NoticeKind, str],
        clock: Clock,
        metrics: AuthMetrics,
    ) -> None:
        self._publisher = publisher
        self._texts = texts
        self._clock = clock
        self._metrics = metrics

    async def send(self, kind: NoticeKind, mobile: str) -> None:
        """Send a notice to a number after a change has been committed.

        Never raises: the change stands, and the event and the audit trail tell of it.
        """
        text = self._texts[kind]
        if not text:
            return
        now = self._clock()
        notice = SendNotice(
            message_id=secrets.token_hex(16),
            mobile=mobile,
            text=text,
            purpose=_PURPOSES[kind],
            created_at=now,
            expires_at=now + _LIFETIME,
        )
        outcome = "published"
        try:
            await self._publisher.publish(notice)
        except Unavailable:
            outcome = "failed"
            log.warning("notice_not_sent", kind=kind, message_id=notice.message_id)
        self._metrics.notices.labels(kind, outcome).inc()
