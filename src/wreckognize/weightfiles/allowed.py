"""The names that a pickle checkpoint may call for: each one whole, no prefixes.

A checkpoint of Ultralytics is a pickled network, so it names the classes of its layers. None of them is built from it:
`wreckognize.detectors.checkpoint` puts an empty stand-in under every name below, reads the description of the layers
and the tensors, and has the library build the network anew. So a name here gives a file no power; it only says that
such a file is a checkpoint of the kind we read.

The classes are those that ``ultralytics.nn.modules`` exports and those its blocks are made of (8.4.190), under the
paths that published checkpoints give them: until 8.0.81 all lay in ``ultralytics.nn.modules`` itself. What torch's own
``weights_only`` reader would take besides (sparse, nested and quantised tensors, subclasses of tensors) no detector
needs, so it is not taken.
"""

from __future__ import annotations

_BLOCKS = (
    "A2C2f AAttn ABlock AConv ADown Attention Bottleneck BottleneckCSP C1 C2 C2PSA C2f C2fAttn C2fCIB C2fPSA C3 "
    "C3Ghost C3TR C3f C3k C3k2 C3x CBFuse CBLinear CIB DFL ELAN1 GhostBottleneck HGBlock HGStem MaxSigmoidAttnBlock "
    "PSA PSABlock Proto RepBottleneck RepC3 RepCSP RepNCSPELAN4 RepVGGDW ResNetBlock ResNetLayer SCDown SPP SPPELAN "
    "SPPF Silence"
)
_CONVS = (
    "CBAM ChannelAttention Concat Conv Conv2 ConvTranspose DWConv DWConvTranspose2d Focus GhostConv Index LightConv "
    "RepConv SpatialAttention"
)
_HEADS = "Classify Detect OBB Pose RTDETRDecoder Segment WorldDetect v10Detect"
_TRANSFORMERS = "AIFI LayerNorm2d MLP MLPBlock TransformerBlock TransformerEncoderLayer TransformerLayer"
_MODELS = (
    "ClassificationModel DetectionModel OBBModel PoseModel RTDETRDetectionModel SegmentationModel WorldModel "
    "YOLOv10DetectionModel"
)

_LAYERS = {
    "ultralytics.nn.modules": f"{_BLOCKS} {_CONVS} {_HEADS} {_TRANSFORMERS}",
    "ultralytics.nn.modules.block": _BLOCKS,
    "ultralytics.nn.modules.conv": _CONVS,
    "ultralytics.nn.modules.head": _HEADS,
    "ultralytics.nn.modules.transformer": _TRANSFORMERS,
    "ultralytics.nn.modules.activation": "AGLU",
    "ultralytics.nn.tasks": _MODELS,
    "torch.nn.modules.activation": (
        "ELU GELU Hardsigmoid Hardswish LeakyReLU Mish MultiheadAttention PReLU ReLU ReLU6 Sigmoid SiLU Softmax "
        "Softplus Tanh"
    ),
    "torch.nn.modules.batchnorm": "BatchNorm1d BatchNorm2d SyncBatchNorm",
    "torch.nn.modules.container": "ModuleDict ModuleList ParameterList Sequential",
    "torch.nn.modules.conv": "Conv1d Conv2d ConvTranspose2d",
    "torch.nn.modules.dropout": "Dropout Dropout2d",
    "torch.nn.modules.flatten": "Flatten",
    "torch.nn.modules.linear": "Identity Linear NonDynamicallyQuantizableLinear",
    "torch.nn.modules.loss": "BCELoss BCEWithLogitsLoss CrossEntropyLoss",
    "torch.nn.modules.normalization": "GroupNorm LayerNorm",
    "torch.nn.modules.padding": "ZeroPad2d",
    "torch.nn.modules.pooling": "AdaptiveAvgPool2d AdaptiveMaxPool2d AvgPool2d MaxPool2d",
    "torch.nn.modules.upsampling": "Upsample UpsamplingNearest2d",
}
_RECORDS = {
    "ultralytics.utils": "IterableSimpleNamespace",
    "ultralytics.yolo.utils": "IterableSimpleNamespace",
    "ultralytics.utils.loss": "BboxLoss DFLoss E2EDetectLoss E2ELoss v10DetectLoss v8DetectionLoss",
    "ultralytics.utils.tal": "TaskAlignedAssigner",
}


def _names(table: dict[str, str]) -> frozenset[str]:
    return frozenset(f"{module}.{name}" for module, names in table.items() for name in names.split())


LAYERS = _names(_LAYERS)
"""Classes of layers and networks. A checkpoint makes objects of them and gives them their state."""

RECORDS = _names(_RECORDS)
"""Other classes that it makes objects of: settings and losses of the training."""

FUNCTIONS = frozenset(
    {
        "_codecs.encode",  # how protocol 2 writes bytes
        "builtins.getattr",  # a layer's `forward`, by name; see `pickles`
        "builtins.set",
        "collections.OrderedDict",
        "numpy._core.multiarray.scalar",
        "numpy.core.multiarray.scalar",
        "numpy.dtype",
        "pathlib.PosixPath",
        "pathlib.WindowsPath",
        "pathlib._local.PosixPath",
        "pathlib._local.WindowsPath",
        "torch.Size",
        "torch._utils._rebuild_parameter",
        "torch._utils._rebuild_tensor_v2",
        "torch.device",
    }
)
"""What it calls. `wreckognize.weightfiles.pickles` says with which arguments."""

STORAGES = {
    "torch.BFloat16Storage": 2,
    "torch.BoolStorage": 1,
    "torch.ByteStorage": 1,
    "torch.CharStorage": 1,
    "torch.DoubleStorage": 8,
    "torch.FloatStorage": 4,
    "torch.HalfStorage": 2,
    "torch.IntStorage": 4,
    "torch.LongStorage": 8,
    "torch.ShortStorage": 2,
}
"""Kinds of tensor data, and the bytes of one value."""

DTYPES = frozenset(
    f"torch.{name}"
    for name in ["bfloat16", "bool", "float16", "float32", "float64", "int16", "int32", "int64", "int8", "uint8"]
)

ALLOWED = LAYERS | RECORDS | FUNCTIONS | STORAGES.keys() | DTYPES
"""Every name that may stand in a checkpoint."""

STAND_INS = LAYERS | RECORDS | {name for name in FUNCTIONS if name.startswith(("numpy.", "pathlib."))}
"""Names whose stand-in is an empty class; `builtins.getattr` has one that is a function."""

BLOCKS_OF_A_NETWORK = frozenset(f"{_BLOCKS} {_CONVS} {_HEADS} {_TRANSFORMERS}".split()) - {"Silence"} | {
    "nn.Identity", "nn.Upsample", "nn.MaxPool2d", "nn.ZeroPad2d", "nn.BatchNorm2d", "nn.ConvTranspose2d",
}  # fmt: skip
"""Names of layers that a description of a network may give. `TorchVision` is not among them: it downloads weights."""
