"""The queue of expensive computations: whose turn it is, and who has a place in it."""

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack

import pytest

from services.auth.work_queue import Busy, FairQueue, Places, QueueFull, Requester, WorkQueue

HOME, ELSEWHERE = "192.0.2.1", "198.51.100.1"


def served(waiting: Sequence[tuple[str, Requester]]) -> list[str]:
    """Return the order in which items are taken that came in this order."""
    queue: FairQueue[str] = FairQueue()
    for item, requester in waiting:
        queue.put(item, requester)
    order = []
    while taken := queue.take():
        order.append(taken)
    return order


def test_addresses_take_turns_however_much_each_asks() -> None:
    attack = [(f"attack {n}", Requester("attacker", ELSEWHERE)) for n in range(40)]
    order = served([*attack, ("victim", Requester("victim", HOME))])
    assert order.index("victim") == 1
    assert len(order) == 41


def test_the_accounts_behind_one_address_take_turns() -> None:
    attack = [(f"attack {n}", Requester("attacker", HOME)) for n in range(40)]
    assert served([*attack, ("victim", Requester("victim", HOME))]).index("victim") == 1


def test_the_addresses_of_one_host_are_one() -> None:
    attack = [(f"attack {n}", Requester(f"{n}", f"2001:db8:1:2::{n:x}")) for n in range(40)]
    assert served([*attack, ("victim", Requester("victim", "2001:db8:1:3::1"))]).index("victim") == 1


def test_trusted_addresses_come_first_whatever_many_addresses_ask() -> None:
    attack = [(f"attack {n}", Requester("attacker", f"10.0.{n}.1")) for n in range(40)]
    assert served([*attack, ("owner", Requester("owner", HOME, trusted=True))])[0] == "owner"


def test_trusted_addresses_do_not_keep_others_waiting() -> None:
    attack = [(f"attack {n}", Requester(f"{n}", f"10.0.{n}.1", trusted=True)) for n in range(40)]
    order = served([*attack, *((f"victim {n}", Requester(f"{n}", HOME)) for n in range(3))])
    assert [order.index(f"victim {n}") for n in range(3)] == [3, 7, 11]


def test_one_address_and_account_keeps_its_order() -> None:
    requester = Requester("one", HOME)
    assert served([(f"{n}", requester) for n in range(5)]) == ["0", "1", "2", "3", "4"]


@pytest.fixture
def places() -> Places:
    return Places(per_account=2, per_address=4)


def hold(stack: ExitStack, places: Places, requester: Requester) -> str:
    """Hold a place and return whose limit refuses it, or an empty string."""
    try:
        stack.enter_context(places.hold(requester))
    except Busy as error:
        return error.subject
    return ""


def test_an_account_has_two_places_and_an_address_four(places: Places) -> None:
    with ExitStack() as stack:
        seen = [hold(stack, places, Requester("one", address)) for address in (HOME, ELSEWHERE, "10.0.0.1")]
        assert seen == ["", "", "account"]
        seen = [hold(stack, places, Requester(account, HOME)) for account in "abcd"]
        assert seen == ["", "", "", "address"]
    assert hold(ExitStack(), places, Requester("one", HOME)) == ""


def test_a_place_is_free_again_after_a_failure(places: Places) -> None:
    for _ in range(5):
        with pytest.raises(ZeroDivisionError), places.hold(Requester("one", HOME)):
            raise ZeroDivisionError


def test_strangers_cannot_take_an_owners_last_place(places: Places) -> None:
    with ExitStack() as stack:
        for address in ("10.0.0.1", "10.0.1.1"):
            assert hold(stack, places, Requester("owner", address)) == ""
        assert hold(stack, places, Requester("owner", ELSEWHERE)) == "account"
        assert hold(stack, places, Requester("owner", HOME, trusted=True)) == ""
        assert hold(stack, places, Requester("owner", HOME, trusted=True)) == "account"


def test_only_an_addresss_own_checks_refuse_it_before_anything_is_known(places: Places) -> None:
    with ExitStack() as stack:
        for _ in range(2):
            hold(stack, places, Requester("one", ELSEWHERE))
        places.refuse_busy("one", HOME)
        with pytest.raises(Busy):
            places.refuse_busy("one", ELSEWHERE)
        places.refuse_busy("two", ELSEWHERE)
        for _ in range(2):
            hold(stack, places, Requester("two", ELSEWHERE))
        with pytest.raises(Busy):
            places.refuse_busy("three", ELSEWHERE)


class Worker:
    """A queue with one thread, which is busy until `release`."""

    def __init__(self, capacity: int = 100) -> None:
        self.queue = WorkQueue("test", workers=1, capacity=capacity)
        self.places = Places()
        self.done: list[str] = []
        self._released = threading.Event()
        self._occupied = threading.Event()
        self._first: asyncio.Task[None] | None = None

    async def occupy(self) -> None:
        self._first = asyncio.create_task(self.queue.run(self._wait))
        await asyncio.to_thread(self._occupied.wait, 5)

    def _wait(self) -> None:
        self._occupied.set()
        self._released.wait(5)

    async def release(self) -> None:
        self._released.set()
        if self._first:
            await self._first

    async def compute(self, name: str, requester: Requester) -> None:
        with self.places.hold(requester):
            await self.queue.run(lambda: self.done.append(name))


@pytest.fixture
async def worker() -> AsyncIterator[Worker]:
    worker = Worker()
    yield worker
    await worker.release()
    worker.queue.close()


async def test_threads_take_what_is_due_when_they_are_free(worker: Worker) -> None:
    await worker.occupy()
    waiting = [asyncio.create_task(worker.compute(f"{n}", Requester("a", ELSEWHERE))) for n in range(20)]
    await asyncio.sleep(0)
    waiting.append(asyncio.create_task(worker.compute("stranger", Requester("b", HOME))))
    waiting.append(asyncio.create_task(worker.compute("owner", Requester("c", HOME, trusted=True))))
    await asyncio.sleep(0)
    await worker.release()
    await asyncio.gather(*waiting)
    assert worker.done[:3] == ["owner", "0", "stranger"]
    assert len(worker.done) == 22


async def test_what_is_cancelled_before_its_turn_is_not_computed(worker: Worker) -> None:
    await worker.occupy()
    waiting = [asyncio.create_task(worker.compute(f"{n}", Requester("a", HOME))) for n in range(3)]
    await asyncio.sleep(0)
    waiting[1].cancel()
    await asyncio.wait({waiting[1]})
    await worker.release()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert worker.done == ["0", "2"]


async def test_a_queue_that_strangers_fill_has_room_for_trusted_addresses() -> None:
    worker = Worker(capacity=5)
    await worker.occupy()
    waiting = [
        asyncio.create_task(worker.compute(f"{n}", Requester(f"{n}", f"10.0.{n}.1"))) for n in range(10)
    ]
    await asyncio.sleep(0)
    owner = asyncio.create_task(worker.compute("owner", Requester("owner", HOME, trusted=True)))
    await asyncio.sleep(0)
    await worker.release()
    results = await asyncio.gather(*waiting, owner, return_exceptions=True)
    worker.queue.close()
    assert Counter(type(result) for result in results) == {type(None): 5, QueueFull: 6}
    assert worker.done[0] == "owner"


@pytest.mark.parametrize("trusted", [False, True], ids=["new", "trusted"])
async def test_an_address_that_fills_the_queue_makes_room_for_others(
    trusted: bool,  # noqa: FBT001
) -> None:
    worker = Worker(capacity=6)
    await worker.occupy()  # by nobody, who is not trusted

    def ask(name: str, account: str, address: str) -> asyncio.Task[None]:
        return asyncio.create_task(worker.compute(name, Requester(account, address, trusted)))

    waiting = [ask(f"{n}", f"{n}", ELSEWHERE) for n in range(8)]
    await asyncio.sleep(0)
    waiting += [ask("victim", "victim", HOME), ask("second", "victim", HOME)]
    await asyncio.sleep(0)
    await worker.release()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    worker.queue.close()
    assert results[-2:] == [None, None]
    assert worker.done.index("victim") == 1
    refused = [result for result in results if isinstance(result, QueueFull)]
    assert len(refused) + len(worker.done) == 10
    assert len(worker.done) in {5, 6}  # one place is taken by nobody


async def test_addresses_with_as_much_make_no_room(worker: Worker) -> None:
    worker.queue.capacity = 4
    await worker.occupy()
    waiting = [
        asyncio.create_task(worker.compute(f"{n}", Requester(f"{n}", f"10.0.{n}.1"))) for n in range(6)
    ]
    await asyncio.sleep(0)
    await worker.release()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(result) for result in results] == [type(None)] * 3 + [QueueFull] * 3


async def test_a_computation_that_fails_raises_to_its_caller(worker: Worker) -> None:
    with pytest.raises(ZeroDivisionError):
        await worker.queue.run(lambda: 1 // 0)
    assert await worker.queue.run(lambda: 1) == 1
