"""What a consumer sees, by the example in the README."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.client import Api, Phone, eventually, new_mobile, sign_up
from tests.support.system import ROOT, System

EXAMPLE = re.compile(r"```python\n(.*?)```", re.DOTALL)


@pytest.fixture
def consumed(system: System, tmp_path: Path) -> Iterator[Path]:
    """What the README's consumer prints while it runs."""
    found = EXAMPLE.search((ROOT / "README.md").read_text())
    assert found is not None
    # It says that its queue is bound, after which no event passes it by.
    program = found.group(1).replace("async with queue", "print('bound', flush=True)\n    async with queue")
    output = tmp_path / "output"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-c", program], cwd=ROOT, env=os.environ | system.env, stdout=file
        )
    yield output
    process.kill()
    process.wait()


async def test_the_readmes_consumer_learns_of_a_new_account(api: Api, phone: Phone, consumed: Path) -> None:
    await eventually(lambda: "bound" in consumed.read_text())
    mobile = new_mobile()
    user_id = await sign_up(api, phone, mobile)
    await eventually(lambda: f"user_id={user_id}, mobile='139****{mobile[-4:]}'" in consumed.read_text())
