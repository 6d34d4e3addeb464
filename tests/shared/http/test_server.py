"""How the server finds the end of a request's head."""

import inspect
import re

from hypothesis import given
from hypothesis import strategies as st
from tornado.http1connection import HTTP1Connection

from shared.http.server import END_OF_HEAD, FAST_END_OF_HEAD


@given(st.lists(st.sampled_from([b"\r", b"\n", b"a", b"\r\n", b"\r\n\r\n"])).map(b"".join))
def test_the_fast_pattern_matches_where_tornados_does(received: bytes) -> None:
    ours, tornados = (re.search(pattern, received) for pattern in (FAST_END_OF_HEAD, END_OF_HEAD))
    assert (ours and ours.end()) == (tornados and tornados.end())


def test_tornado_still_uses_the_replaced_pattern() -> None:
    assert 'read_until_regex(\n                b"\\r?\\n\\r?\\n"' in inspect.getsource(HTTP1Connection)
