"""Expensive computations in threads: a bounded queue that is fair to those who ask.

Who asks has a place while the computation waits and runs (`Places`), and the queue serves addresses in
turn (`FairQueue`), so that nobody keeps others waiting by asking often.
"""

import asyncio
import contextvars
import os
import threading
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from shared.networks import host_of

# The threads run at a lower priority than the event loop, so that they do not slow down other requests.
_THREAD_NICENESS = 10
# Of each four computations, one is for requesters that are not trusted, if any waits.
_TRUSTED_IN_A_ROW = 3

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

Subject = Literal["account", "address"]


class QueueFull(Exception):
    """More computations wait than can be done in time."""


class Busy(Exception):
    """The account or the address has as many computations in progress as it may have."""

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        self.subject = subject


@dataclass(frozen=True, slots=True)
class Requester:
    """Who asks for a computation.

    Attributes:
        account: the number of the account concerned, whether or not there is one.
        address: the client's address.
        trusted: whether the account trusts the address, or the client has presented a right code.
        proven: whether it was a right code, of which there is one at a time.
    """

    account: str = ""
    address: str = ""
    trusted: bool = False
    proven: bool = False


_current: ContextVar[Requester | None] = ContextVar("requester", default=None)
_NOBODY = Requester()


class FairQueue(Generic[_Item]):
    """Items in the order in which they are served.

    Those of trusted requesters come first, except that every fourth place is for the others. Among
    each of the two, addresses take turns, and so do the accounts of an address.
    """

    def __init__(self) -> None:
        self._trusted: _Turns[_Item] = _Turns()
        self._others: _Turns[_Item] = _Turns()
        self._in_a_row = 0

    def put(self, item: _Item, requester: Requester) -> None:
        """Add an item."""
        self._lane(requester).put(item, host_of(requester.address), requester.account)

    def make_room(self, requester: Requester) -> _Item | None:
        """Remove and return the last item of the address that has most, or None if that would be unfair.

        It is fair if the requester's address has no more than that one, also with another item.
        """
        return self._lane(requester).drop_for(host_of(requester.address))

    def take(self) -> _Item | None:
        """Remove and return the next item, or None if there is none."""
        if self._trusted and not (self._others and self._in_a_row >= _TRUSTED_IN_A_ROW):
            self._in_a_row += 1
            return self._trusted.take()
        self._in_a_row = 0
        return self._others.take() if self._others else None

    def _lane(self, requester: Requester) -> "_Turns[_Item]":
        return self._trusted if requester.trusted else self._others


class _Turns(Generic[_Item]):
    """Items by address and account, which take turns."""

    def __init__(self) -> None:
        self._addresses: OrderedDict[str, OrderedDict[str, deque[_Item]]] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._addresses)

    def put(self, item: _Item, address: str, account: str) -> None:
        accounts = self._addresses.setdefault(address, OrderedDict())
        accounts.setdefault(account, deque()).append(item)

    def take(self) -> _Item:
        address, accounts = self._addresses.popitem(last=False)
        account, items = accounts.popitem(last=False)
        item = items.popleft()
        if items:
            accounts[account] = items
        if accounts:
            self._addresses[address] = accounts
        return item

    def drop_for(self, address: str) -> _Item | None:
        counts = {name: sum(map(len, accounts.values())) for name, accounts in self._addresses.items()}
        longest = max(counts, key=counts.__getitem__, default=address)
        if counts.get(longest, 0) < counts.get(address, 0) + 2:
            return None
        accounts = self._addresses[longest]
        account = max(accounts, key=lambda name: len(accounts[name]))
        item = accounts[account].pop()
        if not accounts[account]:
            del accounts[account]
        return item


class Places:
    """Counts the computations in progress, and refuses those beyond the limits.

    They are counted in the process, because they protect its queue and its cores.

    Args:
        per_account: computations of an account at a time, None for any number.
        per_address: computations of an address at a time, None for any number. The addresses of an
            IPv6 /64 are one, because a single host may own them all.
    """

    def __init__(self, per_account: int | None = None, per_address: int | None = None) -> None:
        self._per_account = per_account
        self._per_address = per_address
        self._held: Counter[tuple[str, ...]] = Counter()

    def refuse_busy(self, account: str, address: str) -> None:
        """Refuse a request that gets no place whether or not the account trusts the address.

        Only this address's own computations count, so that strangers elsewhere cause no refusal here.

        Raises:
            Busy: the address has all its places, or all of the account's.
        """
        host = host_of(address)
        if self._full(self._per_address, ("address", host)):
            raise Busy("address")
        if self._full(self._per_account, ("pair", account, host)):
            raise Busy("account")

    @contextmanager
    def hold(self, requester: Requester) -> Iterator[None]:
        """Hold a place for the block, whose computations are the requester's.

        Strangers cannot take the last place of an account: a trusted address gets one more if they
        have them all, and who has presented a right code gets one in any case.

        Raises:
            Busy: on entering; there is no place.
        """
        host, account = host_of(requester.address), requester.account
        if self._full(self._per_address, ("address", host)):
            raise Busy("address")
        reserved = requester.proven or (requester.trusted and not self._held["trusted", account])
        if self._full(self._per_account, ("account", account)) and not reserved:
            raise Busy("account")
        taken = [("address", host), ("account", account), ("pair", account, host)]
        if requester.trusted:
            taken.append(("trusted", account))
        self._held.update(taken)
        token = _current.set(requester)
        try:
            yield
        finally:
            _current.reset(token)
            self._release(taken)

    def _full(self, limit: int | None, subject: tuple[str, ...]) -> bool:
        return limit is not None and self._held[subject] >= limit

    def _release(self, taken: list[tuple[str, ...]]) -> None:
        for subject in taken:
            self._held[subject] -= 1
            if not self._held[subject]:
                del self._held[subject]


@dataclass(frozen=True, slots=True)
class _Job:
    compute: Callable[[], object]
    done: Future[object]


class WorkQueue:
    """Runs computations in its own threads, in the order of a `FairQueue`.

    Args:
        name: of the threads.
        workers: number of threads, at most the number of cores.
        capacity: computations that may wait and run, of trusted requesters and as many of others.
        watch: gets the number of computations that wait or run whenever it changes.

    Attributes:
        capacity: as above; may be changed.
    """

    def __init__(
        self, name: str, *, workers: int, capacity: int, watch: Callable[[int], object] = lambda _: None
    ) -> None:
        self._queue: FairQueue[_Job] = FairQueue()
        self._lock = threading.Lock()
        self.capacity = capacity
        self._watch = watch
        self._pending = {True: 0, False: 0}
        self._executor = ThreadPoolExecutor(workers, name, initializer=_lower_priority)

    async def run(self, compute: Callable[[], _Result]) -> _Result:
        """Return the result of a computation for the requester whose place is held.

        If the caller is cancelled before its turn, nothing is computed.

        Raises:
            QueueFull: at once, or later if others have to make room for an address that has less.
        """
        requester = _current.get() or _NOBODY
        if self._pending[requester.trusted] >= self.capacity:
            self._make_room(requester)
        done = self._submit(compute, requester)
        # As many calls as jobs; each takes the job whose turn it is by then.
        self._executor.submit(self._do_next)
        return await asyncio.wrap_future(done)

    def close(self) -> None:
        """Stop the threads and drop queued computations."""
        self._executor.shutdown(cancel_futures=True)
        while job := self._queue.take():
            job.done.cancel()

    def _make_room(self, requester: Requester) -> None:
        with self._lock:
            dropped = self._queue.make_room(requester)
        if dropped is None:
            raise QueueFull
        if not dropped.done.cancelled():
            dropped.done.set_exception(QueueFull())

    def _submit(self, compute: Callable[[], _Result], requester: Requester) -> Future[_Result]:
        trusted = requester.trusted
        self._track(trusted, +1)
        context = contextvars.copy_context()  # threads do not inherit it
        done: Future[_Result] = Future()
        job = _Job(lambda: context.run(compute), done)  # type: ignore[arg-type] # a future of its result
        # Counted until the thread has finished, even if the request was cancelled before.
        loop = asyncio.get_running_loop()
        done.add_done_callback(lambda _: loop.call_soon_threadsafe(self._track, trusted, -1))
        with self._lock:
            self._queue.put(job, requester)
        return done

    def _do_next(self) -> None:
        with self._lock:
            job = self._queue.take()
        if job is None or not job.done.set_running_or_notify_cancel():
            return
        try:
            job.done.set_result(job.compute())
        except BaseException as error:  # noqa: BLE001 - raised to the caller
            job.done.set_exception(error)

    def _track(self, trusted: bool, change: int) -> None:  # noqa: FBT001
        self._pending[trusted] += change
        self._watch(sum(self._pending.values()))


def _lower_priority() -> None:
    # On Linux this sets the niceness of the thread, not of the process.
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _THREAD_NICENESS)
