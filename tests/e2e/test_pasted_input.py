"""A sign-up with what phones paste, through the whole system."""

import gzip
import json

import pytest

from tests.support.client import Api, Phone, new_mobile


async def test_a_pasted_number_and_a_pasted_code_open_an_account(api: Api, phone: Phone) -> None:
    mobile, password = new_mobile(), "a long pass phrase"
    pasted = f"\u202a+86 {mobile[:3]}\u00a0{mobile[3:7]}\u2011{mobile[7:]}\u202c"
    assert (await api.post("/code/", {"mobile": pasted})).status == 200
    code = await phone.code(mobile)
    body = {"mobile": f"0086{mobile}", "code": f" {code[:3]} {code[3:]}\n", "password": password}
    assert (await api.post("/register/", body)).status == 200
    reply = await api.post("/login/", {"mobile": f"tel:+86{mobile}", "password": password})
    assert (reply.status, reply["nick"]) == (200, mobile)


@pytest.mark.parametrize(
    "content_type",
    ["application/json; charset=utf-8;", 'Application/JSON;CHARSET="UTF-8"', "application/merge-patch+json"],
)
async def test_json_by_another_spelling_and_with_a_byte_order_mark_is_read(
    api: Api, content_type: str
) -> None:
    body = b"\xef\xbb\xbf" + json.dumps({"mobile": new_mobile(), "password": "x"}).encode()
    reply = await api.call("POST", "/login/", data=body, headers={"Content-Type": content_type})
    assert reply["non_field_errors"] == ["Wrong credentials"]


@pytest.mark.parametrize("size", [10, 60_000])
async def test_a_compressed_body_is_415(api: Api, size: int) -> None:
    body = gzip.compress(json.dumps({"mobile": "x" * size}).encode(), compresslevel=0)
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    reply = await api.call("POST", "/code/", data=body, headers=headers)
    assert (reply.status, reply["type"]) == (415, "/problems/unsupported-content-encoding")
    assert reply.headers["Accept-Encoding"] == "identity"
