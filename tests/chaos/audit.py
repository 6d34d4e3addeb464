"""The audit: every published message is in exactly one known place, and none was sent twice."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from services.sms.delivery.models import FINAL_STATES
from shared.amqp.topology import DEAD_QUEUE, SEND_CODE_QUEUE
from shared.contracts.messages import SendCode
from tests.support.pipeline import WAIT_QUEUES, Pipeline


@dataclass(frozen=True)
class AuditResult:
    """The number of messages by place, and of texts by message."""

    places: Counter[str]
    texts: Counter[str]

    @property
    def most_texts(self) -> int:
        return max(self.texts.values(), default=0)


async def audit(pipeline: Pipeline, messages: Sequence[SendCode]) -> AuditResult:
    """Find the place of each message; no worker may hold any of them.

    published = accepted + failed + limited + expired + dead + queued. `accepted` includes delivered
    messages; a failed message is in the dead letter queue too and counts as failed.
    """
    dead, queued = await _ids(pipeline, DEAD_QUEUE), await _queued(pipeline)
    places: dict[str, str] = {}
    for message in messages:
        state = await pipeline.state(message)
        if state in FINAL_STATES:
            places[message.message_id] = "accepted" if state == "delivered" else state
        elif message.message_id in dead:
            places[message.message_id] = "dead"
        else:
            places[message.message_id] = "queued" if message.message_id in queued else f"lost ({state})"
    assert not [place for place in places.values() if place.startswith("lost")], Counter(places.values())
    texts = await _texts(pipeline, messages)
    for message in messages:
        sent, place = texts[message.message_id], places[message.message_id]
        assert bool(sent) == (place == "accepted") or place == "queued", (place, sent)
    return AuditResult(Counter(places.values()), texts)


async def _texts(pipeline: Pipeline, messages: Sequence[SendCode]) -> Counter[str]:
    inbox = await pipeline.provider.inbox()
    texts: Counter[str] = Counter()
    by_mobile = {message.mobile: message for message in messages}
    for sent in inbox:
        if (message := by_mobile.get(sent["mobile"])) is not None:
            assert message.code in sent["text"]
            texts[message.message_id] += 1
    return texts


async def _queued(pipeline: Pipeline) -> set[str]:
    """Return what is in the work queue, once all that waits has come back to it."""
    for queue in WAIT_QUEUES:
        await pipeline.until_empty(queue)
    await asyncio.sleep(0.2)
    return await _ids(pipeline, SEND_CODE_QUEUE)


async def _ids(pipeline: Pipeline, name: str) -> set[str]:
    """Return the ids of a queue's messages, and leave them there."""
    ids: set[str] = set()
    async with pipeline.channel() as channel:
        queue = await channel.get_queue(name)
        while (message := await queue.get(fail=False)) is not None:
            ids.add(message.message_id or "")
    return ids
