"""The headers that say what a body is (RFC 9110 §8.3 and §8.4)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import UnsupportedContentEncoding, UnsupportedMediaType
from shared.http.content_type import check_content, check_content_type, media_type


@pytest.mark.parametrize(
    "header",
    [
        "", "application/json", "APPLICATION/JSON", "application/json;", "application/json; charset=utf-8;",
        "application/json;charset=UTF-8", 'application/json; charset="utf-8"',
        "application/json ; charset=utf8",
        "application/json\t;\tcharset=utf-8", "application/json;;charset=utf-8;;",
        "application/json; Charset=UTF-8",
        "application/json; charset", "application/json; charset=",
        'application/json; a="x;y"; charset=utf-8',
        'application/json; a="\\";charset=gbk"', "application/json; odata=verbose",
        "application/json; charset=us-ascii",
        "application/vnd.api+json", "application/merge-patch+json; charset=utf-8",
        "application/problem+json",
        'application/ld+json; profile="http://a, http://b"', "text/json",
        "application/json; v=1; charset=utf-8",
        "application/json, application/json",
        "application/json;charset=utf-8, application/json; charset=UTF-8",
        "application/json; charset=utf-8; charset=utf-8", "application/json; charset*=us-ascii''utf-8",
    ],
)  # fmt: skip
def test_json_in_utf8_is_accepted_however_it_is_written(header: str) -> None:
    check_content_type(header)
    check_content({"Content-Type": header})


@pytest.mark.parametrize(
    "header",
    [
        "json", "text/plain", "text/plain; a=application/json", "application/jsonp", "application/json2",
        "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/xml",
        "application/",
        "/json", "application/json/json", "application/json charset=utf-8", "application/json; charset=gbk",
        'application/json; charset="GBK"', "application/json; charset=utf-16",
        "application/json; charset=iso-8859-1",
        "application/json; charset=utf-8; charset=gbk", "application/json; charset*=us-ascii''gbk",
        "application/json; x=1; charset=gbk", "application/json, text/plain",
        "text/plain, application/json",
        "application/json+", "application/json;" + " " * 300, "application/\xff", "; charset=utf-8",
        "application/json; charset=utf-7", "application/json; charset=" + "utf-8" * 60,
    ],
)  # fmt: skip
def test_everything_else_is_refused(header: str) -> None:
    with pytest.raises(UnsupportedMediaType):
        check_content_type(header)


@given(st.text(st.characters(max_codepoint=255), max_size=300))
def test_any_header_is_accepted_or_refused(header: str) -> None:
    try:
        check_content({"Content-Type": header, "Content-Encoding": header})
    except (UnsupportedMediaType, UnsupportedContentEncoding):
        return
    assert not header.strip(" \t,") or "json" in header.lower()


@pytest.mark.parametrize(
    "coding", ["gzip", "GZIP", "x-gzip", "deflate", "br", "zstd", "identity, gzip", "aes128gcm", "?"]
)
def test_a_compressed_body_is_refused_with_what_is_accepted(coding: str) -> None:
    with pytest.raises(UnsupportedContentEncoding) as refusal:
        check_content({"Content-Type": "application/json", "Content-Encoding": coding})
    assert refusal.value.status == 415
    assert refusal.value.headers == {"Accept-Encoding": "identity"}


@pytest.mark.parametrize("coding", ["", "identity", "Identity", " identity ", "identity, identity", ","])
def test_an_encoding_that_is_none_is_accepted(coding: str) -> None:
    check_content({"Content-Encoding": coding})


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        ("Application/X-WWW-Form-Urlencoded ; charset=utf-8", "application/x-www-form-urlencoded"),
        ("application/x-www-form-urlencodedx", "application/x-www-form-urlencodedx"),
        ("a" * 1000, ""),
    ],
)
def test_a_media_type_is_in_lower_case_and_without_parameters(header: str, kind: str) -> None:
    assert media_type(header) == kind
