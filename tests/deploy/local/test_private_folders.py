"""Runs side by side: what a server writes, listens on and is told is its own."""

import os
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from urllib.parse import urlsplit

import pymysql
import pytest

from deploy.local.mariadb import MariaDb
from deploy.local.ports import free_port
from deploy.local.private import LONGEST_FOLDER, private_environment, short_folder
from deploy.local.programs import ensure_programs
from deploy.local.servers import Servers, start_all, stop_all, throwaway

# Where programs are installed; nothing of a run is written there.
INSTALLED = ("/usr/", "/etc/", "/lib", "/bin", "/sbin", "/opt/", "/dev/", "/proc/", "/sys/")
WRITES = os.O_WRONLY | os.O_RDWR
TABLE = "CREATE TEMPORARY TABLE scratch (id INT PRIMARY KEY AUTO_INCREMENT, note LONGTEXT) ENGINE=Aria"


@pytest.fixture(name="servers", scope="module")
def _servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """A fleet in a folder with blanks, far below the root."""
    ensure_programs()
    servers = throwaway(tmp_path_factory.mktemp("a checkout with blanks in its path " + "x" * 90))
    start_all(servers.all)
    yield servers
    stop_all(servers.all)


def pids_of(folder: Path) -> dict[int, str]:
    """Return the processes of a server and of all its programs, by the session that each server begins."""
    leaders = {path.read_text().partition('"pid": ')[2].partition(",")[0] for path in folder.rglob("*.pid")}
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            name, _, rest = (process / "stat").read_text().partition("(")[2].rpartition(")")
        except OSError:  # ended meanwhile
            continue
        if rest.split()[3] in leaders:
            found[int(process.name)] = name
    return found


def strange(path: str, own: Path) -> bool:
    return path.startswith("/") and not path.startswith((str(own), *INSTALLED))


def written_files(pid: int) -> Iterator[str]:
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = str(descriptor.readlink())
            info = Path(f"/proc/{pid}/fdinfo/{descriptor.name}").read_text()
        except OSError:  # closed meanwhile
            continue
        if int(info.partition("flags:")[2].split()[0], 8) & WRITES:
            yield target


def unix_sockets(pid: int) -> Iterator[str]:
    """Return the paths of the Unix sockets that a process has open."""
    inodes = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            inodes.add(str(descriptor.readlink()))
        except OSError:
            continue
    for line in Path(f"/proc/{pid}/net/unix").read_text().splitlines()[1:]:
        fields = line.split()
        if f"socket:[{fields[6]}]" in inodes and len(fields) > 7:
            yield fields[7]


@pytest.mark.parametrize("name", ["mariadb", "redis", "rabbitmq"])
def test_all_that_a_server_is_told_and_writes_is_in_its_own_folder(servers: Servers, name: str) -> None:
    (server,) = (server for server in servers.all if server.name == name)
    processes = pids_of(server.folder)
    assert processes
    for pid, program in processes.items():
        environment = dict(
            line.partition("=")[::2]
            for line in Path(f"/proc/{pid}/environ").read_text().split("\0")
            if "=" in line
        )
        if server.name != "redis":  # which writes its title over it
            for variable in ("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"):
                assert environment[variable].startswith(str(server.folder)), (program, variable)
        outside = {key: value for key, value in environment.items() if strange(value, server.folder)}
        outside = {key: value for key, value in outside.items() if key not in {"PATH", "LD_LIBRARY_PATH"}}
        # The shell's, of the folder that it was started in.
        assert outside.keys() <= {"PWD", "OLDPWD"}, (program, outside)
        assert all(not strange(path, server.folder) for path in outside.values()), (program, outside)
        assert [path for path in written_files(pid) if strange(path, server.folder)] == [], program
        assert [path for path in unix_sockets(pid) if strange(path, server.folder)] == [], program


def test_a_database_that_installs_and_starts_does_not_disturb_another_ones_work(
    servers: Servers, tmp_path: Path
) -> None:
    address = urlsplit(servers.mariadb.url)
    ended = threading.Event()

    def work() -> int:
        rounds = 0
        with closing(
            pymysql.connect(
                host=address.hostname, port=address.port or 0, user=address.username,
                password=address.password or "", database=address.path[1:],
            )
        ) as connection, connection.cursor() as cursor:  # fmt: skip
            cursor.execute("SET SESSION tmp_memory_table_size = 16384, max_heap_table_size = 16384")
            while not ended.is_set() or not rounds:
                cursor.execute(TABLE)
                cursor.execute("INSERT INTO scratch (note) VALUES (REPEAT('x', 2000))")
                for _ in range(8):
                    cursor.execute("INSERT INTO scratch (note) SELECT note FROM scratch")
                cursor.execute("SELECT note, COUNT(DISTINCT id) FROM scratch GROUP BY note ORDER BY RAND()")
                assert cursor.fetchall()[0][1] == 256
                cursor.execute("DROP TEMPORARY TABLE scratch")
                rounds += 1
        return rounds

    with ThreadPoolExecutor() as threads:
        worked = threads.submit(work)
        try:
            for number in range(2):
                second = throwaway(tmp_path / f"fleet {number}")
                start_all(second.all)
                second.mariadb.kill()
                second.mariadb.start()
                stop_all(second.all)
        finally:
            ended.set()
        assert worked.result() > 0


@pytest.mark.parametrize("folder", ["a folder with blanks", "missing"])
def test_a_database_is_installed_whatever_the_common_folder_of_temporary_files_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    (tmp_path / "a folder with blanks").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    server = MariaDb(tmp_path / "database", free_port(), durable=False)
    server.start()
    server.stop()
    assert list((tmp_path / "a folder with blanks").iterdir()) == []


def test_variables_of_other_installations_do_not_reach_a_server(tmp_path: Path) -> None:
    foreign = {
        "PATH": "/usr/bin", "LC_ALL": "C.UTF-8", "HOME": "/root", "TMPDIR": "/tmp",
        "MYSQLD_BOOTSTRAP": "/bin/false", "RABBITMQ_NODENAME": "another", "ERL_EPMD_PORT": "4369",
        "ERL_FLAGS": "-name x", "XDG_RUNTIME_DIR": "/run/user/0", "MYSQL_HOME": "/etc/another",
        "MYSQL_UNIX_PORT": "/run/m",
    }  # fmt: skip
    environment = private_environment(tmp_path / "own", foreign)
    assert {name for name, value in environment.items() if foreign.get(name) == value} == {"PATH", "LC_ALL"}
    assert environment["TMPDIR"] == environment["TEMP"] == str(tmp_path / "own" / "tmp")
    assert (tmp_path / "own").stat().st_mode & 0o777 == 0o700


def test_a_folder_for_sockets_has_a_short_path_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ("x" * 100)))
    with ExitStack() as stack:
        first, second = (stack.enter_context(short_folder("test-")) for _ in range(2))
        assert first != second
        assert len(str(first)) < LONGEST_FOLDER
        assert first.stat().st_mode & 0o777 == 0o700
        (first / "left").touch()
    assert not first.exists()
