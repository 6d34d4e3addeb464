"""How auth knows that a gateway has given a request up, whatever the two clocks say."""

import math

import pytest

from shared.http.deadline import HEADER, DeadlineReader, DeadlineSender


class Clocks:
    """A gateway's clock and auth's, which differ by a constant."""

    def __init__(self, difference: float) -> None:
        self.now = 1000.0
        self.difference = difference
        self.late = 0
        self.reader = DeadlineReader(lambda: self.now + self.difference, self._count)

    def _count(self) -> None:
        self.late += 1

    def header(self, sender: str = "0" * 16, seconds: float = 10) -> str:
        return f"{sender} {self.now:.3f} {seconds:g}"

    def remaining(self, header: str | None, *, given_up: bool = True) -> float | None:
        return self.reader.remaining(header, lambda: given_up)


@pytest.fixture(params=[0.0, 10.0, -10.0, 59.0, -59.0, 1e8], ids=str)
def clocks(request: pytest.FixtureRequest) -> Clocks:
    return Clocks(request.param)


def test_what_has_waited_longer_than_its_gateway_is_late(clocks: Clocks) -> None:
    assert clocks.remaining(clocks.header()) == pytest.approx(9.9)
    waiting = clocks.header()
    clocks.now += 9
    assert clocks.remaining(waiting) == pytest.approx(0.9, abs=0.02)
    clocks.now += 2
    assert clocks.remaining(waiting) == 0
    assert clocks.remaining(clocks.header()) == pytest.approx(9.9, abs=0.02)
    assert clocks.late == 1


def test_an_hour_without_requests_is_no_lateness_and_hides_none(clocks: Clocks) -> None:
    clocks.remaining(clocks.header())
    clocks.now += 3600
    waiting = clocks.header()
    clocks.now += 60
    assert clocks.remaining(waiting) == 0


def test_while_the_gateway_keeps_the_connection_its_clock_is_wrong(clocks: Clocks) -> None:
    """Its machine has slept for an hour, for instance, and its clock with it."""
    clocks.remaining(clocks.header())
    clocks.difference += 3600
    assert clocks.remaining(clocks.header(), given_up=False) == pytest.approx(9.9)
    assert clocks.remaining(clocks.header()) == pytest.approx(9.9, abs=0.02)
    assert clocks.late == 0


def test_the_first_request_of_a_gateway_is_never_late(clocks: Clocks) -> None:
    waiting = clocks.header("1" * 16)
    clocks.remaining(clocks.header("2" * 16))
    clocks.now += 30
    assert clocks.remaining(waiting) == pytest.approx(9.9)


def test_clocks_that_drift_apart_make_nothing_late(clocks: Clocks) -> None:
    for _ in range(1000):
        clocks.now += 60
        clocks.difference += 0.03  # 500 ppm
        remaining = clocks.remaining(clocks.header())
        assert remaining is not None
        assert remaining > 9.8


@pytest.mark.parametrize(
    "header",
    [None, "", "x", "0" * 16, f"{'0' * 16} 1 10", f"{'0' * 16} nan 10", f"{'0' * 16} 1.000 inf", "١" * 20,
     f"{'0' * 16} 1.000 -1", f"{'0' * 16} {'9' * 13}.000 1", f"{'g' * 16} 1.000 1"],
)  # fmt: skip
def test_no_header_and_nonsense_say_nothing(header: str | None) -> None:
    assert Clocks(0).remaining(header) is None


def test_a_sender_is_read_as_it_writes() -> None:
    sender, reader = DeadlineSender(), DeadlineReader()
    for seconds in (0.5, 10, 300, 0.1 + 0.2):
        name, _, value = sender.line(seconds).removesuffix("\r\n").partition(": ")
        assert name == HEADER
        remaining = reader.remaining(value, lambda: True)
        assert remaining is not None
        assert math.isclose(remaining, seconds - 0.1, abs_tol=0.05)


def test_senders_are_forgotten() -> None:
    clocks = Clocks(0)
    for number in range(5000):
        clocks.remaining(clocks.header(f"{number:016x}"))
    assert clocks.remaining(clocks.header(f"{4999:016x}")) == pytest.approx(9.9)
