"""What clients send in the head of a request: read up to a maximum, never kept."""

import tracemalloc

import pytest

from services.gateway.cors import CorsPolicy
from tests.support.gateway import Gateway, StubUpstream


@pytest.mark.parametrize("digits", [19, 4300, 4301, 15_000])
async def test_a_length_of_any_number_of_digits_is_413(
    gateway: Gateway, upstream: StubUpstream, digits: int
) -> None:
    """int() takes 4300 digits."""
    head = f"POST /code/ HTTP/1.1\r\nHost: x\r\nContent-Length: {'9' * digits}\r\n\r\n"
    assert (await gateway.send_raw(head.encode())).startswith(b"HTTP/1.1 413")
    assert not upstream.requests


def test_long_origins_are_not_kept() -> None:
    """A thousand of them were 16 MB."""
    policy = CorsPolicy(["https://*.example.com"])
    tracemalloc.start()
    for number in range(1000):
        policy.headers(f"https://{'a.' * 8000}{number}.example.com")
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 1_000_000


def test_an_origin_of_the_longest_host_name_is_allowed() -> None:
    origin = "https://" + "a." * 120 + "example.com:65535"
    assert (
        dict(CorsPolicy(["https://*.example.com:65535"]).headers(origin))["Access-Control-Allow-Origin"]
        == origin
    )
