"""How long a mosaic takes to draw, encode and write: ours against Ultralytics' `plot_images` at the same size.

Sixteen square images with eight boxes each, predictions with confidences and file names, become one JPEG of the images'
own resolution. Ours begins with the batch as it is loaded (uint8), Ultralytics with the floats that its trainer hands
over; both write the file. Ours is of quality 95 with colour at full resolution, Ultralytics' of PIL's quality 75. One
process, one thread each, in alternating rounds. Ultralytics would fetch a font; here it is given the one that comes
with Matplotlib. The target: no longer than Ultralytics.

    python benchmarks/media_draw.py --images photos/images --json draw.json
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from common import environment, machine, quiet_reference, worker, write_json

CELLS = 16
BOXES = 8
NAMES = {number: f"class {number}" for number in range(8)}
SUFFIXES = (".jpg", ".jpeg", ".png")


def read_images(folder: Path | None, size: int) -> Any:
    """Read photographs, letterboxed; or make pictures of soft shades, edges and grain.

    Args:
        folder: of images, in this order; fewer than sixteen are repeated. None to make them.
        size: side, pixels.

    Returns:
        (16, 3, size, size) uint8 RGB.

    Raises:
        SystemExit: the folder has no images.
    """
    import cv2
    import numpy as np

    batch = np.full((CELLS, size, size, 3), 114, np.uint8)
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES) if folder else []
    if folder and not files:
        raise SystemExit(f"no images in {folder}")
    rng = np.random.default_rng(0)
    for number, cell in enumerate(batch):
        if files:
            data = np.fromfile(files[number % len(files)], np.uint8)
            image = cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
            scale = size / max(image.shape[:2])
            height, width = (max(round(side * scale), 1) for side in image.shape[:2])
            top, left = (size - height) // 2, (size - width) // 2
            resized = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
            cell[top : top + height, left : left + width] = resized
        else:
            shades = [(cells, rng.random((cells, cells, 3)) * depth) for cells, depth in ((4, 110), (20, 60), (90, 50))]
            layers = [cv2.resize(shade, (size, size), interpolation=cells % 3) for cells, shade in shades]
            cell[...] = sum(layers) + rng.random((size, size, 3)) * 8
    return np.ascontiguousarray(batch.transpose(0, 3, 1, 2))


def sides(images: Any, folder: Path) -> dict[str, Callable[[], Callable[[], object]]]:
    """Both sides: each call gets its arguments ready and returns what is to be timed, a function that writes a file."""
    import numpy as np
    import torch
    from ultralytics.utils.plotting import plot_images

    from aigp_lightning.media.encode import encode
    from aigp_lightning.media.plots.mosaic import Cell, draw_mosaic

    size, rng, count = images.shape[2], np.random.default_rng(1), CELLS * BOXES
    centre, extent = rng.uniform(0.2, 0.8, (count, 2)), rng.uniform(0.05, 0.35, (count, 2))
    cls, conf = rng.integers(0, len(NAMES), count), rng.uniform(0.3, 1, count).astype(np.float32)
    xyxy = (np.concatenate((centre - extent / 2, centre + extent / 2), 1) * size).reshape(CELLS, BOXES, 4)
    files = [f"{number:012d}.jpg" for number in range(CELLS)]
    floats = torch.from_numpy(images).float() / 255

    def ours() -> Callable[[], object]:
        def draw() -> None:
            rows = zip(images, xyxy, cls.reshape(CELLS, -1), conf.reshape(CELLS, -1), files, strict=True)
            cells = [Cell(i.transpose(1, 2, 0), b, c, s, None, f) for i, b, c, s, f in rows]
            (folder / "ours.jpg").write_bytes(encode(draw_mosaic(cells, NAMES), ".jpg"))

        return draw

    def theirs() -> Callable[[], object]:
        boxes = np.concatenate((centre, extent), 1).astype(np.float32)
        labels = {"cls": cls.copy(), "bboxes": boxes, "conf": conf, "batch_idx": np.repeat(np.arange(CELLS), BOXES)}
        batch, fname = floats.clone(), folder / "ultralytics.jpg"  # it scales both in place
        options = {"paths": files, "fname": fname, "names": NAMES, "max_size": 4 * size, "threaded": False}
        return lambda: plot_images(labels, batch, **options)

    return {"ours": ours, "ultralytics": theirs}


def measure(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """Time both sides on every size.

    Returns:
        For each size: seconds of every call, the written pictures' width, height and bytes, and the ratio.
    """
    import aigp_lightning  # noqa: F401  before anything that looks for the network

    quiet_reference()
    import cv2
    import matplotlib
    import torch
    import ultralytics.utils.plotting

    from aigp_lightning.media.encode import picture_size

    font = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    ultralytics.utils.plotting.check_font = lambda *_, **__: font
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    folder, results = Path(spec["folder"]), []
    for size in spec["sizes"]:
        calls = sides(read_images(Path(spec["images"]) if spec["images"] else None, size), folder)
        seconds: dict[str, list[float]] = {name: [] for name in calls}
        for number in range(-spec["warmup"], spec["rounds"]):
            for name in calls if number % 2 else reversed(calls):
                draw = calls[name]()
                start = time.perf_counter()
                draw()
                if number >= 0:
                    seconds[name].append(time.perf_counter() - start)
        written = {name: (folder / f"{name}.jpg").read_bytes() for name in calls}
        results.append(summary(size, seconds, {n: (*picture_size(data), len(data)) for n, data in written.items()}))
    return results


def summary(size: int, seconds: dict[str, list[float]], pictures: dict[str, Sequence[int]]) -> dict[str, Any]:
    """Put one size's figures together; the ratio is the median of the rounds' own."""
    ratios = [ours / theirs for ours, theirs in zip(seconds["ours"], seconds["ultralytics"], strict=True)]
    middle = {name: median(values) for name, values in seconds.items()}
    found = {"cell": size, "seconds": seconds, "median": middle, "pictures": pictures}
    return {**found, "ratio": median(ratios), "ratio_range": [min(ratios), max(ratios)]}


def print_table(result: dict[str, Any]) -> None:
    """Print the result as a Markdown table."""
    print(
        f"{result['machine']}\n\n| cells | side | picture | MB | ms, median | min to max |\n|---|---|---|---|---|---|"
    )
    for found in result["sizes"]:
        for name, values in found["seconds"].items():
            width, height, size = found["pictures"][name]
            place = f"{CELLS} of {found['cell']} px | {name} | {width}x{height} | {size / 1e6:.2f}"
            span = f"{1e3 * min(values):.1f} to {1e3 * max(values):.1f}"
            print(f"| {place} | {1e3 * found['median'][name]:.1f} | {span} |")
    print()
    for found in result["sizes"]:
        low, high = found["ratio_range"]
        text = f"{found['ratio']:.2f} (by round {low:.2f} to {high:.2f}; target: at most 1)"
        print(f"{found['cell']} px, time ours / ultralytics: {text}")


def main() -> None:
    """Measure in a fresh process, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, help="folder of photographs; without it pictures are made")
    parser.add_argument("--sizes", type=int, nargs="+", default=[640, 160], help="sides of the cells, pixels")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--warmup", type=int, default=2, help="rounds that are not counted")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        spec = json.loads(args.worker.read_text(encoding="utf-8"))
        write_json(args.worker, {"result": measure(spec)})
        return
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temp:
        spec = {"sizes": args.sizes, "rounds": args.rounds, "warmup": args.warmup, "folder": temp}
        spec["images"] = str(args.images.resolve()) if args.images else None
        folder = Path(temp)
        sizes = worker(__file__, spec, environment(folder / "settings", 1), folder, "media_draw")
    result = {"machine": machine(threads=1), "rounds": args.rounds, "sizes": sizes}
    print_table(result)
    if args.json:
        write_json(args.json, result)


if __name__ == "__main__":
    main()
