import os
import textwrap

import pytest
from trainings import lay_out


@pytest.fixture
def training(tmp_path):
    """A training folder of twelve small photos with a box each, laid out; ``tmp_path / "photos"`` are the sources."""
    return lay_out(tmp_path)


DEADLY = """
import os, pathlib, signal, sys

child = "wreckognize.training.child" in " ".join(sys.orig_argv)
what, _, moment = os.environ.get("FATE", "").partition(" ")
leader = os.getpid()

def die():
    if os.getpid() == leader:
        os.kill(leader, signal.SIGKILL)

if child and what in ("before", "after"):
    name, number = moment.split()
    left, plain = int(number), pathlib.Path.replace

    def replace(self, target):
        global left
        left -= target.name == name
        if left == 0 and target.name == name and what == "before":
            die()
        done = plain(self, target)
        if left == 0 and target.name == name:
            die()
        return done

    pathlib.Path.replace = replace

if child and what in ("batch", "nan"):
    import torch
    left, plain_backward = int(moment), torch.Tensor.backward

    def backward(self, *arguments, **named):
        global left
        left -= 1
        if left == 0 and what == "batch":
            die()
        if left == 0 and what == "nan":
            self.data.fill_(float("nan"))
        return plain_backward(self, *arguments, **named)

    torch.Tensor.backward = backward
"""


@pytest.fixture
def at_start(tmp_path_factory, monkeypatch):
    """A function that has every Python process begin with this text from now on."""

    def set_text(text):
        site = tmp_path_factory.mktemp("site")
        (site / "sitecustomize.py").write_text(textwrap.dedent(text))
        path = os.environ.get("PYTHONPATH")
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), *([path] if path else [])]))

    return set_text


@pytest.fixture
def fate(at_start, monkeypatch):
    """A function that says what befalls training children from now on.

    ``batch N``: killed (-9) in the N-th batch; ``before FILE N``, ``after FILE N``: killed when it has written FILE for
    the N-th time and not yet, or just, given it its name; ``nan N``: the loss of the N-th batch is no number.
    """
    at_start(DEADLY)
    return lambda moment: monkeypatch.setenv("FATE", moment)
