"""A real browser, and the place of the shared system, looked at from behind."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deploy.local.programs import ensure_programs, find
from services.auth.db.database import Database
from tests.support.system import System


@pytest.fixture(scope="session")
def chromium() -> Path:
    ensure_programs("chromium")
    program = find("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    assert program is not None
    return program


@pytest.fixture
async def database(system: System) -> AsyncIterator[Database]:
    """The shared system's database, by connections of the test's own."""
    database = Database(system.env["MYSQL_URL"], pool_size=8)
    yield database
    await database.close()
