"""Checkpoints, good ones and planted ones, written without any help of what is to be tested.

Every planted program wants the same: to make a file, the canary. So a test sees whether anything ran.
"""

from __future__ import annotations

import io
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

HEAD, STOP = b"\x80\x02", b"."


def name(module: str, attribute: str) -> bytes:
    """GLOBAL: push what a module calls so."""
    return b"c" + module.encode() + b"\n" + attribute.encode() + b"\n"


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def number(value: int) -> bytes:
    return b"\x8a\x08" + value.to_bytes(8, "little", signed=True)


def numbers(*values: int) -> bytes:
    return b"(" + b"".join(map(number, values)) + b"t"


def call(module: str, attribute: str, *arguments: bytes) -> bytes:
    return name(module, attribute) + b"(" + b"".join(arguments) + b"tR"


def touch(canary: Path) -> bytes:
    """A call that makes the canary."""
    return call("posix", "system", text(f"touch '{canary}'"))


def storage(key: str, count: int) -> bytes:
    kind = name("torch", "FloatStorage")
    return b"(" + text("storage") + kind + text(key) + text("cpu") + number(count) + b"tQ"


def tensor(count: int, offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> bytes:
    parts = storage("0", count) + number(offset) + numbers(*size) + numbers(*stride) + b"\x89"
    return call("torch._utils", "_rebuild_tensor_v2", parts, call("collections", "OrderedDict"))


def holding(value: bytes) -> bytes:
    """A pickle of ``{"model": value}``."""
    return HEAD + b"}" + text("model") + value + b"s" + STOP


def archive(path: Path, pickled: bytes, *, parts: dict[str, bytes] | None = None, **options: Any) -> Path:
    """A zip as torch writes it, with one float in the data ``0`` if nothing else is said."""
    with zipfile.ZipFile(path, "w", **options) as file:
        file.writestr("archive/data.pkl", pickled)
        for part, data in (parts if parts is not None else {"data/0": bytes(4)}).items():
            file.writestr(f"archive/{part}" if "//" not in part else part.replace("//", "/"), data)
    return path


def harmless(path: Path) -> Path:
    """A checkpoint that holds no network, and nothing else that could be refused."""
    return archive(path, pickle.dumps({"epoch": -1, "model": None}, protocol=2))


class Runs:
    """Unpickled by Python itself it runs a command."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        import os

        return os.system, (f"touch '{self.canary}'",)


def planted_pickles(canary: Path) -> Iterator[tuple[str, bytes, str]]:
    """What it is called, the pickle, and a word that the refusal must say."""
    command = f"touch '{canary}'"
    code = f"__import__('pathlib').Path({str(canary)!r}).touch()"
    conv = name("torch.nn.modules.conv", "Conv2d")
    yield "os.system", holding(touch(canary)), "posix.system"
    yield "os.system, as Python writes it", pickle.dumps({"model": Runs(canary)}, protocol=2), "posix.system"
    yield "os.system, protocol 4", pickle.dumps({"model": Runs(canary)}, protocol=4), "posix.system"
    yield "os.system, protocol 0", pickle.dumps({"model": Runs(canary)}, protocol=0), "posix.system"
    yield "subprocess", holding(call("subprocess", "check_output", text(command))), "subprocess.check_output"
    yield "eval", holding(call("builtins", "eval", text(code))), "builtins.eval"
    yield "exec, by its old name", holding(call("__builtin__", "exec", text(code))), "builtins.exec"
    yield "import", holding(call("builtins", "__import__", text("os"))), "builtins.__import__"
    yield "runpy", holding(call("runpy", "run_path", text(str(canary)))), "runpy.run_path"
    within = conv + b")\x81}" + text("hook") + touch(canary) + b"sb"
    yield "in the state of a layer", holding(within), "posix.system"
    deep = b"(" * 50 + touch(canary) + b"t" * 50
    yield "fifty tuples deep", holding(deep), "posix.system"
    key = HEAD + b"}" + touch(canary) + b"Ns" + STOP
    yield "as a key", key, "posix.system"
    nested = call("functools", "partial", name("posix", "system"), text(command)) + b")R"
    yield "nested reduce with partial", holding(nested), "functools.partial"
    chained = call("operator", "methodcaller", text("system"), text(command)) + b"(" + name("os", "sys") + b"tR"
    yield "operator", holding(chained), "operator.methodcaller"
    loaded = call("torch.storage", "_load_from_bytes", b"U\x00")
    yield "a pickle in a pickle, read by torch", holding(loaded), "torch.storage._load_from_bytes"
    yield "torch.load", holding(call("torch", "load", text("other.pt"))), "torch.load"
    yield "torch.hub", holding(call("torch.hub", "load", text("owner/repo"), text("model"))), "torch.hub.load"
    dotted = call("torch.nn.modules.conv", "torch.hub.load", text("owner/repo"))
    yield "an unknown name in a known module", holding(dotted), "torch.nn.modules.conv.torch.hub.load"
    other = call("torch.nn.modules.module", "_addindent", text("a"), number(1))
    yield "a function beside the layers", holding(other), "torch.nn.modules.module._addindent"
    download = call("ultralytics.utils.downloads", "attempt_download_asset", text("yolo26n.pt"))
    yield "a function of the library", holding(download), "attempt_download_asset"
    yield (
        "its own loader",
        holding(call("ultralytics.nn.tasks", "torch_safe_load", text("a.pt"))),
        "torch_safe_load",
    )
    weird = call("ultralytics.nn.modules.block", "TorchVision", text("resnet18"))
    yield "a layer that downloads", holding(weird), "TorchVision"
    module = call("builtins", "getattr", name("os", "sys"), text("system"))
    yield "getattr of a module", holding(module), "os.sys"
    dunder = call("builtins", "getattr", conv, text("__globals__"))
    yield "getattr of what is no method", holding(dunder), "builtins.getattr"
    made_up = call("builtins", "getattr", conv, text("forward")) + b")R"
    yield "a call of what getattr gave", holding(made_up), "made up"
    constructed = call("torch.nn.modules.conv", "Conv2d", number(2**30), number(2**30), number(9))
    yield "a constructor with arguments", holding(constructed), "a call of torch.nn.modules.conv.Conv2d"
    yield "a class that is changed", holding(conv + b"}" + text("forward") + b"Nsb"), "a state"
    yield "a tensor that is changed", holding(tensor(1, 0, (1,), (1,)) + b"}" + text("x") + b"Nsb"), "a state"
    yield "an extension", holding(b"\x82\x01"), "copyreg extension"
    yield "INST", HEAD + b"(" + text(command) + b"iposix\nsystem\n" + STOP, "posix.system"
    by_memo = (
        HEAD
        + text("posix")
        + b"q\x00"
        + text("system")
        + b"q\x010h\x00h\x01\x93"
        + text(command)
        + b"\x85R"
        + STOP
    )
    yield "a name from the memory", by_memo, "posix.system"
    yield "OBJ", HEAD + b"(" + conv + b"o" + STOP, "OBJ"
    yield "a second pickle behind", holding(b"N") + holding(touch(canary)), "behind its end"
    yield "bytes behind", holding(b"N") + b"PK\x03\x04", "behind its end"
    yield "cut off", holding(conv)[:-4], "damage"
    yield "an empty stack", HEAD + b"R" + STOP, "damage"
    yield "other data", holding(b"(" + text("module") + text("a") + b"tQ"), "no tensor"
    numpy_load = call("numpy", "load", text("a.npy"))
    yield "numpy.load", holding(numpy_load), "numpy.load"
    subclass = call("torch._tensor", "_rebuild_from_type_v2", name("posix", "system"), conv, text(command), b"}")
    yield "a tensor of any type", holding(subclass), "_rebuild_from_type_v2"


def oversized_pickles() -> Iterator[tuple[str, bytes, str]]:
    """Tensors that are larger than their data."""
    yield "more values than there are", holding(storage("0", 2**40)), "where the file holds 4"
    yield "fewer values than there are", holding(storage("0", 0)), "where the file holds 4"
    yield "data that is not there", holding(storage("7", 1)), "where the file holds 0"
    yield "a large tensor over one value", holding(tensor(1, 0, (2**20, 2**20), (1, 1))), "_rebuild_tensor_v2"
    yield "one value spread over a terabyte", holding(tensor(1, 0, (2**38,), (0,))), "_rebuild_tensor_v2"
    yield "a tensor behind its data", holding(tensor(1, 2**40, (1,), (1,))), "_rebuild_tensor_v2"
    yield "a tensor before its data", holding(tensor(1, -1, (1,), (1,))), "_rebuild_tensor_v2"
    yield "a negative side", holding(tensor(1, 0, (-5,), (1,))), "_rebuild_tensor_v2"
    yield "sides and steps that differ", holding(tensor(1, 0, (1, 1), (1,))), "_rebuild_tensor_v2"
    yield (
        "two descriptions",
        HEAD + b"]" + storage("0", 1) + b"a" + storage("0", 2) + b"a" + STOP,
        "two descriptions",
    )


def planted_files(folder: Path, canary: Path) -> Iterator[tuple[str, Path, str]]:
    """Files that are laid out in a way that no checkpoint is, each with a program where there is room for one."""
    bad, good = holding(touch(canary)), holding(b"N")

    def made(label: str, word: str, write: Callable[[Path], object]) -> tuple[str, Path, str]:
        path = folder / f"{label.replace(' ', '-')}.pt"
        write(path)
        return label, path, word

    yield made("a part of another name", "posix.system", lambda p: archive(p, good, parts={"other.pkl": bad}))
    yield made("a pickle called version", "posix.system", lambda p: archive(p, good, parts={"other/version": bad}))
    yield made("two folders", "posix.system", lambda p: archive(p, good, parts={"second//data.pkl": bad}))
    yield made("doubled parts", "several parts called archive/data.pkl", lambda p: _doubled(p, good, bad))
    yield made("compressed", "compressed", lambda p: archive(p, good, compression=zipfile.ZIP_DEFLATED))
    yield made("a bomb", "compressed", lambda p: _bomb(p, good))
    yield made("overlapping parts", "overlap", lambda p: _overlapping(p, good))
    yield made("something before it", "not a checkpoint", lambda p: p.write_bytes(b"MZ" + _bytes(good)))
    yield made("a zip within a zip", "parts overlap or begin", lambda p: p.write_bytes(_bytes(bad) + _bytes(good)))
    yield made("cut off in the middle", "cut-off", lambda p: p.write_bytes(_bytes(good)[: len(_bytes(good)) // 2]))
    yield made("another name inside", "damaged", lambda p: p.write_bytes(_renamed(_bytes(good))))
    yield made("flipped bits", "damaged", lambda p: p.write_bytes(_bytes(good).replace(b"model", b"mydel")))
    yield made("other byte order", "byte order", lambda p: archive(p, good, parts={"byteorder": b"big"}))
    yield made("no pickle", "without data.pkl", _without_pickle)
    yield made("nothing", "not a checkpoint", lambda p: p.write_bytes(b""))
    yield made("an html page", "not a checkpoint", lambda p: p.write_text("<html>Not Found</html>"))
    yield made("a bare pickle", "posix.system", lambda p: p.write_bytes(bad))
    yield made("a legacy tar", "posix.system", lambda p: _tar(p, bad))
    yield made("torchscript", "TorchScript", _torchscript)
    yield made("a package", "torch.package", lambda p: _package(p, canary))
    yield made("a legacy file of torch", "posix.system", lambda p: _legacy(p, canary))
    yield made("a good legacy file", "before 2020", _good_legacy)


def _bytes(pickled: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as file:
        file.writestr("archive/data.pkl", pickled)
    return target.getvalue()


def _doubled(path: Path, good: bytes, bad: bytes) -> None:
    import warnings

    with zipfile.ZipFile(path, "w") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python says that it is odd
        for pickled in (good, bad, good):
            file.writestr("archive/data.pkl", pickled)


def _bomb(path: Path, good: bytes) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/data.pkl", good)
        file.writestr("archive/data/0", bytes(2**26))


def _overlapping(path: Path, good: bytes) -> None:
    """Two entries of the directory that point at one place in the file."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", good)
        file.writestr("archive/data/0", bytes(4))
        file.infolist()[1].header_offset = 0


def _renamed(data: bytes) -> bytes:
    """The name before the part is not the one in the directory: readers differ in which they believe."""
    return data.replace(b"archive/data.pkl", b"archive/other.pk", 1)


def _without_pickle(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data/0", bytes(4))


def _tar(path: Path, bad: bytes) -> None:
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as file:
        for part in ("storages", "tensors", "pickle"):
            info = tarfile.TarInfo(part)
            info.size = len(bad)
            file.addfile(info, io.BytesIO(bad))


def _torchscript(path: Path) -> None:
    import warnings

    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(torch.nn.ReLU(), torch.zeros(1)), path)


def _package(path: Path, canary: Path) -> None:
    from torch.package import PackageExporter

    with PackageExporter(path) as exporter:
        exporter.save_source_string("layer", f"open({str(canary)!r}, 'w')\nclass Layer: pass\n")
        exporter.save_pickle("model", "model.pkl", {"a": 1})


def _legacy(path: Path, canary: Path) -> None:
    import torch

    torch.save({"model": Runs(canary)}, path, _use_new_zipfile_serialization=False)


def _good_legacy(path: Path) -> None:
    import torch

    torch.save({"model": None, "weight": torch.zeros(2)}, path, _use_new_zipfile_serialization=False)
