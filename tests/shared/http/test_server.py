"""How the server finds the end of a request's head."""

import inspect
import re

from hypothesis import given
from hypothesis import strategies as st
from tornado.http1connection import HTTP1Connection

from shared.http.server import _END_OF_HEAD, _END_OF_HEAD_FOUND_FAST


@given(st.lists(st.sampled_from([b"\r", b"\n", b"a", b"\r\n", b"\r\n\r\n"])).map(b"".join))
def test_the_faster_pattern_ends_where_tornados_does(received: bytes) -> None:
    ours, tornados = (re.search(pattern, received) for pattern in (_END_OF_HEAD_FOUND_FAST, _END_OF_HEAD))
    assert (ours and ours.end()) == (tornados and tornados.end())


def test_tornado_still_looks_for_the_pattern_that_is_replaced() -> None:
    assert 'read_until_regex(\n                b"\\r?\\n\\r?\\n"' in inspect.getsource(HTTP1Connection)
