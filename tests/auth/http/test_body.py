import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.auth import i18n
from services.auth.accounts.schemas import RegisterRequest
from services.auth.codes.schemas import CodeRequest
from services.auth.http.body import parse
from services.auth.http.fields import ValidationContext
from services.auth.sign_in.schemas import LoginRequest
from shared.errors import NON_FIELD, InvalidRequest, UnsupportedMediaType
from shared.http.content_type import check_content_type
from shared.i18n import Text

RULES = ValidationContext({"CN"}, frozenset({"password1234"}))


def refused(body: bytes | str | dict[str, object], model: type = RegisterRequest) -> dict[str, list[Text]]:
    """Return the messages by member that a body is refused with."""
    if isinstance(body, dict):
        body = json.dumps(body)
    with pytest.raises(InvalidRequest) as refusal:
        parse(body if isinstance(body, bytes) else body.encode(), model, RULES)
    return {name: list(messages) for name, messages in refusal.value.fields.items()}


GOOD: dict[str, object] = {"mobile": "13800000000", "code": "123456", "password": "correct horse"}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", i18n.NOT_JSON),
        (b"{", i18n.NOT_JSON),
        (b"{'mobile': 1}", i18n.NOT_JSON),
        (b'{"mobile": NaN}', i18n.NOT_JSON),
        (b'{"mobile": -Infinity}', i18n.NOT_JSON),
        (b'{"mobile": "\xff\xfe"}', i18n.NOT_JSON),
        (b"\xef\xbb\xbf", i18n.NOT_JSON),
        (b'\xef\xbb\xbf\xef\xbb\xbf{"mobile": "1"}', i18n.NOT_JSON),
        (b'{\xef\xbb\xbf"mobile": "1"}', i18n.NOT_JSON),
        ('{"mobile": "1"}'.encode("utf-16"), i18n.NOT_JSON),
        (b'{"mobile": ' + b"9" * 5000 + b"}", i18n.NOT_JSON),
        (b"[]", i18n.NOT_AN_OBJECT),
        (b"null", i18n.NOT_AN_OBJECT),
        (b'"text"', i18n.NOT_AN_OBJECT),
        (b"7", i18n.NOT_AN_OBJECT),
        (b'{"a":' * 100_000, i18n.TOO_DEEP),
        (b"[" * 100_000, i18n.TOO_DEEP),
        (b"[" * 100_000 + b"]" * 100_000, i18n.TOO_DEEP),
    ],
)  # fmt: skip
def test_a_body_that_is_no_json_object_is_refused_as_a_whole(body: bytes, message: Text) -> None:
    assert refused(body) == {NON_FIELD: [message]}


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        ({"mobile": 13800000000}, "mobile", i18n.NOT_A_STRING),
        ({"mobile": None}, "mobile", i18n.NOT_A_STRING),
        ({"mobile": {"a": 1}}, "mobile", i18n.NOT_A_STRING),
        ({"mobile": ["13800000000"]}, "mobile", i18n.NOT_A_STRING),
        ({"mobile": True}, "mobile", i18n.NOT_A_STRING),
        ({"mobile": ""}, "mobile", i18n.INVALID_MOBILE),
        ({"mobile": "١٣٨٠٠٠٠٠٠٠٠"}, "mobile", i18n.INVALID_MOBILE),
        ({"mobile": "+14155552671"}, "mobile", i18n.INVALID_MOBILE),
        ({"mobile": "1380000\u00000000"}, "mobile", i18n.NUL_CHARACTER),
        ({"mobile": "\ud800"}, "mobile", i18n.NOT_UNICODE),
        ({"code": 123456}, "code", i18n.NOT_A_STRING),
        ({"password": "1234567"}, "password", i18n.PASSWORD_LENGTH),
        ({"password": "x" * 129}, "password", i18n.PASSWORD_LENGTH),
        ({"password": "PassWord1234"}, "password", i18n.PASSWORD_COMMON),
        ({"password": "13800000000"}, "password", i18n.PASSWORD_PERSONAL),
        ({"password": "A Nickname", "nickname": "a nickname"}, "password", i18n.PASSWORD_PERSONAL),
        ({"password": "with \u0000 inside"}, "password", i18n.NUL_CHARACTER),
        ({"password": "lone \udfff inside"}, "password", i18n.NOT_UNICODE),
        ({"nickname": ""}, "nickname", i18n.INVALID_NICKNAME),
        ({"nickname": "   "}, "nickname", i18n.INVALID_NICKNAME),
        ({"nickname": "x" * 65}, "nickname", i18n.INVALID_NICKNAME),
        ({"nickname": "a\nb"}, "nickname", i18n.INVALID_NICKNAME),
        ({"nickname": "\u202egnp.exe"}, "nickname", i18n.INVALID_NICKNAME),
        ({"nickname": 5}, "nickname", i18n.NOT_A_STRING),
        ({"avatar": "javascript:alert(1)"}, "avatar", i18n.INVALID_AVATAR),
        ({"avatar": "https://"}, "avatar", i18n.INVALID_AVATAR),
        ({"avatar": "http://[::1"}, "avatar", i18n.INVALID_AVATAR),
        ({"avatar": "https://example.com/" + "x" * 512}, "avatar", i18n.INVALID_AVATAR),
    ],
)  # fmt: skip
def test_a_wrong_member_is_refused_by_name(change: dict[str, object], field: str, message: Text) -> None:
    assert refused(GOOD | change) == {field: [message]}


def test_all_wrong_members_are_reported_at_once() -> None:
    problems = refused({"mobile": "12", "password": "short", "nickname": 1, "avatar": "x"})
    assert set(problems) == {"mobile", "code", "password", "nickname", "avatar"}
    assert problems["code"] == [i18n.REQUIRED]


def test_a_choice_names_what_is_accepted() -> None:
    (message,) = refused({"mobile": "13800000000", "purpose": "fun"}, CodeRequest)["purpose"]
    assert "'register', 'login', 'reset', 'change_mobile', 'delete' or 'confirm'" in message.en


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ('{"mobile": "13800000000", "mobile": "13900000000"}', "mobile"),
        ('{"a": {"b": 1, "b": 2}}', "b"),
        ('{"\\ud800": 1, "\\ud800": 2}', NON_FIELD),
        (f'{{"{"x" * 100}": 1, "{"x" * 100}": 2}}', NON_FIELD),
    ],
    ids=["member", "nested", "unprintable", "long"],
)
def test_a_member_that_appears_twice_is_refused(body: str, field: str) -> None:
    assert refused(body) == {field: [i18n.DUPLICATE]}


@pytest.mark.parametrize(
    "password", ["8 chars.", "x" * 128, "正确的马电池订书钉", "🐼🐼🐼🐼🐼🐼🐼🐼", "        ."]
)
def test_a_password_of_any_script_is_accepted(password: str) -> None:
    body = json.dumps(GOOD | {"password": password}).encode()
    assert parse(body, RegisterRequest, RULES).password == password


def test_unknown_members_are_ignored_and_the_mobile_is_normalised() -> None:
    body = json.dumps({"mobile": "+86 138-0000-0000", "extra": {"deep": [1]}}).encode()
    assert parse(body, CodeRequest, RULES).mobile == "13800000000"


def test_a_byte_order_mark_is_skipped() -> None:
    body = b'\xef\xbb\xbf{"mobile": "13800000000"}'
    assert parse(body, CodeRequest, RULES).mobile == "13800000000"


def test_a_nickname_may_be_an_emoji_family() -> None:
    body = json.dumps(GOOD | {"nickname": "👨\u200d👩\u200d👧"}).encode()
    assert parse(body, RegisterRequest, RULES).nickname == "👨\u200d👩\u200d👧"


def test_sign_in_does_not_judge_the_password() -> None:
    for password in ("", "short", "password1234", "13800000000", "x" * 512):
        body = json.dumps({"mobile": "13800000000", "password": password}).encode()
        assert parse(body, LoginRequest, RULES).password == password


@pytest.mark.parametrize(
    "header", ["", "application/json", "application/json; charset=utf-8", 'Application/JSON;charset="UTF-8"']
)
def test_json_in_utf8_is_the_accepted_type(header: str) -> None:
    check_content_type(header)


@pytest.mark.parametrize(
    "header", ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=gbk", "json"]
)
def test_other_types_are_refused(header: str) -> None:
    with pytest.raises(UnsupportedMediaType):
        check_content_type(header)


_MEMBERS = st.sampled_from(["mobile", "code", "password", "nickname"])
_ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner) | st.dictionaries(_MEMBERS, inner),
)


def messages_for(body: bytes) -> dict[str, list[Text]] | None:
    """Return the messages that a body is refused with, None where it is accepted."""
    try:
        parse(body, RegisterRequest, RULES)
    except InvalidRequest as refusal:
        return {name: list(messages) for name, messages in refusal.fields.items()}
    return None


@given(_ANY_JSON)
def test_any_json_is_accepted_or_refused_in_words(document: object) -> None:
    messages = messages_for(json.dumps(document).encode())
    assert messages is None or all(messages.values())


@given(st.binary(max_size=200))
def test_any_bytes_are_accepted_or_refused_in_words(body: bytes) -> None:
    messages = messages_for(body)
    assert messages is None or all(messages.values())
