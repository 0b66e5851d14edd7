"""The Kubernetes example: valid by the published schemas, and held to its promises."""

from __future__ import annotations

import subprocess
import sys

import pytest
import yaml
from deployed import DEPLOY, USER, known_options, longest_stop, open_routes, options_of, value_of

FILE = DEPLOY / "kubernetes.yaml"


@pytest.fixture(scope="module")
def objects():
    return {one["kind"]: one for one in yaml.safe_load_all(FILE.read_text())}


@pytest.fixture(scope="module")
def pod(objects):
    return objects["Deployment"]["spec"]["template"]["spec"]


@pytest.fixture(scope="module")
def container(pod):
    (only,) = pod["containers"]
    return only


def test_it_fits_the_schemas():
    pytest.importorskip("kubernetes_validate")
    code = "from kubernetes_validate.__main__ import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "--strict", "-k", "1.32", str(FILE)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (done.stdout + done.stderr).count("passed") == 5


def test_it_is_nobody_and_can_write_its_volumes_only(pod, container):
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == pod["securityContext"]["fsGroup"] == USER
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    writable = {mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")}
    assert writable == {"/tmp", "/var/lib/wreckognize"}
    assert value_of(container["args"], "--drift").startswith("/var/lib/wreckognize/")


def test_volumes_are_those_that_are_mounted(pod, container):
    volumes = {one["name"]: one for one in pod["volumes"]}
    assert set(volumes) == {mount["name"] for mount in container["volumeMounts"]}
    keys = next(mount["mountPath"] for mount in container["volumeMounts"] if mount["name"] == "keys")
    assert "secret" in volumes["keys"]
    assert value_of(container["args"], "--keys").startswith(f"{keys}/")


def test_options_are_known(container):
    assert options_of(container["args"]) <= known_options()


def test_probes_ask_what_the_service_answers(container):
    probes = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "readiness", "liveness")}
    assert {probe["path"] for probe in probes.values()} <= open_routes()
    assert probes["liveness"]["path"] == "/healthz"  # a copy that is being stopped is not to be killed
    assert probes["readiness"]["path"] == "/readyz"
    (port,) = container["ports"]
    assert port["containerPort"] == 8000  # the image's
    assert {probe["port"] for probe in probes.values()} == {port["name"]}


def test_every_object_means_these_pods(objects, container):
    labels = objects["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert objects["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert objects["Service"]["spec"]["selector"] == labels
    assert objects["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    assert objects["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == labels
    assert objects["Service"]["spec"]["ports"][0]["targetPort"] == container["ports"][0]["name"]
    target = objects["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", objects["Deployment"]["metadata"]["name"])


def test_a_stop_has_the_time_it_may_take_and_is_seen_before_the_port_shuts(pod, container):
    assert pod["terminationGracePeriodSeconds"] >= longest_stop(container["args"])
    probe = container["readinessProbe"]
    assert float(value_of(container["args"], "--drain")) >= probe["periodSeconds"] * probe["failureThreshold"]


def test_one_copy_is_always_there(objects):
    assert objects["HorizontalPodAutoscaler"]["spec"]["minReplicas"] > 1
    assert objects["PodDisruptionBudget"]["spec"]["minAvailable"] >= 1
    assert objects["Deployment"]["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
