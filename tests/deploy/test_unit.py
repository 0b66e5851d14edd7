"""The systemd unit: read by systemd's own check where it is installed, and held to its promises everywhere."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys

import pytest
from deployed import DEPLOY, known_options, longest_stop, options_of, value_of

UNIT = DEPLOY / "wreckognize.service"


def settings():
    """Section -> setting -> its lines; systemd lets a setting stand more than once."""
    found, section = {}, ""
    for line in UNIT.read_text().replace("\\\n", " ").splitlines():
        line = line.strip()
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            name, equals, value = line.partition("=")
            assert equals, line
            found.setdefault(section, {}).setdefault(name, []).append(value)
    return found


@pytest.fixture
def service():
    return settings()["Service"]


def test_the_command_is_one_that_the_package_has(service):
    words = shlex.split(service["ExecStart"][0])
    assert words[0].endswith("/bin/wreckognize")
    assert words[1] == "serve"
    assert options_of(words) <= known_options()
    assert value_of(words, "--host") == "127.0.0.1"  # TLS is ended by a proxy on the same machine
    assert value_of(words, "--keys")


def test_it_can_write_its_state_only(service):
    assert service["ProtectSystem"] == ["strict"]
    assert service["DynamicUser"] == ["yes"]
    assert service["NoNewPrivileges"] == ["yes"]
    assert service["PrivateTmp"] == ["yes"]
    assert service["CapabilityBoundingSet"] == [""]
    assert "ReadWritePaths" not in service
    assert "User" not in service
    words = shlex.split(service["ExecStart"][0])
    assert value_of(words, "--drift").startswith(f"%S/{service['StateDirectory'][0]}/")


def test_a_stop_has_the_time_it_may_take(service):
    assert service["KillSignal"] == ["SIGTERM"]
    assert service["KillMode"] == ["mixed"]
    assert float(service["TimeoutStopSec"][0]) >= longest_stop(shlex.split(service["ExecStart"][0]))


def test_a_reload_reads_the_keys_again_and_wrong_use_is_not_repeated(service):
    assert service["ExecReload"] == ["/bin/kill -HUP $MAINPID"]
    assert service["Restart"] == ["on-failure"]
    assert service["RestartPreventExitStatus"] == ["2"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_understands_it(tmp_path):
    here = tmp_path / UNIT.name
    here.write_text(UNIT.read_text().replace("/opt/wreckognize/bin/wreckognize", sys.executable))
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(here)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = [line for line in checked.stderr.splitlines() if UNIT.name in line]
    assert not said
    rated = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--threshold=20", str(here)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if "unrecognized option" in rated.stderr:
        pytest.skip("this systemd rates no unit that is not loaded")
    assert rated.returncode == 0, rated.stdout + rated.stderr  # exposure at most 2.0 of 10
