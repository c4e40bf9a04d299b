"""What `deploy/runtime.py` takes beside the network: a frame into the input, and the answer to boxes, corners, poses.

By default on a graph that answers the same four gates of eight corners to every frame, each found by several of the
8,400 candidates of a 640-pixel YOLO, so that next to nothing is left of the network; `--model FILE` takes an exported
file and frames of noise. One thread each for OpenCV, NumPy and ONNX Runtime. Wall times beside the processor's own,
which say more on a busy machine. The target: pre and post together at most 2 ms.

    python benchmarks/runtime_overhead.py
    python benchmarks/runtime_overhead.py --model best.onnx --sizes 1280x720 --frames 500
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from common import machine, write_json

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""Variables that libraries read when they are imported."""

CANDIDATES, AROUND, SIZE = 8400, 12, 640
PLACES = ((0.0, 0.0, 5.0), (2.0, 0.3, 7.0), (-3.0, -0.5, 9.0), (1.0, -1.0, 14.0))
PROFILE = "ts-005"


def gates() -> Any:
    """Return (29, 8400) what a network with one class and eight keypoints would answer to four gates."""
    import cv2
    import numpy as np

    from aigp_lightning.data.camera_profiles import PROFILES
    from aigp_lightning.data.targets.built_in import TARGETS

    camera, target, random = PROFILES[PROFILE], np.array(TARGETS["gate-8"]), np.random.default_rng(0)
    answer = random.uniform(0, SIZE, (4 + 1 + 8 * 3, CANDIDATES)).astype(np.float32)
    answer[4] = random.uniform(0, 0.01, CANDIDATES)
    for number, place in enumerate(PLACES):
        turn = cv2.Rodrigues(random.normal(0, 0.2, 3))[0]
        rays = target @ turn.T + place
        pixels = rays[:, :2] / rays[:, 2:] * camera.focal + (camera.width / 2, camera.height / 2)
        pixels[:, 1] += (SIZE - camera.height) / 2
        for column in random.choice(CANDIDATES // 4, AROUND, replace=False) + number * CANDIDATES // 4:
            points = pixels + random.normal(0, 0.4, pixels.shape)
            low, high = points.min(0), points.max(0)
            answer[:4, column] = *((low + high) / 2), *(high - low)
            answer[4, column] = random.uniform(0.4, 0.95)
            answer[5:, column] = np.column_stack((points, random.uniform(0.6, 1, len(points)))).ravel()
    return answer


def write_model(path: Path) -> None:
    """Write the graph by hand, with a contract."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    from aigp_lightning.data.camera_profiles import PROFILES
    from aigp_lightning.data.targets.built_in import TARGETS
    from aigp_lightning.deploy.runtime import seal

    camera = PROFILES[PROFILE]
    focal, middle = {"fx": camera.focal, "fy": camera.focal}, {"cx": camera.width / 2, "cy": camera.height / 2}
    layout, limits = {"family": "any", "layout": "candidates"}, {"conf": 0.25, "keypoint_conf": 0.5}
    fields: dict[str, Any] = {
        "task": "pose",
        "classes": ["gate"],
        "keypoints": {"count": 8, "numbers": 3, "names": [str(n) for n in range(8)], "flip_idx": None},
        "input": {"width": SIZE, "height": SIZE, "dynamic": False, "batch": 1, "axes": "NCHW"},
        "resize": {"rule": "letterbox", "interpolation": "bilinear", "rounding": "up", "grey": 114, "centred": True},
        "colour": "RGB",
        "scaling": {"divide_by": 255},
        "output": {**layout, "boxes": "cxcywh", "unit": "pixels of the input", "nms": True, "agnostic": False},
        "thresholds": {**limits, "iou": 0.7, "reprojection_px": 8.0, "max_det": 300, "chosen": False},
        "camera": {"width": camera.width, "height": camera.height, **focal, **middle, "distortion": []},
        "object_points": [list(point) for point in TARGETS["gate-8"]],
    }
    answer = gates()[None]
    graph = helper.make_graph(
        [helper.make_node("Identity", ["answer"], ["output0"])],
        "gates",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, SIZE, SIZE])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, list(answer.shape))],
        [numpy_helper.from_array(answer, "answer")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    for key, value in seal(fields).items():
        model.metadata_props.add(key=key, value=value)
    onnx.save(model, str(path))


def measure(model: Any, shape: tuple[int, int], frames: int) -> dict[str, Any]:
    """Return milliseconds of each part, and of the processor, median and 95th percentile."""
    import numpy as np

    frame = np.random.default_rng(1).integers(0, 256, (*shape, 3), np.uint8)
    model.warm_up(shape, runs=20)
    rows = []
    for _ in range(frames):
        began = time.thread_time()
        found = model(frame)
        rows.append((*found.timings, found.timings.pre + found.timings.post, time.thread_time() - began))
    values = np.array(rows) * 1e3
    columns = ("pre", "network", "post", "pre + post", "processor, all")
    times = {
        name: {"p50": float(np.median(values[:, place])), "p95": float(np.percentile(values[:, place], 95))}
        for place, name in enumerate(columns)
    }
    return {"found": len(found), "usable": int(found.usable.sum()), **times}


def main() -> None:
    """Print a table, a row for each size of frame."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="an exported .onnx file")
    parser.add_argument("--sizes", nargs="+", default=["1280x720", "1920x1080", "640x360"], help="of frames, pixels")
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    os.environ.update(dict.fromkeys(THREADS, "1"))
    import cv2

    from aigp_lightning.deploy.runtime import Model

    cv2.setNumThreads(1)
    told = machine(1, packages=("numpy", "onnxruntime"))
    print(f"{told}, OpenCV {cv2.__version__}; load {os.getloadavg()[0]:.1f}\n")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(options.model or Path(folder) / "gates.onnx")
        if options.model is None:
            write_model(path)
        model, results = Model.load(path, threads=1), {}
        for size in options.sizes:
            width, height = map(int, size.split("x"))
            results[size] = measure(model, (height, width), options.frames)
    names = [name for name in next(iter(results.values())) if name not in ("found", "usable")]
    print(f"| frame | found, usable | {' | '.join(f'{name}, ms (p95)' for name in names)} |")
    print(f"|---|---|{'---|' * len(names)}")
    for size, row in results.items():
        cells = " | ".join(f"{row[name]['p50']:.2f} ({row[name]['p95']:.2f})" for name in names)
        print(f"| {size} | {row['found']}, {row['usable']} | {cells} |")
    if options.json:
        write_json(options.json, {"machine": told, "frames": options.frames, "sizes": results})


if __name__ == "__main__":
    main()
