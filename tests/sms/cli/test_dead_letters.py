"""The `dead` commands, on the real servers."""

import secrets
from datetime import timedelta

import aio_pika
from aio_pika.abc import AbstractChannel
from redis.asyncio import Redis

from services.sms.cli.dead_letter_queue import hold_letters
from services.sms.delivery.repository import MessageRepository
from shared.amqp.topology import DEAD_KEY
from shared.contracts.messages import SendCodeV2, encode_send_code
from tests.support.client import Phone, new_mobile
from tests.support.sms_commands import CODE, SEALER, depth, message, put_dead, rows, sms
from tests.support.sms_delivery import accepted
from tests.support.system import System


async def test_dead_letters_are_listed_without_code_and_number(
    system: System, dead_queue: AbstractChannel
) -> None:
    mobile = new_mobile()
    ids = [
        await put_dead(dead_queue, message(mobile)),
        await put_dead(dead_queue, message(mobile), "unresolved"),
    ]
    done = sms(system, "dead", "list", "--json")
    assert [row["id"] for row in rows(done)] == ids
    assert rows(done)[0].items() >= {
        "reason": "refused", "code": "5", "attempts": 2, "mobile": f"{mobile[:3]}****{mobile[-4:]}",
        "purpose": "login", "channel": "sms",
    }.items()  # fmt: skip
    table = sms(system, "dead", "list").stdout
    assert [line.split()[0] for line in table.splitlines()] == ["id", *ids]
    shown = sms(system, "dead", "show", ids[0]).stdout
    for output in (done.stdout, table, shown):
        assert mobile not in output
        assert CODE not in output
    assert rows(sms(system, "dead", "list", "--json", "--limit", "1")) == rows(done)[:1]


async def test_holding_letters_repeatedly_loses_none_and_keeps_the_order(
    dead_queue: AbstractChannel, system: System
) -> None:
    ids = [await put_dead(dead_queue, message(new_mobile())) for _ in range(5)]
    connection = await aio_pika.connect(system.env["AMQP_URL"])
    async with connection:
        for _ in range(30):
            looking = await connection.channel()
            async with hold_letters(looking, SEALER) as letters:
                assert [letter.key for letter in letters] == ids
    assert await depth(dead_queue) == 5


async def test_an_unknown_letter_is_reported_in_one_line(system: System, dead_queue: AbstractChannel) -> None:
    await put_dead(dead_queue, message(new_mobile()))
    for command in (["show"], ["replay"], ["drop", "--yes"]):
        done = sms(system, "dead", *command, "nothing")
        assert (done.returncode, done.stdout, done.stderr) == (1, "", "no such dead letter: nothing\n")
    assert await depth(dead_queue) == 1


async def test_a_replayed_letter_is_sent(system: System, dead_queue: AbstractChannel, phone: Phone) -> None:
    mobile = new_mobile()
    other = await put_dead(dead_queue, message(new_mobile()))
    letter = await put_dead(dead_queue, message(mobile))
    done = sms(system, "dead", "replay", letter, "--json")
    assert (done.returncode, [(row["id"], row["outcome"]) for row in rows(done)]) == (0, [(letter, "queued")])
    assert await phone.code(mobile) == CODE
    assert [row["id"] for row in rows(sms(system, "dead", "list", "--json"))] == [other]


async def test_an_interrupted_replay_sends_one_text(
    system: System, dead_queue: AbstractChannel, phone: Phone, system_redis: Redis
) -> None:
    mobile = new_mobile()
    dead = message(mobile)
    letter = await put_dead(dead_queue, dead)
    await MessageRepository(system_redis).reopen(letter)
    exchange = await dead_queue.get_exchange("sms", ensure=False)
    body = encode_send_code(dead, SEALER)
    live = aio_pika.Message(body, type=SendCodeV2.TYPE, message_id=letter)
    await exchange.publish(live, "sms.send_code")  # and died before it took the letter away
    assert await phone.code(mobile) == CODE
    done = sms(system, "dead", "replay", "--all", "--json")
    assert {row["outcome"] for row in rows(done)} <= {"queued", "sent before"}
    # The worker has taken all that was queued before this one.
    assert rows(sms(system, "send", "--mobile", new_mobile(), "--json"))["state"] == "accepted"
    assert len(await phone.texts(mobile)) == 1
    assert await depth(dead_queue) == 0


async def test_a_letter_that_was_accepted_meanwhile_is_not_sent(
    system: System, dead_queue: AbstractChannel, phone: Phone, system_redis: Redis
) -> None:
    mobile, repository = new_mobile(), MessageRepository(system_redis)
    dead = message(mobile).model_copy(
        update={"message_id": await accepted(repository, str(secrets.randbits(48)))}
    )
    await put_dead(dead_queue, dead)
    done = sms(system, "dead", "replay", "--all", "--json")
    assert (done.returncode, rows(done)[0]["outcome"]) == (0, "sent before")
    assert await depth(dead_queue) == 0
    assert await phone.texts(mobile) == []


async def test_expired_codes_are_replayed_only_on_request(
    system: System, dead_queue: AbstractChannel, phone: Phone
) -> None:
    mobile = new_mobile()
    letter = await put_dead(dead_queue, message(mobile, -timedelta(seconds=1)))
    done = sms(system, "dead", "replay", letter)
    assert done.returncode == 1
    assert "expired" in done.stdout
    assert await depth(dead_queue) == 1
    assert sms(system, "dead", "replay", letter, "--expired").returncode == 0
    assert await phone.code(mobile) == CODE
    assert await depth(dead_queue) == 0


async def test_an_unreadable_letter_can_be_dropped_but_not_replayed(
    system: System, dead_queue: AbstractChannel
) -> None:
    exchange = await dead_queue.get_exchange("sms", ensure=False)
    garbage = aio_pika.Message(b"\x00 13800000000 975318", type=SendCodeV2.TYPE)
    await exchange.publish(garbage, DEAD_KEY)
    (row,) = rows(sms(system, "dead", "list", "--json"))
    assert (row["reason"], row["mobile"]) == (f"malformed {SendCodeV2.TYPE}: body", None)
    done = sms(system, "dead", "replay", row["id"], "--json")
    assert (done.returncode, rows(done)[0]["outcome"]) == (1, "unreadable")
    shown = sms(system, "dead", "show", row["id"]).stdout
    assert "975318" not in shown
    assert "13800000000" not in shown
    assert sms(system, "dead", "drop", row["id"], answer="n\n").returncode == 1
    assert await depth(dead_queue) == 1
    assert rows(sms(system, "dead", "drop", row["id"], "--yes", "--json"))[0]["outcome"] == "dropped"
    assert await depth(dead_queue) == 0


async def test_replay_and_drop_need_ids_or_all(system: System) -> None:
    for command in (["replay"], ["replay", "x", "--all"], ["drop", "--yes"]):
        assert sms(system, "dead", *command).returncode == 2
