"""What an ONNX file must say to be taken for a detector, before any engine opens it."""

from __future__ import annotations

import sys

import pytest

pytest.importorskip("onnx")

from exported import said, tiny_graph
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from wreckognize.errors import MissingExtraError, WeightsError
from wreckognize.weightfiles import exported_graph, read_exported
from wreckognize.weightfiles.exported import names_of


def written(folder, *changes):
    model = tiny_graph()
    for change in changes:
        change(model)
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def shape(of, *sides):
    """A change of the input's or the output's shape; a text is an open side."""

    def change(model):
        ends = getattr(model.graph, of)
        name, kind = ends[0].name, ends[0].type.tensor_type.elem_type
        del ends[:]
        ends.append(helper.make_tensor_value_info(name, kind, list(sides)))

    return change


def operation(kind, domain="", deep=False):
    """A further operation, within a branch of another if it is deep."""

    def change(model):
        node = helper.make_node(kind, ["images"], ["more"], domain=domain)
        if deep:
            branch = helper.make_graph([node], "b", [], [])
            node = helper.make_node("If", ["flag"], ["more"], then_branch=branch, else_branch=branch)
        model.graph.node.append(node)

    return change


def test_a_graph_says_what_it_takes_and_knows(tmp_path):
    graph = exported_graph(written(tmp_path))
    assert (graph.names, graph.stride, graph.side, graph.batch) == (("car", "boat"), 32, 64, 1)
    assert (graph.input, graph.output, graph.half, graph.precision) == ("images", "output0", False, "float32")
    assert graph.misfit(64) == ""
    assert graph.misfit(640).startswith("64, ")


def test_whole_numbers_in_its_layers_are_told(tmp_path):
    assert exported_graph(written(tmp_path, operation("QuantizeLinear"))).precision == "int8"


def test_open_sides_take_any_multiple_of_the_stride(tmp_path):
    path = written(tmp_path, shape("input", "b", 3, "h", "w"), shape("output", "b", "c", "a"))
    graph = exported_graph(path)
    assert (graph.side, graph.batch) == (None, None)
    assert graph.misfit(640) == ""
    assert "multiple of 32" in graph.misfit(330)


def test_a_file_that_was_changed_is_read_again(tmp_path):
    assert exported_graph(written(tmp_path)).names == ("car", "boat")
    path = written(tmp_path, said(names="['bus', 'lorry, large']"))
    assert exported_graph(path).names == ("bus", "lorry, large")


def outside(model):
    tensor = model.graph.initializer[-1]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../secret")


def second_output(model):
    model.graph.output.append(helper.make_tensor_value_info("output1", TensorProto.FLOAT, [1]))


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (said(names=""), r"without the texts that Ultralytics writes beside a graph \(names\)"),
        (said(names="", task="", stride=""), r"\(task, stride, names\)"),
        (said(task="segment"), "another task than `detect`: 'segment'"),
        (said(stride="thirty"), "no stride"),
        (said(stride="0"), "no stride"),
        (said(end2end="True"), "suppression of doubled boxes built in"),
        (operation("NonMaxSuppression"), "suppression of doubled boxes built in"),
        (operation("NonMaxSuppression", deep=True), "suppression of doubled boxes built in"),
        (shape("output", 1, 300, 6), "suppression of doubled boxes built in"),
        (operation("Own", "my.library"), "not one of ONNX's: my.library::Own"),
        (operation("EPContext", "com.microsoft", deep=True), "com.microsoft::EPContext"),
        (operation("Loop"), "a graph that loops"),
        (operation("Scan", deep=True), "a graph that loops"),
        (outside, "outside its folder: '../secret'"),
        (second_output, "1 inputs and 2 outputs"),
        (shape("input", 1, 3, 64, 96), r"not square: \(1, 3, 64, 96\)"),
        (shape("input", 1, 3, 40, 40), "photos of 40 pixels, at a stride of 32"),
        (shape("input", 1, 3, 2**40, 2**40), "photos of 1099511627776 pixels"),
        (shape("input", 2**40, 3, 64, 64), "for 1099511627776 photos at a time"),
        (shape("input", 1, 1, 64, 64), r"no \(batch, 3, height, width\)"),
        (shape("input", 1, 12288), r"no \(batch, 3, height, width\)"),
        (shape("output", 1, 84, 4), r"no \(batch, 6, candidates\) of floats: \(1, 84, 4\)"),
        (shape("output", 1, 6), r"no \(batch, 6, candidates\)"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason_and_a_way_out(tmp_path, change, word):
    with pytest.raises(WeightsError, match=word) as refused:
        read_exported(written(tmp_path, change))
    assert refused.value.where.endswith("model.onnx")
    assert refused.value.remedy


@pytest.mark.parametrize(
    "text",
    [
        "", "{}", "[]", "car", "{0: car}", "{0: 'car'", "{0: 'car', 0: 'bus'}", "{1: 'car'}", "{00: 'car'}",
        "{0: 'car', 2: 'bus'}",
        "{'0': 'car'}", "['car', 1: 'bus']", "{0: 'car' 1: 'bus'}", "{0: 'car', 'bus'}", "{0: ['car']}", "(0, 'car')",
        "{0: 'a' 'b'}", "{0: b'car'}", "{0: 'ca\\x72'}", "{0: 'car\\'}", "{0: 'two\nlines'}",
        "{0: 'l" + "o" * 100 + "ng'}",
        "{999999: 'car'}", "__import__('os').system('touch canary')", "{0: __import__('os')}", "(" * 50_000,
        "{" * 50_000, "[" + "'a'," * 20_000 + "]", "[" + " " * 2_000_000 + "'a']", "{0: 'a" + "\\" * 99_999 + "'}",
    ],
)  # fmt: skip
def test_names_are_read_by_their_own_grammar_and_never_evaluated(tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WeightsError, match="no names of its classes"):
        names_of(text, tmp_path / "a.onnx")
    assert not list(tmp_path.iterdir())


PRINTABLE = st.text(min_size=0, max_size=30).filter(str.isprintable)


@given(st.lists(PRINTABLE, min_size=1, max_size=20))
def test_names_come_back_as_python_writes_them(tmp_path_factory, names):
    path = tmp_path_factory.getbasetemp() / "a.onnx"
    assert names_of(str(dict(enumerate(names))), path) == tuple(names)
    assert names_of(str(names), path) == tuple(names)
    assert names_of(str(dict(reversed(list(enumerate(names))))), path) == tuple(names)


def test_a_name_that_is_no_text_is_refused(tmp_path):
    path = written(tmp_path)
    spoilt = path.read_bytes().replace(b"images", b"im\xff\xfees")
    path.write_bytes(spoilt)
    with pytest.raises(WeightsError, match="has no name"):
        read_exported(path)


def test_the_package_is_named_where_it_is_missing(tmp_path, monkeypatch):
    path = written(tmp_path)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtraError, match=r"extra \[export\]"):
        read_exported(path)
