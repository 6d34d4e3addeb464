"""`POST /logout/` takes a refresh token in the body, which auth looks at, instead of an access token."""

import pytest

from tests.support.client import Api
from tests.support.gateway import Gateway, StubUpstream
from tests.support.signer import Signer, assert_unauthorized

BODY = {"refresh_token": "x"}


@pytest.mark.parametrize("token", [None, "nonsense", "a.b.c"])
@pytest.mark.parametrize("path", ["/logout/", "/logout"])
async def test_a_request_with_a_body_reaches_auth_whatever_its_access_token(
    client: Api, upstream: StubUpstream, path: str, token: str | None
) -> None:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    assert (await client.call("POST", path, BODY, headers=headers)).status == 200
    [request] = upstream.requests
    assert b"X-User-ID" not in request
    assert (b"Authorization" in request) is (token is not None)


async def test_a_chunked_body_is_a_body(client: Api, gateway: Gateway, upstream: StubUpstream) -> None:
    answer = await gateway.send_raw(
        b"POST /logout/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    )
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert len(upstream.requests) == 1


async def test_without_a_body_a_token_is_required(
    client: Api, upstream: StubUpstream, signer: Signer
) -> None:
    assert_unauthorized(await client.call("POST", "/logout/"), token_given=False)
    assert not upstream.requests
    headers = {"Authorization": f"Bearer {signer.token()}"}
    assert (await client.call("POST", "/logout/", headers=headers)).status == 200


@pytest.mark.parametrize("path", ["/me/", "/sessions/", "/Logout/", "/password/change/"])
async def test_no_other_path_does_without_a_token(client: Api, upstream: StubUpstream, path: str) -> None:
    reply = await client.call("POST", path, BODY)
    assert reply.status in {401, 404}
    assert not upstream.requests
