"""Links and settings in guides and runbooks exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [
    path
    for folder in (ROOT / "docs", ROOT / "deploy" / "k8s", ROOT / "deploy" / "runbooks")
    for path in sorted(folder.glob("*.md"))
] + [ROOT / "README.md"]
LINK = re.compile(r"\]\((?!https?://)([^)#]+)\)")
SETTING = re.compile(r"`([A-Z]+(?:_[A-Z]+)+)(?:=[^`]*)?`")
# Variables of tools and of the tracing SDK, and keys of a Secret.
OTHER_NAMES = {
    "DB_HOST",
    "DB_PORT",
    "DB_USER",
    "DB_NAME",
    "MYSQL_PWD",
    "OTEL_TRACES_SAMPLER",
    "MANAGEMENT_URL",
    "AUTH_AMQP_URL",
    "SMS_AMQP_URL",
    "MANAGEMENT_TLS",
}
OVERLAY = ROOT / "deploy" / "k8s" / "overlays" / "production" / "settings" / "settings.env"


@pytest.fixture(name="page", params=PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def _page(request: pytest.FixtureRequest) -> Path:
    return Path(request.param)


def test_every_link_has_a_target(page: Path) -> None:
    targets = LINK.findall(page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_every_named_setting_exists(page: Path) -> None:
    files = (ROOT / ".env.example", OVERLAY)
    text = "".join(path.read_text() for path in files)
    settings = set(re.findall(r"^#?([A-Z_]+)=", text, flags=re.MULTILINE))
    assert set(SETTING.findall(page.read_text())) - settings - OTHER_NAMES == set()


def test_every_command_names_its_namespace(page: Path) -> None:
    """Otherwise it is about whatever namespace kubectl's context has."""
    commands = re.findall(r"kubectl (?!diff -k|delete -k|apply`|get gatewayclass)[^`\n]*", page.read_text())
    runnable = [command for command in commands if re.match(r"kubectl [-a-z]", command)]
    assert [command for command in runnable if not re.match(r"kubectl -n [a-z]", command)] == []
