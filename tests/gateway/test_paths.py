"""A service reads no other path than the one whose rule the gateway has applied."""

import posixpath
import unicodedata
from collections.abc import AsyncIterator, Callable, Iterator
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.local.ports import free_port
from services.gateway.paths import canonical_path
from services.gateway.routes import Route, RouteTable, TokenRule, parse_route_settings
from services.gateway.static import StaticPages
from tests.support.gateway import Gateway, StubUpstream, running_gateway, wait_until
from tests.support.path_readers import PathReader, running_path_readers

NONE, OPTIONAL, REQUIRED = TokenRule.NONE, TokenRule.OPTIONAL, TokenRule.REQUIRED
RULES = {
    "/news": NONE,
    "/news/admin": REQUIRED,
    "/news/admin/open": NONE,
    "/news/members": OPTIONAL,
    "/orders": REQUIRED,
    "/orders/public": NONE,
}
STRICTEST_FIRST = [REQUIRED, OPTIONAL, NONE]
TABLE = RouteTable([Route(prefix, StaticPages(), 1, 0, rule) for prefix, rule in RULES.items()])

# What servers, frameworks and file systems do to a path before they look at it.
HABITS: dict[str, Callable[[str], str]] = {
    "as it is": lambda path: path,
    "lower case": str.lower,
    "upper and lower case": lambda path: path.upper().lower(),
    "case folding": str.casefold,
    "compatible characters": lambda path: unicodedata.normalize("NFKC", path).lower(),
    "accents removed": lambda path: "".join(
        c for c in unicodedata.normalize("NFKD", path) if not unicodedata.combining(c)
    ),
    "dots and spaces stripped": lambda path: "/".join(part.rstrip(". ") for part in path.split("/")),
    "white space stripped": lambda path: "/".join(part.strip() for part in path.split("/")),
    "dot segments resolved": lambda path: posixpath.normpath("/" + path.lstrip("/")),
    "slashes merged": lambda path: "/" + "/".join(filter(None, path.split("/"))),
    "decoded once more": unquote,
    "parameters removed": lambda path: "/".join(part.partition(";")[0] for part in path.split("/")),
    "backslashes as slashes": lambda path: posixpath.normpath(path.replace("\\", "/")),
    "up to a NUL, fragment or line": lambda path: path.split("\0")[0].split("#")[0].split("\n")[0],
}

PIECES = [
    "news", "admin", "Admin", "ADMIN", "members", "orders", "public", "Public", "open", "adm%69n",
    "%61dmin", "%41dmin", "x", "7", ".", "..", "...", "%2e", "%2E%2e", "%2f", "%2F", "%5c", "\\", ";",
    ";a=b", "%3b", "#", "%23", "%3f", "%", "%25", "%2561dmin", "%252e", "%00", "%0a", "%0d", "%09", "%20",
    " ", "%7f", "%c2%85", "+", "%2b", "%c0%ae", "%c0%af", "%ff", "%e2%80%8b", "%e2%80%a8", "%ef%bc%8e",
    "%ef%bc%8f", "%ef%bd%81dmin", "%c3%a1dmin", "adm%c4%b1n", "adm%c4%b0n", "member%c5%bf", "%e4%b8%ad",
    "%f0%9f%98%80", "@", ":", "::$DATA", "*", "~", "!", "=", ",", "(", "'", "\x00", "\t", "é", "_", "-",
]  # fmt: skip
SEGMENTS = st.lists(st.sampled_from(PIECES), max_size=3).map("".join)
PATHS = st.lists(SEGMENTS, max_size=4).map(lambda segments: "/" + "/".join(segments))
BELOW = st.builds("".join, st.tuples(st.sampled_from(sorted(RULES)), PATHS))
QUERIES = st.sampled_from(["", "?", "?a=b", "?a=/../..", "?/news/admin", "??", "?a#b", "?a%23"])
TARGETS = st.builds("".join, st.tuples(PATHS | BELOW | st.sampled_from(sorted(RULES)), QUERIES))


@pytest.fixture(scope="module")
def readers() -> Iterator[list[PathReader]]:
    with running_path_readers() as readers:
        yield readers


@settings(max_examples=1500, deadline=None)
@given(target=TARGETS)
def test_no_server_reads_a_path_with_a_stricter_rule_than_the_one_applied(
    readers: list[PathReader], target: str
) -> None:
    route, forwarded = TABLE.match(target)
    if route is None:
        return
    expected = unquote(forwarded.partition("?")[0])
    for reader in readers:
        for reading, path in reader.read(forwarded).items():
            assert path == expected, reading
    for habit, change in HABITS.items():
        rule = rule_of(change(expected))
        assert STRICTEST_FIRST.index(route.token) <= STRICTEST_FIRST.index(rule), (habit, forwarded)


def rule_of(path: str) -> TokenRule:
    """Return the rule of the longest prefix, as the routes are meant."""
    matching = [prefix for prefix in RULES if (path + "/").startswith(prefix + "/")]
    return RULES[max(matching, key=len)] if matching else NONE


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("/news", NONE),
        ("/news/", NONE),
        ("/news/admin", REQUIRED),
        ("/news/admin/", REQUIRED),
        ("/news/administration", NONE),
        ("/news/admin/open/7", NONE),
        ("/orders/7", REQUIRED),
        ("/orders/public/7", NONE),
        ("/orders/publicity", REQUIRED),
        ("/orders/%70ublic/7", NONE),
        # Taken for another path, a request must satisfy both rules.
        ("/news/Admin", REQUIRED),
        ("/news/admin.", REQUIRED),
        ("/news/admin%20", REQUIRED),
        ("/news/admin.%20./7", REQUIRED),
        ("/news/%20admin", REQUIRED),
        ("/news/ADM%49N/7", REQUIRED),
        ("/news/adm%C4%B1n", REQUIRED),
        ("/news/%C3%A1dmin", REQUIRED),
        ("/news/%EF%BD%81dmin", REQUIRED),
        ("/news/ad%E2%80%8Bmin", REQUIRED),
        ("/news/Admin/Open", REQUIRED),
        ("/news/Members", OPTIONAL),
        ("/orders/Public/7", REQUIRED),
    ],
)
def test_the_strictest_rule_of_all_paths_that_it_can_be_taken_for_counts(path: str, rule: TokenRule) -> None:
    route, _ = TABLE.match(path)
    assert route is not None
    assert route.token is rule


@pytest.mark.parametrize(
    "path", ["/News", "/NEWS/admin", "/news.", "/nеws", "/", "*", "news", "http://x/news"]
)
def test_only_the_prefix_itself_is_routed(path: str) -> None:
    assert TABLE.match(path) == (None, path)


@pytest.mark.parametrize(
    ("path", "canonical"),
    [
        ("/", "/"),
        ("/news", "/news"),
        ("/news/", "/news/"),
        ("/news/A.b_c~d-e", "/news/A.b_c~d-e"),
        ("/.well-known/x", "/.well-known/x"),
        ("/%61%2D%7e", "/a-~"),
        ("/a%2cb,c", "/a%2Cb,c"),  # which of the two it is can make a difference (RFC 3986 §2.2)
        ("/%e4%b8%ad%E6%96%87", "/%E4%B8%AD%E6%96%87"),
        ("/a%20b", "/a%20b"),
        ("/@user:7/x=1,2!$&'()*+", "/@user:7/x=1,2!$&'()*+"),
        ("/..a/b../.c", "/..a/b../.c"),
        ("/%F0%9F%91%A9%E2%80%8D%F0%9F%92%BB", "/%F0%9F%91%A9%E2%80%8D%F0%9F%92%BB"),
    ],
)
def test_the_canonical_form_is_that_of_rfc_3986(path: str, canonical: str) -> None:
    assert canonical_path(path) == canonical
    assert canonical_path(canonical) == canonical


AMBIGUOUS = [
    "", "//", "//news", "/news//admin", "/news/./admin", "/news/%2e/admin", "/news/../admin",
    "/news/x/%2E./admin", "/news/.../admin", "/news/%20/admin", "/news/.%20/admin", "/news/..%20/admin",
    "/news/admin#x", "/news/admin%23x", "/news/admin%3fx", "/news/admin%0a", "/news/admin%0d%0a",
    "/news/admin%00", "/news/admin%00.png", "/news/admin%09", "/news/admin%7F", "/news/admin%c2%85",
    "/news/admin%e2%80%a8", "/news/;/admin", "/news;x/admin", "/news/admin;x", "/news/admin%3Bx",
    "/news\\admin", "/news/x\\..\\admin", "/news/%5cadmin", "/news%2fadmin", "/news%2Fadmin",
    "/news/x%2f..%2fadmin",
    "/news/%2561dmin", "/news/%25", "/news/%", "/news/%2", "/news/%zz", "/news/%u0061dmin", "/news/admin%",
    "/news/%c0%ae%c0%ae/admin", "/news%c0%afadmin", "/news/%ff", "/news/%ed%a0%80", "/news/\xe4\xb8\xad",
    "/news/<x>", '/news/"x"', "/news/{x}", "/news/a|b", "/news/a^b", "/news/`", "/news/[x]", "/news/a b",
    "/news/%ef%bc%8e%ef%bc%8e/admin", "/news%ef%bc%8fadmin", "/news/%e2%80%a5/admin", "/news/%e2%80%8b/admin",
    "/news/" + "x" * 5000, "news", "*", "http://localhost/news", "\t/news",
]  # fmt: skip


@pytest.mark.parametrize("path", AMBIGUOUS, ids=lambda path: ascii(path[:40]))
def test_a_path_that_servers_read_in_different_ways_has_no_canonical_form(path: str) -> None:
    assert canonical_path(path) is None


@pytest.mark.parametrize("query", ["a#b", "#", "a b", "a\tb", "a\x7f"])
def test_what_ends_a_query_is_refused(query: str) -> None:
    assert TABLE.match(f"/news?{query}")[0] is None


@pytest.mark.parametrize(
    "query", ["", "a=b", "a=%2f..%23", "filter[x]=1|2", "q=../..//;x\\", "?", "q=\xe4\xb8\xad"]
)
def test_a_query_is_forwarded_as_it_is(query: str) -> None:
    route, forwarded = TABLE.match(f"/news/%61?{query}")
    assert route is not None
    assert forwarded == f"/news/a?{query}"


@pytest.fixture
async def news() -> AsyncIterator[StubUpstream]:
    news = StubUpstream()
    async with news.listening(free_port()):
        yield news


@pytest.fixture
async def gateway(news: StubUpstream) -> AsyncIterator[Gateway]:
    url = f"http://127.0.0.1:{news.port}"
    routes = parse_route_settings(f"/news={url};token=none, /news/admin={url}")
    auth = StubUpstream()
    async with auth.listening(free_port()), running_gateway(auth.port, gateway_routes=routes) as gateway:
        await wait_until(gateway.is_ready)
        yield gateway


@pytest.mark.parametrize(
    "path",
    [
        "/news/admin#x", "/news/./admin", "/news/%2e/admin", "/news/Admin", "/news/admin%0a",
        "/news/admin%20", "/news/admin.", "/news/ADMIN/x", "/news/admin%3bx", "/news/%2561dmin",
        "/news/admin%3f", "/news/admin%00", "/news/x/%2e%2e/admin", "/news/%EF%BD%81dmin",
        "/news?x#/../admin",
    ],
)  # fmt: skip
async def test_a_closed_part_of_an_open_route_stays_closed(
    gateway: Gateway, news: StubUpstream, path: str
) -> None:
    response = await gateway.send_raw(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert response.startswith((b"HTTP/1.1 401", b"HTTP/1.1 404"))
    assert not news.requests


async def test_the_canonical_form_is_what_is_forwarded(gateway: Gateway, news: StubUpstream) -> None:
    request = b"GET /news/%61%2d%e4%b8%ad?x=%61 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert (await gateway.send_raw(request)).startswith(b"HTTP/1.1 200")
    assert news.requests[0].startswith(b"GET /news/a-%E4%B8%AD?x=%61 HTTP/1.1\r\n")
