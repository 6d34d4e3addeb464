"""`If-None-Match`, and the header `Allow`."""

import pytest

from shared.http.etags import matches
from shared.http.methods import allow

TAG = '"v1"'


@pytest.mark.parametrize(
    "header",
    [
        TAG, "*", " * ", f"W/{TAG}", f'"v0", {TAG}', f'{TAG}, "v2"', f'W/"v0",W/{TAG}',
        f'"v0",\t{TAG} , "v2"',
        f', ,"v0",, {TAG},', f'"a,b", {TAG}', f'"*", {TAG}', f'"", {TAG}',
    ],
)  # fmt: skip
@pytest.mark.parametrize("etag", [TAG, f"W/{TAG}"])
def test_a_tag_is_found_in_a_list_and_compared_weakly(header: str, etag: str) -> None:
    assert matches(header, etag)


@pytest.mark.parametrize(
    "header",
    [
        "", " ", ",", "v1", '"v1', 'v1"', '"v0"', '"V1"', 'w/"v1"', 'W/ "v1"', '"v0, "v1""', f"{TAG} {TAG}",
        '"*"', "**", '*, "v1"', f"{TAG};q=1", '"v1"x', '"a"v1"b"',
    ],
)  # fmt: skip
def test_what_is_no_list_or_has_other_tags_matches_nothing(header: str) -> None:
    assert not matches(header, TAG)


def test_a_long_header_is_read_in_linear_time() -> None:
    assert not matches('"' * 16_000, TAG)
    assert not matches(", " * 8_000 + "x", TAG)
    assert matches('"a",' * 4_000 + TAG, TAG)


def test_head_goes_with_get_and_options_with_all() -> None:
    assert allow(["GET", "DELETE"]) == "GET, HEAD, DELETE, OPTIONS"
    assert allow(["POST"]) == "POST, OPTIONS"
    assert allow(["GET", "HEAD", "OPTIONS", "GET"]) == "GET, HEAD, OPTIONS"
