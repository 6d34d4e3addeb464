"""Servers of another Debian release: found before this machine's, and unpacked from apt's own mirror."""

import os
from pathlib import Path

import pytest

from deploy.local.errors import LocalError
from deploy.local.newer_servers import unpack
from deploy.local.programs import OWN_PROGRAMS, find, rabbitmq_script

APT = """#!/bin/sh
printf '%s\\n' "$*" >>{folder}/asked
case "$*" in
    indextargets*) printf 'Other|Other|http://other.test/\\nDebian|Debian|http://mirror.test/debian/\\n' ;;
    *update) cp "$(dirname "$(echo "$1" | cut -d= -f3)")/sources.list" {folder}/sources.list ;;
    *install*) touch {folder}/servers/trixie/cache/archives/valkey_8_amd64.deb ;;
    *) exit 1 ;;
esac
"""
DPKG = """#!/bin/sh
mkdir -p "$3/usr/bin"
printf '#!/bin/sh\\necho "valkey of trixie, $*"\\n' >"$3/usr/bin/valkey-server"
chmod +x "$3/usr/bin/valkey-server"
"""


def executable(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_the_programs_of_a_named_folder_are_used_before_this_machines_whatever_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder, name in (("machine", "redis-server"), ("own", "valkey-server"), ("own", "rabbitmq-server")):
        (tmp_path / folder).mkdir(exist_ok=True)
        executable(tmp_path / folder / name, "#!/bin/sh\n")
    monkeypatch.setenv("PATH", str(tmp_path / "machine"))
    assert find("redis-server", "valkey-server") == tmp_path / "machine" / "redis-server"
    monkeypatch.setenv(OWN_PROGRAMS, str(tmp_path / "own"))
    assert find("redis-server", "valkey-server") == tmp_path / "own" / "valkey-server"
    assert rabbitmq_script() == tmp_path / "own" / "rabbitmq-server"
    (tmp_path / "own" / "valkey-server").unlink()
    assert find("redis-server", "valkey-server") == tmp_path / "machine" / "redis-server"


@pytest.fixture(name="folder")
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an apt that has a mirror and one package."""
    if os.geteuid() != 0 or not Path("/etc/debian_version").exists():
        pytest.skip("needs root on Debian")
    programs = tmp_path / "programs"
    programs.mkdir()
    executable(programs / "apt-get", APT.format(folder=tmp_path))
    executable(programs / "dpkg-deb", DPKG)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    return tmp_path


def test_a_release_is_unpacked_once_from_the_mirror_of_this_machine(folder: Path) -> None:
    programs = unpack("trixie", folder / "servers", report=lambda _: None)
    assert " http://mirror.test/debian/ trixie main" in (folder / "sources.list").read_text()
    asked = (folder / "asked").read_text()
    installation = asked.splitlines()[-1]
    assert {"mariadb-server", "rabbitmq-server", "valkey-server"} <= set(installation.split())
    assert "--download-only" in installation
    assert [path.name for path in programs.iterdir()] == ["valkey-server"]
    assert unpack("trixie", folder / "servers", report=lambda _: None) == programs
    assert (folder / "asked").read_text() == asked


def test_an_unknown_release_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="no release buzz; there are trixie, sid"):
        unpack("buzz", tmp_path)
