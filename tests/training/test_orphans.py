import subprocess
import sys
from contextlib import suppress

import psutil
import pytest

ORPHANS = """
import os, signal, subprocess, sys, time
from wreckognize.training.orphans import {function}

if len(sys.argv) > 1:
    {function}(int(sys.argv[1]))
    print(os.getpid(), flush=True)
    time.sleep(60)
else:
    child = subprocess.Popen([sys.executable, __file__, str(os.getpid() + {lie})], stdout=subprocess.PIPE, text=True,
                             start_new_session=True)
    sys.stdout.write(child.stdout.readline())
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


BY_KERNEL = pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")


@pytest.mark.parametrize("function", ["end_with_parent", pytest.param("die_with_parent", marks=BY_KERNEL)])
def test_a_child_ends_with_its_parent_and_one_whose_parent_is_gone_never_begins(tmp_path, function):
    script = tmp_path / "parent.py"
    script.write_text(ORPHANS.format(function=function, lie=0))
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60)
    child = int(done.stdout)
    with suppress(psutil.NoSuchProcess):  # gone already
        psutil.Process(child).wait(timeout=20)
    script.write_text(ORPHANS.format(function=function, lie=1))
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60)
    assert done.stdout == ""
