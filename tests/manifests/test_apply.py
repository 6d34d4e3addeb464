"""apply.sh against a kubectl that writes down what it is asked and answers as a cluster would.

It stands in for a cluster, which is not available to the tests; rendering is the real kubectl's.
"""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.manifests.archives import kubectl
from tests.manifests.rendering import K8S
from tests.manifests.test_settings_file import PRODUCTION, decide

# Answers are files in $ANSWERS: job-1, job-2, … are the conditions of the Job, one after the other, the last
# one from then on; applied-NAME is what was applied before as the Deployment NAME.
FAKE = """#!/bin/bash
if [[ $1 == kustomize ]]; then exec "$KUBECTL" "$@"; fi
printf '%s\\n' "$*" >>"$CALLS"
case "$*" in
    *"get deployment "*) for each in "$@"; do
        if [[ -e $ANSWERS/applied-$each ]]; then cat "$ANSWERS/applied-$each"; fi; done ;;
    *"get job migrate"*)
        count=$(($(cat "$ANSWERS/count" 2>/dev/null || echo 0) + 1)); echo "$count" >"$ANSWERS/count"
        while [[ $count -gt 1 && ! -e $ANSWERS/job-$count ]]; do count=$((count - 1)); done
        if [[ ! -e $ANSWERS/job-$count ]]; then exit 1; fi
        cat "$ANSWERS/job-$count" ;;
    *"rollout status"*) [[ "$*" != *"deployment/${STUCK:-none}" ]] ;;
    *"logs job/migrate"*) echo "the database refused: Duplicate column name" ;;
esac
"""


@dataclass
class Cluster:
    """What the fake kubectl answers and was asked."""

    folder: Path
    overlay: Path
    status: int = 0
    said: str = ""
    calls: list[str] = field(default_factory=list)

    def answer(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def apply(self, **environment: str) -> None:
        fake = self.folder / "bin"
        fake.mkdir(exist_ok=True)
        (fake / "kubectl").write_text(FAKE)
        (fake / "kubectl").chmod(0o755)
        env = {"PATH": f"{fake}:/usr/bin:/bin", "KUBECTL": str(kubectl()), "POLL_SECONDS": "0.1"}
        paths = {"CALLS": str(self.folder / "calls"), "ANSWERS": str(self.folder)}
        done = subprocess.run(
            [self.overlay.parents[1] / "apply.sh", self.overlay],
            env=os.environ | env | paths | environment,
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        self.status, self.said = done.returncode, done.stdout + done.stderr
        calls = self.folder / "calls"
        self.calls = calls.read_text().splitlines() if calls.exists() else []


@pytest.fixture(name="cluster")
def _cluster(tmp_path: Path) -> Cluster:
    copy = Path(shutil.copytree(K8S, tmp_path / "k8s"))
    decide(copy)
    (tmp_path / "cluster").mkdir()
    cluster = Cluster(tmp_path / "cluster", copy / PRODUCTION)
    cluster.answer("job-1", "SuccessCriteriaMet Complete ")
    return cluster


def test_servers_are_applied_before_the_migration_and_the_services(cluster: Cluster) -> None:
    cluster.apply()
    assert cluster.status == 0, cluster.said
    changes = [call for call in cluster.calls if "get " not in call and "rollout" not in call]
    assert changes == [
        f"apply --kustomize {cluster.overlay}/servers",
        "--namespace dialpass delete job --selector"
        " app.kubernetes.io/name=migrate,app.kubernetes.io/part-of=dialpass --wait",
        f"apply --kustomize {cluster.overlay}",
    ]
    rollouts = [call.rpartition(" ")[2] for call in cluster.calls if "rollout" in call]
    assert rollouts == ["deployment/auth", "deployment/sms", "deployment/gateway"]


def test_only_the_overlays_own_namespace_is_touched(cluster: Cluster) -> None:
    """Whatever namespace kubectl's context has."""
    cluster.apply()
    touched = [call for call in cluster.calls if not call.startswith("apply --kustomize")]
    assert touched
    assert all(call.startswith("--namespace dialpass ") for call in touched)


def test_an_overlay_without_the_job_is_refused_before_anything_is_done(cluster: Cluster) -> None:
    (cluster.overlay / "kustomization.yaml").write_text("resources: []\n")
    cluster.apply()
    assert (cluster.status, cluster.calls) == (1, [])
    assert "has no Job migrate" in cluster.said


def test_an_overlay_that_is_not_decided_is_refused_before_anything_is_done(cluster: Cluster) -> None:
    decide(cluster.overlay.parents[1], SECRET_STORE="change-me")
    cluster.apply()
    assert (cluster.status, cluster.calls) == (1, [])
    assert "SECRET_STORE=change-me" in cluster.said


def test_a_migration_is_waited_for(cluster: Cluster) -> None:
    for attempt in (1, 2, 3):
        cluster.answer(f"job-{attempt}", "")
    cluster.answer("job-4", "Complete ")
    cluster.apply()
    assert cluster.status == 0
    assert sum("get job" in call for call in cluster.calls) == 4


@pytest.mark.parametrize("condition", ["Failed ", "FailureTarget ", "FailureTarget Failed "])
def test_a_failed_migration_is_noticed_at_once_with_its_reason(cluster: Cluster, condition: str) -> None:
    cluster.answer("job-1", "")
    cluster.answer("job-2", condition)
    cluster.apply(TIMEOUT="1000")
    assert cluster.status == 1
    assert "the migration failed" in cluster.said
    assert "Duplicate column name" in cluster.said
    assert not any("rollout" in call for call in cluster.calls)


def test_a_job_that_cannot_be_read_for_a_moment_is_read_again(cluster: Cluster) -> None:
    (cluster.folder / "job-1").unlink()
    cluster.answer("job-2", "Complete ")
    cluster.apply()
    assert cluster.status == 0


def test_a_migration_that_does_not_begin_ends_the_wait(cluster: Cluster) -> None:
    cluster.answer("job-1", "")
    cluster.apply(TIMEOUT="1")
    assert cluster.status == 1
    assert "did not end within 1 s" in cluster.said


def test_a_rollout_that_fails_is_an_error(cluster: Cluster) -> None:
    cluster.apply(STUCK="sms")
    assert cluster.status == 1


def applied(replicas: int | None) -> str:
    spec = {"progressDeadlineSeconds": 1200, "selector": {}} | (
        {} if replicas is None else {"replicas": replicas}
    )
    return json.dumps({"kind": "Deployment", "spec": dict(sorted(spec.items()))}, separators=(",", ":"))


def test_an_autoscaler_takes_over_the_number_of_replicas(cluster: Cluster) -> None:
    """Apply would see that the number was removed, and set the default, one."""
    cluster.answer("applied-auth", applied(5))
    cluster.answer("applied-sms", applied(None))
    cluster.apply()
    assert cluster.status == 0, cluster.said
    (change,) = (call for call in cluster.calls if " annotate " in call)
    assert change.startswith("--namespace dialpass annotate deployment auth --overwrite ")
    _, _, annotation = change.partition("kubectl.kubernetes.io/last-applied-configuration=")
    assert annotation == applied(None)
    assert cluster.calls.index(change) < cluster.calls.index(f"apply --kustomize {cluster.overlay}")


def test_without_an_autoscaler_the_overlays_number_counts(cluster: Cluster) -> None:
    kustomization = cluster.overlay / "kustomization.yaml"
    kustomization.write_text(kustomization.read_text().replace("  - ../../components/autoscaling\n", ""))
    cluster.answer("applied-auth", applied(5))
    cluster.apply()
    assert cluster.status == 0, cluster.said
    assert not any(" annotate " in call for call in cluster.calls)
