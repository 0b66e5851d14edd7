"""``python -m wreckognize.detectors.unpickle CHECKPOINT SHA256 TARGET``: see `wreckognize.detectors.trusted`.

The only place that unpickles a checkpoint, and only one whose bytes somebody vouched for.
"""

from __future__ import annotations

import hashlib
import io
import sys
from pathlib import Path

from wreckognize.detectors.architecture import check_architecture, check_names
from wreckognize.detectors.ultralytics import filled_network, import_library, save_network


def main() -> None:
    """Open the checkpoint named on the command line and leave its tensors and its description."""
    path, digest, target = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != digest:
        raise SystemExit("the file is no longer the one that was trusted")
    import_library()
    import torch

    content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=False)
    network = (content.get("ema") or content.get("model")) if isinstance(content, dict) else content
    if not isinstance(network, torch.nn.Module) or not hasattr(network, "yaml"):
        raise SystemExit(f"what it holds is of type {type(network).__name__}, not a detector of Ultralytics")
    architecture = check_architecture(network.yaml, path)
    names = check_names(getattr(network, "names", None), path)
    model = filled_network(architecture, names, network.state_dict(), path)
    trained_on = f"not known: turned into data from {path.name}, sha256 {digest}, which was trusted"
    save_network(model, target, imgsz=640, trained_on=trained_on, exact=True)


if __name__ == "__main__":
    main()
