"""The usual way: FastAPI that calls the library for each request. ``python service_peer.py WEIGHTS IMGSZ PORT``.

Written as its users write it, and fairly: the model is loaded once and warmed up, the photo is decoded by OpenCV from
memory, the route is a plain function, so FastAPI runs it in its pool of threads, and the answer holds the same facts.
The library looks at one photo at a time: its predictor holds a lock. With ``--load-each-time`` every request loads the
model anew, ``YOLO(weights)(photo)``, as much code that is found does.
"""

from __future__ import annotations

import sys
from typing import Any

import cv2
import numpy as np
import uvicorn
from fastapi import FastAPI, UploadFile

from wreckognize.detectors.ultralytics import import_library

VEHICLES = (2, 5, 7)  # car, bus, truck of COCO


def app(weights: str, imgsz: int, *, load_each_time: bool) -> FastAPI:
    """The service."""
    import_library()  # without its reports and downloads
    from ultralytics import YOLO

    model = YOLO(weights)
    classes = list(VEHICLES) if len(model.names) > 1 else None
    model.predict(np.zeros((imgsz, imgsz, 3), np.uint8), imgsz=imgsz, verbose=False)
    service = FastAPI()

    @service.post("/inspect")
    def inspect(photo: UploadFile) -> dict[str, Any]:
        pixels = cv2.imdecode(np.frombuffer(photo.file.read(), np.uint8), cv2.IMREAD_COLOR)
        used = YOLO(weights) if load_each_time else model
        boxes = used.predict(pixels, imgsz=imgsz, conf=0.1, classes=classes, verbose=False)[0].boxes
        score = float(boxes.conf.max()) if len(boxes) else 0.0
        return {
            "verdict": "vehicle" if score >= 0.1 else "no vehicle",
            "score": score,
            "boxes": boxes.xyxy.tolist(),
            "confidences": boxes.conf.tolist(),
        }

    @service.get("/readyz")
    def ready() -> dict[str, str]:
        return {"status": "ready"}

    return service


if __name__ == "__main__":
    uvicorn.run(
        app(sys.argv[1], int(sys.argv[2]), load_each_time="--load-each-time" in sys.argv),
        port=int(sys.argv[3]),
        log_level="warning",
    )
