"""Commands run as a user runs them, watched from within and from without for everything that leaves the process.

From within: an audit hook in every Python that the command starts (``sitecustomize``) writes down connections, name
look-ups, requests and programs that install packages. From without, where the machine allows it: the command runs in a
network namespace of its own, which has no way out, and under ``strace``, which sees what compiled code does, too.
Where the machine does not allow it, ``unwatched`` says so, and the fixture ``whole_watch`` in the result of a test.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

HOOK = """
import faulthandler, os, signal, sys, traceback

_STACKS = open({stacks!r} + str(os.getpid()) + ".txt", "a")
faulthandler.register(signal.SIGUSR1, file=_STACKS)  # where it stands; only when it is to be killed: asking can kill

_LOG = {log!r}
_CALLS = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo",
          "socket.sendto", "socket.sendmsg", "urllib.Request", "http.client.connect", "ftplib.connect",
          "smtplib.connect", "webbrowser.open")
_STARTS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn")
_PROGRAMS = {programs!r}
_LOOPBACK = {loopback!r}
_SENDS = ("socket.connect", "socket.sendto", "socket.sendmsg")

def _inside(event, arguments):
    # Between processes of this machine, by a file: how loader workers hand over their batches.
    if event in _SENDS and arguments[0].family == 1:  # AF_UNIX
        return True
    return _LOOPBACK and _is_here(event, arguments)

def _is_here(event, arguments):
    if event in _SENDS:
        host = arguments[1][0] if arguments[1] else None  # none: it goes where its socket was connected to
    elif event == "urllib.Request":
        from urllib.parse import urlsplit
        host = urlsplit(arguments[0]).hostname
    elif event == "http.client.connect":
        host = arguments[1]
    elif event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
        host = arguments[0]  # what a server calls itself; were its address asked of a resolver, strace would see that
    else:
        return False
    host = host.decode() if isinstance(host, bytes) else host
    return host in (None, "", "localhost", "::1", "0.0.0.0", "::") or host.startswith("127.")

def _note(event, arguments):
    if event in _STARTS:
        words = set(str(arguments).replace("'", " ").replace(",", " ").replace("/", " ").split())
        if not words & set(_PROGRAMS):
            return
    elif event not in _CALLS or _inside(event, arguments):
        return
    with open(_LOG, "a") as log:
        log.write(str(os.getpid()) + " " + event + " " + str(arguments) + "\\n")
        log.write("".join(traceback.format_stack(limit=25)) + "\\n")

sys.addaudithook(_note)
with open({seen!r}, "a") as seen:
    seen.write(str(os.getpid()) + " " + " ".join(sys.argv) + "\\n")
"""
PROGRAMS = ["pip", "pip3", "uv", "conda", "curl", "wget", "git", "ssh"]
_CALLS = "connect,sendto,sendmsg,sendmmsg,execve"
_OUTSIDE = re.compile(r"sa_family=AF_INET6?\b")
_LOOPBACK = re.compile(r'inet_addr\("(127\.|0\.0\.0\.0")|inet_pton\(AF_INET6, "(::1"|::ffff:127\.|::")')
_NAMES = re.compile(r"sin6?_port=htons\(53\)")  # a resolver may sit on loopback; what it is asked goes further
_LIFT = """
import fcntl, os, socket, struct, sys
with socket.socket() as any_socket:
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sH14x", b"lo", 0x41))  # SIOCSIFFLAGS: up and running
os.execvp(sys.argv[1], sys.argv[1:])
"""
"""A program that gives a new network namespace its loopback, then becomes the command."""
_PROGRAM = re.compile(r'execve\("(?:[^"]*/)?([^"/]+)", \[(.*)\]')


@dataclass(frozen=True)
class Watched:
    """What a command did.

    Attributes:
        code: its exit code.
        output: standard output and error.
        calls: what the hooks wrote down; empty if nothing.
        outside: lines of strace about other machines or programs that fetch; None where it could not watch.
        pythons: command lines of all Pythons that started with the hook.
        home: files in the home folder it was given.
    """

    code: int
    output: str
    calls: str
    outside: list[str] | None
    pythons: list[str]
    home: list[str]

    def require_quiet(self) -> None:
        """Nothing left, nothing was looked up, nothing was installed, nothing was written into the home folder."""
        assert self.code == 0, self.output
        assert self.calls == "", self.calls
        assert not self.outside, "\n".join(self.outside or [])  # None: `unwatched` says so
        assert self.home == []


def watched(
    folder: Path, *command: str, timeout: float = 600, loopback: bool = False, **variables: str
) -> Watched:
    """Run a command in an environment that is all but empty: without CI, without pytest, with an empty home folder.

    Args:
        folder: where it runs; also takes what is watched.
        command: its words.
        timeout: in seconds.
        loopback: whether it may speak to this machine itself by the network (a resolver there left out).
        variables: of its environment, besides.
    """
    site, home, notes = folder / "site", folder / "home", folder / "notes"
    for path in (site, home, notes):
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()
    log, seen, trace = notes / "calls.log", notes / "pythons.log", notes / "trace.log"
    hook = HOOK.format(
        log=str(log),
        seen=str(seen),
        programs=PROGRAMS,
        stacks=f"{notes}/stacks-",
        loopback=loopback,
    )
    (site / "sitecustomize.py").write_text(hook)
    source = Path(__file__).parents[1] / "src"
    temporary = folder / "tmp"
    temporary.mkdir(exist_ok=True)
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "LANG": "C.UTF-8",
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "PYTHONPATH": f"{site}{os.pathsep}{source}",
        **variables,
    }
    strace = _strace()
    words = [*_alone(loopback), *([*strace, "-o", str(trace)] if strace else []), *command]
    started = subprocess.Popen(
        words, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="replace", start_new_session=True,
    )  # fmt: skip
    try:
        output, _ = started.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        for path in notes.glob("stacks-*.txt"):
            with contextlib.suppress(OSError):  # it has ended
                number = path.stem.removeprefix("stacks-")
                process = Path("/proc", number)
                if (
                    os.fsencode(site) in (process / "environ").read_bytes()
                ):  # not another that has its number by now
                    status = (process / "status").read_text().splitlines()
                    told = [line for line in status if line.startswith(("Name", "State", "TracerPid", "Threads"))]
                    path.write_text("\n".join([*told, (process / "stat").read_text()]))
                    os.kill(int(number), signal.SIGUSR1)  # appends where its Python code stands
        time.sleep(1)
        os.killpg(started.pid, signal.SIGKILL)
        output, _ = started.communicate(timeout=60)
        stood = "\n".join(f"{path.name}:\n{path.read_text()}" for path in sorted(notes.glob("stacks-*.txt")))
        raise AssertionError(f"no end within {timeout} s; it said:\n{output}\nand stood at:\n{stood}") from None
    return Watched(
        code=started.returncode,
        output=output,
        calls=log.read_text() if log.exists() else "",
        outside=_gone_out(trace.read_text(errors="replace"), loopback) if strace else None,
        pythons=seen.read_text().splitlines() if seen.exists() else [],
        home=sorted(str(path.relative_to(home)) for path in home.rglob("*")),
    )


def python(program: str) -> list[str]:
    """The command that runs a program's text."""
    return [sys.executable, "-c", program]


@cache
def _alone(loopback: bool) -> list[str]:
    """Words that put a command into a network namespace with nothing in it; none where that is not allowed."""
    words = ["unshare", "--user", "--map-root-user", "--net"]
    if loopback:
        words += [sys.executable, "-I", "-S", "-c", _LIFT]
    return words if _works([*words, "true"]) else []


@cache
def _strace() -> list[str]:
    words = ["strace", "-f", "-qq", "--seccomp-bpf", "-s", "200", "-e", f"trace={_CALLS}", "-e", "signal=none"]
    return words if _works([*words, "-o", os.devnull, "true"]) else []


def _works(words: list[str]) -> bool:
    try:
        return subprocess.run(words, capture_output=True, timeout=20, check=False).returncode == 0
    except (OSError, subprocess.SubprocessError):
        return False


def unwatched() -> str:
    """What of the watch from without this machine lacks, in words; empty if nothing."""
    lacks = []
    if not _strace():
        lacks.append("strace, which sees compiled code, is not installed or not allowed")
    if not (_alone(False) and _alone(True)):
        lacks.append("a network namespace without a way out (unshare --user --net) is not allowed")
    return "; ".join(lacks)


def _gone_out(trace: str, loopback: bool) -> list[str]:
    """The lines of a trace that speak of other machines, or of programs that fetch.

    Args:
        trace: what strace wrote.
        loopback: whether this machine, by the network, is no other machine.
    """
    found = []
    for line in trace.splitlines():
        program = _PROGRAM.search(line)
        fetches = program and (program[1] in PROGRAMS or '"pip"' in program[2])
        here = loopback and _LOOPBACK.search(line) and not _NAMES.search(line)
        if (_OUTSIDE.search(line) and not here) or (fetches and "= 0" in line):
            found.append(line)
    return found
