"""Time to build the report of a long run, its size, and how fast a browser opens it and moves through its epochs.

    python benchmarks/report_page.py --epochs 200 --mosaics 3 --side 1280

A run folder is made of as many epochs and mosaics, each with labels and predictions, in `history/`, with a ledger.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np
import yaml
from common import REPO, machine

sys.path.append(str(REPO / "tests"))

CELLS = 4
METRICS = ("train/box_loss", "train/cls_loss", "val/box_loss", "val/cls_loss", "metrics/mAP50(B)")


def backdrop(side: int, seed: int) -> np.ndarray:
    """Return a picture that compresses about as a mosaic of photographs does."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (CELLS * 6, CELLS * 6, 3), dtype=np.uint8)
    smooth = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC).astype(np.int16)
    return (smooth + random.integers(-9, 10, (side, side, 3))).clip(0, 255).astype(np.uint8)


def make_run(folder: Path, epochs: int, mosaics: int, side: int, changing: bool) -> int:
    """Make a run folder; returns the bytes of its pictures."""
    from aigp_lightning.media.ledger.ledger import Entry, Ledger

    folder.mkdir(parents=True)
    config = {key: {} for key in ("seed_everything", "trainer", "model", "data", "run", "media", "ckpt_path")}
    (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    rows = [",".join(["epoch", *METRICS])]
    for epoch in range(epochs):
        rows.append(",".join([str(epoch + 1), *(f"{1 / (epoch + 2 + n):.5f}" for n in range(len(METRICS)))]))
    (folder / "results.csv").write_text("\n".join([*rows, ""]), encoding="utf-8")
    ledger, backdrops, total = Ledger(folder / "media.jsonl"), [backdrop(side, n) for n in range(mosaics)], 0
    for epoch in range(epochs):
        kept = folder / "history" / f"epoch{epoch:04d}"
        kept.mkdir(parents=True)
        for number, picture in enumerate(backdrops):
            for kind in ("labels", "pred"):
                canvas = picture.copy()
                moved = epoch if kind == "pred" or changing else 0
                for cell in range(CELLS * CELLS):
                    x, y = cell % CELLS * side // CELLS + 9 + moved % 40, cell // CELLS * side // CELLS + 9 + moved % 23
                    cv2.rectangle(canvas, (x, y), (x + side // 8, y + side // 9), (40, 220, 40), 3)
                data = cv2.imencode(".jpg", canvas, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
                name, total = f"val_batch{number}_{kind}.jpg", total + len(data)
                (kept / name).write_bytes(data)
                facts = sha256(data).hexdigest(), len(data), epoch, epoch, []
                ledger.add(Entry(f"val_{kind}", name[:-4], name, *facts, "file", "written"))
    ledger.close()
    return total


SCRUB = """
const done = arguments[0], slider = document.querySelector("#epoch"), times = [];
let at = 0;
const step = () => {
    if (at > Number(slider.max)) { done(times); return; }
    const began = performance.now();
    slider.value = at++;
    slider.dispatchEvent(new Event("input", {bubbles: true}));
    requestAnimationFrame(() => requestAnimationFrame(() => { times.push(performance.now() - began); step(); }));
};
step();"""
"""Moves the slider through all epochs; the time of a step ends when the frame after it is drawn."""


def in_browser(page: Path, folder: Path) -> str:
    """Return how long a page takes to open, and to show the next epoch, in the system's Chromium."""
    from browser import browser, missing_browser, open_page

    if missing := missing_browser():
        return missing
    with browser(folder) as driver:
        opened = open_page(driver, page)
        driver.set_script_timeout(300)
        times = sorted(driver.execute_async_script(SCRUB))
        middle, worst = times[len(times) // 2], times[-1]
        return f"browser: open in {opened:.2f} s; a step of {len(times)}: {middle:.0f} ms, {worst:.0f} ms at most"


def main() -> None:
    """Print a line for the run, for the report, and for the browser."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--mosaics", type=int, default=3)
    parser.add_argument("--side", type=int, default=1280)
    parser.add_argument("--max-mb", type=float, default=20.0)
    parser.add_argument("--changing-labels", action="store_true", help="as if the labels' mosaics were never the same")
    parser.add_argument("--keep", help="write the page here")
    options = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as name:
        run, page = Path(name) / "run", Path(options.keep or Path(name) / "report.html")
        total = make_run(run, options.epochs, options.mosaics, options.side, options.changing_labels)
        count = options.epochs * options.mosaics * 2
        print(f"run: {count} mosaics of {options.side} pixels, {total / 1e6:.0f} MB", flush=True)
        from aigp_lightning.report.page.render import write_page
        from aigp_lightning.report.payload import ReportOptions, build_report

        began = time.perf_counter()
        report = build_report([run], ReportOptions(max_mb=options.max_mb))
        built, pictures = time.perf_counter() - began, len(report.pictures)
        write_page(page, report.payload, report.files())
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"report: {built:.1f} s, and {time.perf_counter() - began - built:.1f} s to write, {pictures} pictures, "
            f"{page.stat().st_size / 1e6:.1f} MB, {peak:.0f} MiB of memory at most"
        )
        print(*report.payload["notes"], sep="\n", flush=True)
        print(in_browser(page, Path(name)))


if __name__ == "__main__":
    main()
