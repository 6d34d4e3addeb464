"""A real browser."""

from pathlib import Path

import pytest

from deploy.local.programs import ensure_programs, find


@pytest.fixture(scope="session")
def chromium() -> Path:
    ensure_programs("chromium")
    program = find("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    assert program is not None
    return program
