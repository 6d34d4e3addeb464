"""The request as it goes to an upstream, and the head of the response as it goes to the client."""

from collections.abc import Iterable

from tornado.httputil import HTTPHeaders

from shared.http import request_ids

# Hop-by-hop (RFC 9110 §7.6.1), and what the gateway itself says to upstreams.
_NOT_FORWARDED = frozenset(
    {
        "Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authorization", "Te", "Trailer",
        "Transfer-Encoding", "Upgrade", "Expect", "Host", "Content-Length", "Forwarded",
        "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "X-User-Id", "X-Session-Id",
        request_ids.HEADER.title(),
    }
)  # fmt: skip


def forwarded_request(
    method: str,
    target: str,
    headers: HTTPHeaders,
    body: bytes,
    *,
    host: str,
    client: str,
    identity: str,
    request_id: str,
) -> bytes:
    """Return the bytes of a request for an upstream.

    Args:
        method: the client's method.
        target: the client's path and query.
        headers: the client's headers; those for this hop only, any claim about the client's address or
            identity, and names with an underscore, which some servers take for a dash, are left out.
        body: the whole body.
        host: the upstream's own name.
        client: the client's address, which the upstream may rely on.
        identity: lines that say whose token the request came with, which the upstream may rely on.
        request_id: the request's id.
    """
    dropped = _NOT_FORWARDED
    if connection := headers.get("Connection"):
        dropped = dropped | {token.strip().title() for token in connection.split(",")}
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}"]
    # Tornado normalises names to Title-Case.
    lines += [
        f"{name}: {value}" for name, value in headers.get_all() if name not in dropped and "_" not in name
    ]
    lines.append(f"{identity}X-Forwarded-For: {client}")
    lines.append(f"{request_ids.HEADER}: {request_id}")
    if body or method in {"POST", "PUT", "PATCH"}:
        lines.append(f"Content-Length: {len(body)}")
    lines.append("\r\n")
    return "\r\n".join(lines).encode("latin1") + body


def encode_head(
    status: int,
    reason: str,
    headers: Iterable[tuple[str, str]],
    cors: Iterable[tuple[str, str]],
    request_id: str,
    length: int,
) -> bytes:
    """Return the bytes of a response's head, which Tornado takes five times as long to make.

    For HTTP/1.1 on a connection that is kept. The values come from a parser that refuses line
    breaks in them, or are our own.
    """
    lines = [f"HTTP/1.1 {status} {reason}"]
    lines += [f"{name}: {value}" for name, value in headers]
    lines += [f"{name}: {value}" for name, value in cors]
    lines.append(f"{request_ids.HEADER}: {request_id}\r\nContent-Length: {length}\r\n\r\n")
    return "\r\n".join(lines).encode("latin1")
