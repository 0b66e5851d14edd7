"""Weights files of strangers: what is in them, told without running or building anything.

    archives   the zip that torch writes: which parts it has, and that they are what they say
    pickles    the pickle inside: which names it calls for, and that they are called as a checkpoint does
    allowed    the names that a checkpoint of a YOLO network needs; any other is refused
    graphs     ONNX files: that they read no other file
    exported   the ONNX files of detectors: what goes in and comes out, names of classes
    trust      ``sha256:...``: the one way past

Needs neither torch nor Ultralytics, so that a study is checked, and refused, before they are imported.
"""

from wreckognize.weightfiles.archives import CheckpointRefused, Refusal, clean_archive, refusal_of
from wreckognize.weightfiles.exported import ExportedGraph, exported_graph, is_graph, read_exported
from wreckognize.weightfiles.graphs import require_whole
from wreckognize.weightfiles.trust import TRUST, hash_of, refused_checkpoint, trusted

__all__ = [
    "TRUST",
    "CheckpointRefused",
    "ExportedGraph",
    "Refusal",
    "clean_archive",
    "exported_graph",
    "hash_of",
    "is_graph",
    "read_exported",
    "refusal_of",
    "refused_checkpoint",
    "require_whole",
    "trusted",
]
