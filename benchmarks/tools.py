"""The programs besides Python that the benchmarks need."""

from deploy.local import programs
from deploy.local.errors import LocalError

programs.NEEDED.setdefault("nginx", (("nginx",),))
programs.PACKAGES.setdefault("nginx", "nginx-light")
programs.NEEDED.setdefault("wrk", (("wrk",),))
programs.PACKAGES.setdefault("wrk", "wrk")


def ensure(*names: str) -> None:
    """Have the programs, installed where that is possible; `LocalError` says what is missing."""
    missing = [name for name in names if not programs.present(name)]
    if missing and programs.can_install():
        programs.install(missing)
        missing = [name for name in missing if not programs.present(name)]
    if missing:
        raise LocalError(programs.advice(missing))
