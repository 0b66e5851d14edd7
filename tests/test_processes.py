import os
import socket
import subprocess
import sys

from wreckognize.processes import Signature, this_process


def test_a_process_signs_so_that_it_is_known_again():
    signature = Signature.read(this_process())
    assert (signature.pid, signature.host) == (os.getpid(), socket.gethostname())
    assert not signature.gone()


def test_one_that_ended_is_gone_and_so_is_one_whose_number_is_anothers():
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait(30)
    assert Signature(ended.pid, socket.gethostname(), None).gone()
    assert Signature(os.getpid(), socket.gethostname(), 1).gone()


def test_one_that_ended_and_was_not_fetched_by_its_parent_is_gone():
    ended = subprocess.Popen([sys.executable, "-c", "print()"], stdout=subprocess.PIPE)
    ended.stdout.read()
    os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)  # a zombie from now on
    assert Signature(ended.pid, socket.gethostname(), None).gone()
    ended.wait(30)
    ended.stdout.close()


def test_nothing_is_known_of_another_machine():
    assert not Signature(4_000_000, "elsewhere.example", None).gone()


def test_other_text_is_no_signature():
    for text in ("", "\0" * 40, "process one on host since ever", "nonsense"):
        assert Signature.read(text) is None
