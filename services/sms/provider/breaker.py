"""Whether sending makes sense now: the consumer stops while it does not."""

from collections.abc import Callable

import structlog

from shared.observability.metrics import ProviderMetrics

log = structlog.get_logger()


class Breaker:
    """Closed while messages may be consumed.

    Args:
        find_reason: tells what keeps all messages from passing; nothing where they pass.
        may_probe: tells whether one message may be tried nevertheless.
        metrics: shows the state.
    """

    def __init__(
        self, find_reason: Callable[[], str], may_probe: Callable[[], bool], metrics: ProviderMetrics
    ) -> None:
        self._find_reason = find_reason
        self._may_probe = may_probe
        self._metrics = metrics
        self._callbacks: list[Callable[[], None]] = []
        self.probing = False
        self.reason = ""

    @property
    def closed(self) -> bool:
        """Whether messages may be consumed."""
        return not self.reason

    def on_change(self, callback: Callable[[], None]) -> None:
        """Have `callback` run after each change of `closed` or `probing`."""
        self._callbacks.append(callback)

    def refresh(self) -> None:
        """Look at the reasons again."""
        before = self.closed, self.probing
        self.reason = self._find_reason()
        self.probing = bool(self.reason) and self._may_probe()
        self._metrics.breaker_open.set(not self.closed)
        if before[0] != self.closed:
            log.warning("sending_paused", reason=self.reason) if self.reason else log.info("sending_resumed")
        if before != (self.closed, self.probing):
            for callback in self._callbacks:
                callback()
