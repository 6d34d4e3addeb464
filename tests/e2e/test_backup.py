"""The commands of docs/backup.md: a system in use is backed up, and restored into an empty server."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from deploy.local.mariadb import MariaDb
from deploy.local.ports import free_port
from tests.support.client import Api, Phone, new_mobile, sign_up
from tests.support.system import ROOT, Process, System

GUIDE = (ROOT / "docs" / "backup.md").read_text()
PASSWORD = "correct horse 电池"


def script(name: str) -> str:
    """Return the commands of the guide that are marked so."""
    (found,) = re.findall(rf"```bash {name}\n(.*?)```", GUIDE, flags=re.DOTALL)
    return str(found)


def follow(name: str, mysql_url: str, folder: Path) -> None:
    """Run the commands as the guide says, in a folder that holds the backup."""
    url = urlsplit(mysql_url)
    env = os.environ | {
        "DB_HOST": str(url.hostname), "DB_PORT": str(url.port), "DB_USER": str(url.username),
        "MYSQL_PWD": str(url.password), "DB_NAME": url.path.lstrip("/"),
        "MYSQL_URL": mysql_url, "PYTHONPATH": str(ROOT),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }  # fmt: skip
    command = ["bash", "-euo", "pipefail", "-c", script(name)]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(name="empty_server")
def _empty_server(tmp_path: Path) -> Iterator[MariaDb]:
    server = MariaDb(tmp_path / "empty", free_port(), durable=False)
    server.start()
    yield server
    server.stop()


async def test_a_restored_system_knows_its_users_and_their_sessions(
    system: System,
    api: Api,
    phone: Phone,
    empty_server: MariaDb,
    tmp_path: Path,
    session: aiohttp.ClientSession,
) -> None:
    mobile = new_mobile()
    user_id = await sign_up(api, phone, mobile, PASSWORD)
    signed_in = await api.post("/login/", {"mobile": mobile, "password": PASSWORD})

    follow("backup", system.env["MYSQL_URL"], tmp_path)
    follow("restore", empty_server.url, tmp_path)

    port = str(free_port())
    env = system.auth.env | {"MYSQL_URL": empty_server.url, "AUTH_PORT": port}
    url = f"http://127.0.0.1:{port}"
    restored = Process("services.auth", ["serve"], env, tmp_path / "auth.log", f"{url}/readyz")
    restored.start()
    try:
        there = Api(session, url)
        again = await there.post("/login/", {"mobile": mobile, "password": PASSWORD})
        assert (again.status, again["id"]) == (200, user_id)
        me = await there.get("/me/", token=signed_in["token"])
        assert (me.status, me["mobile"]) == (200, mobile)
        refreshed = await there.post("/token/refresh/", {"refresh_token": signed_in["refresh_token"]})
        assert refreshed.status == 200
        follow("end-sessions", empty_server.url, tmp_path)
        ended = await there.post("/token/refresh/", {"refresh_token": refreshed["refresh_token"]})
        assert (ended.status, ended["type"]) == (401, "/problems/session-ended")
    finally:
        assert restored.stop() == 0


def test_a_backup_that_was_cut_off_is_told_from_a_whole_one(mysql_url: str, tmp_path: Path) -> None:
    follow("backup", mysql_url, tmp_path)
    whole = (tmp_path / "dialpass.sql.gz").read_bytes()
    (tmp_path / "dialpass.sql.gz").write_bytes(whole[: len(whole) // 2])
    checks = "\n".join(script("backup").splitlines()[-2:])
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", checks], cwd=tmp_path, check=False)
    assert done.returncode != 0
