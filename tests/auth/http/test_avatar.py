"""Avatars: what a page can put into an attribute, and a browser reads as we do."""

import pytest
from pydantic import ValidationError

from services.auth.accounts.schemas import ProfileRequest
from services.auth.http.fields import ValidationContext

CONTEXT = ValidationContext(("CN",), frozenset())


@pytest.mark.parametrize(
    "avatar",
    [
        "https://user@example.com/a.png",
        "https://user:secret@example.com/a.png",
        "https://@example.com/a.png",
        "https://example.com:x@evil.example/a.png",
        'https://example.com/a.png"onerror="alert(1)',
        "https://example.com/a.png'onerror='alert(1)",
        "https://example.com/<script>",
        "https://example.com\\@evil.example/a.png",
        "https://example.com/`a`",
        "https://example.com/{a}|^",
        "https://example.com:port/a.png",
        "https://example.com:99999/a.png",
    ],
)
def test_an_avatar_with_user_name_or_quotes_is_refused(avatar: str) -> None:
    with pytest.raises(ValidationError):
        ProfileRequest.model_validate({"avatar": avatar}, context=CONTEXT)


@pytest.mark.parametrize(
    "avatar",
    [
        "https://example.com/a.png",
        "http://[2001:db8::1]:8080/a.png?size=64&v=@2x#top",
        "https://example.com/@user/a(1)~b,c;d=e%22.png",
        "https://例子.example/头像.png",
    ],
)
def test_any_other_url_is_kept_as_it_is(avatar: str) -> None:
    assert ProfileRequest.model_validate({"avatar": avatar}, context=CONTEXT).avatar == avatar
