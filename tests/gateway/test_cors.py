"""Which origins are allowed, and what browsers are told."""

import pytest

from services.gateway.cors import CorsPolicy, parse_origin_pattern


@pytest.mark.parametrize(
    ("pattern", "origin"),
    [
        ("http://localhost:3000", "http://localhost:3000"),
        ("https://app.example.com", "https://app.example.com"),
        ("HTTPS://App.Example.com", "https://app.example.com"),
        ("https://*.example.com", "https://a.example.com"),
        ("https://*.example.com", "https://a.b.example.com"),
        ("https://*.example.com:8443", "https://a.example.com:8443"),
        ("http://[::1]:3000", "http://[::1]:3000"),
    ],
)
def test_an_origin_of_the_list_is_allowed(pattern: str, origin: str) -> None:
    assert dict(CorsPolicy([pattern]).headers(origin))["Access-Control-Allow-Origin"] == origin


@pytest.mark.parametrize(
    ("pattern", "origin"),
    [
        ("http://localhost:3000", "http://localhost:3001"),
        ("http://localhost:3000", "https://localhost:3000"),
        ("https://app.example.com", "https://appXexample.com"),
        ("https://app.example.com", "https://app.example.com.evil.com"),
        ("https://*.example.com", "https://example.com"),
        ("https://*.example.com", "https://evilexample.com"),
        ("https://*.example.com", "https://a.example.com:8443"),
        ("https://*.example.com", "https://evil.com/.example.com"),
        ("https://app.example.com", "null"),
    ],
)
def test_any_other_origin_is_told_nothing_but_vary(pattern: str, origin: str) -> None:
    policy = CorsPolicy([pattern])
    assert policy.headers(origin) == policy.preflight_headers(origin) == (("Vary", "Origin"),)


@pytest.mark.parametrize("pattern", ["*", "app.example.com", "https://a.*.com", "https://x/", "ftp://x", ""])
def test_what_is_no_origin_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="origin"):
        parse_origin_pattern(pattern)
