"""What the services log can be read: no member is one that the redaction of secrets blacks out."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.observability.logs import SECRET_MEMBERS, redact

ROOT = Path(__file__).parents[3]
SOURCES = sorted(path for folder in ("services", "shared") for path in (ROOT / folder).rglob("*.py"))
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
# Of structlog, and of the log lines of hot paths: these take their members as keywords, or as a dict.
WRITERS = {*LEVELS, "write", "bind_contextvars", "_log"}
RUNBOOKS = sorted((ROOT / "deploy" / "runbooks").glob("*.md"))


def logged_members(tree: ast.AST) -> Iterator[str]:
    """Yield the members of all calls that log, of dicts that are passed or spread into them, too."""
    dicts = {
        name.id: value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign | ast.AnnAssign)
        and isinstance(value := node.value, ast.Dict | ast.IfExp)
        for name in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(name, ast.Name)
    }
    for call in ast.walk(tree):
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)):
            continue
        if call.func.attr not in WRITERS or (call.func.attr in LEVELS and not is_log(call.func.value)):
            continue
        for keyword in call.keywords:
            if keyword.arg is not None:
                yield keyword.arg
        given = [*call.args, *(keyword.value for keyword in call.keywords if keyword.arg is None)]
        for value in given:
            known = dicts.get(value.id) if isinstance(value, ast.Name) else value
            yield from keys(known)


def is_log(value: ast.expr) -> bool:
    return "log" in ast.unparse(value).lower()


def keys(value: ast.expr | None) -> Iterator[str]:
    for node in ast.walk(value) if isinstance(value, ast.Dict | ast.IfExp) else ():
        if isinstance(node, ast.Dict):
            yield from (str(key.value) for key in node.keys if isinstance(key, ast.Constant))


MEMBERS = {path: set(logged_members(ast.parse(path.read_text()))) for path in SOURCES}


def test_the_walk_sees_what_is_logged() -> None:
    seen = set().union(*MEMBERS.values())
    # By keyword, in a dict, in a dict that is spread, on a hot path.
    assert {"provider_code", "error_code", "problem", "client", "outcome", "mobile"} <= seen


@pytest.mark.parametrize("path", [path for path, found in MEMBERS.items() if found], ids=str)
def test_no_member_is_redacted_by_its_name(path: Path) -> None:
    assert MEMBERS[path] & SECRET_MEMBERS == set()


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("provider_code", -53),
        ("error_code", 1205),
        ("detail", 13_800_000_000),  # a sid, not a phone
        ("detail", "IP 203.0.113.7 未加入白名单"),
        ("why", "-3 address not on the white list"),
    ],
)
def test_what_runbooks_send_one_to_is_written(member: str, value: object) -> None:
    assert redact(None, "info", {member: value}) == {member: value}


def test_the_events_and_members_that_runbooks_name_are_logged() -> None:
    text = "\n".join(path.read_text() for path in RUNBOOKS)
    named = set(re.findall(r"log lines? `([a-z_]+)`", text)) | set(re.findall(r"member `([a-z_]+)`", text))
    sources = "\n".join(path.read_text() for path in SOURCES)
    assert {name for name in named if f'"{name}"' not in sources and f"{name}=" not in sources} == set()
    assert named >= {"provider_refused", "account_halted", "provider_code", "detail"}
