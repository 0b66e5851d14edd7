"""ONNX files that read from elsewhere are refused before an engine opens them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from wreckognize.errors import MissingExtraError, WeightsError
from wreckognize.weightfiles import require_whole
from wreckognize.weightfiles.graphs import read_whole

onnx = pytest.importorskip("onnx")


def model(*, location: str | None = None, deep: bool = False, attribute: bool = False):
    """Adds two numbers to its input; they lie in the file ``location`` if one is named."""
    from onnx import TensorProto, helper

    two = helper.make_tensor("two", TensorProto.FLOAT, [2], [1.0, 2.0])
    if location is not None:
        two.ClearField("float_data")
        two.data_location = TensorProto.EXTERNAL
        for key, value in (("location", location), ("offset", "0"), ("length", "8")):
            if value:
                two.external_data.add(key=key, value=value)
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])
    made = helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])
    if attribute:
        nodes, initial = (
            [helper.make_node("Constant", [], ["two"], value=two), helper.make_node("Add", ["x", "two"], ["y"])],
            [],
        )
    else:
        nodes, initial = [helper.make_node("Add", ["x", "two"], ["y"])], [two]
    graph = helper.make_graph(nodes, "g", [] if deep else [given], [made], initial)
    if deep:
        flag = helper.make_tensor("flag", TensorProto.BOOL, [], [True])
        choice = helper.make_node("If", ["flag"], ["z"], then_branch=graph, else_branch=graph)
        end = helper.make_tensor_value_info("z", TensorProto.FLOAT, [2])
        graph = helper.make_graph([choice], "outer", [given], [end], [flag])
    return helper.make_model(graph)


def written(folder, **options):
    path = folder / "model.onnx"
    path.write_bytes(model(**options).SerializeToString())
    return path


@pytest.mark.parametrize(
    "where", [{}, {"deep": True}, {"attribute": True}], ids=["graph", "graph in a graph", "constant"]
)
@pytest.mark.parametrize(
    "location",
    [
        "../secret",
        "/etc/hostname",
        "a/../../secret",
        "C:\\secret",
        "\\\\server\\share",
        "..\\secret",
        "",
        "link",
        "linked/secret",
    ],
)
def test_a_file_outside_its_folder_is_refused(tmp_path, location, where):
    (tmp_path / "secret").write_bytes(bytes(8))
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "a").mkdir()
    (tmp_path / "model" / "link").symlink_to(tmp_path / "secret")
    (tmp_path / "model" / "linked").symlink_to(tmp_path)
    with pytest.raises(WeightsError, match="outside its folder"):
        read_whole(written(tmp_path / "model", location=location, **where))


@pytest.mark.parametrize(
    "where", [{}, {"deep": True}, {"attribute": True}], ids=["graph", "graph in a graph", "constant"]
)
def test_a_whole_file_passes_and_one_with_its_tensors_beside_it_says_how_to_join_them(tmp_path, where):
    path = written(tmp_path, **where)
    data, said = read_whole(path)
    assert data == path.read_bytes()
    assert said.graph.node
    path = written(tmp_path, location="sub/model.data", **where)
    with pytest.raises(WeightsError, match=r"tensors lie in another one: 'sub/model.data'") as refused:
        read_whole(path)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "model.data").write_bytes(bytes(8))
    command = refused.value.remedy.partition('python -c "')[2].removesuffix('"').replace("FILE", "model")
    subprocess.run([sys.executable, "-c", command], cwd=tmp_path, check=True)
    read_whole(tmp_path / "one.onnx")


@pytest.mark.parametrize("where", [{}, {"deep": True}, {"attribute": True}], ids=str)
def test_a_graph_of_our_own_names_no_other_file(tmp_path, where):
    require_whole(model(**where).SerializeToString(), tmp_path)
    with pytest.raises(WeightsError, match="reads from another file"):
        require_whole(model(location="model.data", **where).SerializeToString(), tmp_path)


def test_a_key_whose_length_is_written_longer_than_need_be_is_seen(tmp_path):
    plain = model(location="model.data").SerializeToString()
    key = b"\x0a\x08location"
    assert plain.count(key) == 1
    with pytest.raises(WeightsError, match="reads from another file"):
        require_whole(plain.replace(key, b"\x0a\x88\x00location"), tmp_path)


def test_a_compiled_program_in_a_graph_of_our_own_is_seen(tmp_path):
    from onnx import helper

    graph = helper.make_graph([helper.make_node("EPContext", [], ["y"], domain="com.microsoft")], "g", [], [])
    with pytest.raises(WeightsError, match="reads from another file"):
        require_whole(helper.make_model(graph).SerializeToString(), tmp_path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"<html>", b"\xff" * 100])
def test_what_is_no_graph_is_refused(tmp_path, content):
    (tmp_path / "a.onnx").write_bytes(content)
    with pytest.raises(WeightsError, match="not an ONNX file"):
        read_whole(tmp_path / "a.onnx")


def test_sizes_are_bounded_and_the_package_is_named(tmp_path, monkeypatch):
    from wreckognize.weightfiles import graphs

    path = written(tmp_path)
    monkeypatch.setattr(graphs, "MAX_FILE", 10)
    with pytest.raises(WeightsError, match="larger than"):
        read_whole(path)
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtraError, match="export"):
        read_whole(path)


@pytest.mark.photos
def test_a_published_graph_passes(shared):
    read_whole(shared / "weights" / "yolox_nano.onnx")
