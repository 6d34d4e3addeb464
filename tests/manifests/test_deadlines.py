"""Deadlines against each other: nothing gives up on something that may still take its time."""

import pytest

from tests.manifests.rendering import OVERLAYS, Manifest, containers_of, of_kind, pod_of


@pytest.fixture(name="target", params=[f"overlays/{name}" for name in OVERLAYS])
def _target(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def option(container: Manifest, name: str) -> float:
    arguments = container["args"]
    return float(arguments[arguments.index(name) + 1])


def test_the_migration_waits_for_its_database_less_long_than_the_job_may_run(target: str) -> None:
    job = of_kind(target, "Job")["migrate"]["spec"]
    (container,) = job["template"]["spec"]["containers"]
    # What is left is for the migration itself.
    assert option(container, "--database-wait") + 240 <= job["activeDeadlineSeconds"]


def test_new_pods_of_auth_wait_as_long_as_the_job_may_run(target: str) -> None:
    job = of_kind(target, "Job")["migrate"]["spec"]
    auth = of_kind(target, "Deployment")["auth"]
    (wait,) = (each for each in containers_of(auth) if each["name"] == "wait-for-migrations")
    assert option(wait, "--wait") >= job["activeDeadlineSeconds"]


@pytest.mark.parametrize("service", ["auth", "sms", "gateway"])
def test_no_rollout_is_given_up_while_the_migration_may_run(target: str, service: str) -> None:
    """Afterwards a pod of auth has to start."""
    job = of_kind(target, "Job")["migrate"]["spec"]
    deployment = of_kind(target, "Deployment")[service]
    (container,) = pod_of(deployment)["containers"]
    probe = container["startupProbe"]
    start = probe["periodSeconds"] * probe["failureThreshold"]
    assert deployment["spec"]["progressDeadlineSeconds"] > job["activeDeadlineSeconds"] + 2 * start


def test_a_migration_that_is_refused_fails_its_job_at_once(target: str) -> None:
    job = of_kind(target, "Job")["migrate"]["spec"]
    actions = {rule["action"]: rule for rule in job["podFailurePolicy"]["rules"]}
    (container,) = job["template"]["spec"]["containers"]
    codes = actions["FailJob"]["onExitCodes"]
    assert (codes["containerName"], codes["operator"]) == (container["name"], "In")
    # Of a refused migration, of a database that did not come, and of wrong settings.
    assert set(codes["values"]) == {1, 2}
    # A pod that is lost with its node does not count.
    assert actions["Ignore"]["onPodConditions"] == [{"type": "DisruptionTarget", "status": "True"}]
    assert job["template"]["spec"]["restartPolicy"] == "Never"
