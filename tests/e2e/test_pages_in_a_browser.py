"""The gateway's pages as a person uses them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.servers import Servers
from tests.e2e.browser import browser_tab
from tests.support.accounts import PASSWORD
from tests.support.client import Phone, new_mobile
from tests.support.system import System, make_system


async def test_the_page_takes_a_person_from_a_number_to_a_session_and_out(
    chromium: Path, system: System, phone: Phone
) -> None:
    mobile = new_mobile()
    async with browser_tab(chromium) as tab:
        await tab.open(system.url + "/")
        await tab.wait_for("document.readyState === 'complete'")
        await tab.type("mobile", mobile)
        await tab.click("code")
        await tab.type("code", await phone.code(mobile))
        await tab.type("password", PASSWORD)
        for act, status in (("register", "200 OK"), ("login", "200 OK"), ("me", "200 OK")):
            await tab.click(act)
            assert await tab.run("document.getElementById('status').textContent") == status
        await tab.type("nickname", "小明")
        await tab.click("profile")
        assert await tab.run("document.getElementById('who').textContent") == "Signed in as 小明"
        await tab.click("sessions")
        assert await tab.run("document.querySelectorAll('#sessions li').length") == 1
        await tab.click("refresh")
        assert "eyJ" in await tab.run("document.getElementById('answer').textContent")
        await tab.click("logout")
        assert await tab.run("document.getElementById('who').textContent") == "Not signed in"
        assert tab.complaints == []
        assert {url for url in tab.requested if not url.startswith(system.url)} == set()


@pytest.mark.parametrize("path", ["/docs/", "/docs"])
async def test_the_reader_shows_every_operation_without_the_internet(
    chromium: Path, system: System, path: str
) -> None:
    async with browser_tab(chromium) as tab:
        await tab.open(system.url + path)
        await tab.wait_for("document.querySelectorAll('.opblock').length >= 17")
        shown = await tab.run("document.body.innerText")
        assert "/password/reset/" in shown
        assert "Create an account" in shown
        assert tab.complaints == []
        assert {url for url in tab.requested if not url.startswith((system.url, "data:"))} == set()


@pytest.fixture
def suspicious(servers: Servers, mysql_url: str, tmp_path: Path) -> Iterator[System]:
    """A system that wants a challenge solved for every code but an address's first."""
    system = make_system(
        servers, mysql_url, tmp_path / "system",
        CODE_SECRET="a secret of its own, and so other budgets",
        CODE_CHALLENGE_ADDRESS="1/10minutes", CHALLENGE_COST="2",
    )  # fmt: skip
    with system.running():
        yield system


async def test_the_page_solves_the_challenge_that_it_is_asked(chromium: Path, suspicious: System) -> None:
    async with browser_tab(chromium) as tab:
        await tab.open(suspicious.url + "/")
        await tab.wait_for("document.readyState === 'complete'")
        for _ in range(2):
            await tab.type("mobile", new_mobile())
            await tab.click("code")
            assert await tab.run("document.getElementById('status').textContent") == "200 OK"
        assert len([url for url in tab.requested if url.endswith("/code/")]) == 3
