"""Other libraries in an environment of their own, so that what they want installed cannot change ours."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

FOLDER = Path(__file__).parents[1] / ".venv-peers"
IMAGEDEDUP = "imagededup==0.3.3.post2"


def python() -> Path | None:
    """A Python that has imagededup, set up when first asked for; None where that fails, as standard error says.

    It imports torch, which it does not need for hashes; to spare a second copy of several gigabytes the environment
    looks for what it lacks in this one.
    """
    command = FOLDER / "bin" / "python"
    done = FOLDER / "done"
    if done.exists() and done.read_text() == IMAGEDEDUP:
        return command
    try:
        subprocess.run([sys.executable, "-m", "venv", "--clear", FOLDER], check=True)
        place = subprocess.run(
            [command, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        (Path(place.stdout.strip()) / "ours.pth").write_text(sysconfig.get_path("purelib") + "\n")
        pip = [command, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--no-deps", IMAGEDEDUP, "PyWavelets"], check=True)
        subprocess.run([command, "-c", "import imagededup.handlers.search.retrieval"], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"{IMAGEDEDUP} could not be set up: {error}", file=sys.stderr)
        return None
    done.write_text(IMAGEDEDUP)
    return command
