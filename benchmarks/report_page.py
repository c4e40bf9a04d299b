"""Time to build the report of a long run, its size, and how fast a browser opens it and moves through its epochs.

    python benchmarks/report_page.py --epochs 200 --mosaics 3 --side 1280

A run folder is made of as many epochs and mosaics, each with labels and predictions, in `history/`, with a ledger. All
pictures differ unless `--same-labels` is given. A step of the slider ends when the epoch's own pictures are on screen.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

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


def hash_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return sha256(path.read_bytes()).hexdigest()


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
                    colour = (40, 220, 40) if kind == "labels" else (220, 60, 40)
                    cv2.rectangle(canvas, (x, y), (x + side // 8, y + side // 9), colour, 3)
                cv2.putText(canvas, f"{kind} {moved}", (9, side - 9), cv2.FONT_HERSHEY_SIMPLEX, 1.0, (255, 255, 255), 2)
                data = cv2.imencode(".jpg", canvas, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
                name, total = f"val_batch{number}_{kind}.jpg", total + len(data)
                (kept / name).write_bytes(data)
                facts = sha256(data).hexdigest(), len(data), epoch, epoch, []
                ledger.add(Entry(f"val_{kind}", name[:-4], name, *facts, "file", "written"))
    ledger.close()
    return total


SCRUB = """
const [epochs, done] = arguments, slider = document.querySelector("#epoch"), times = [];
const shown = (id) => [...document.querySelectorAll(`img[data-picture="${id}"]`)].some(
    (image) => image.complete && image.naturalWidth > 0 && !image.hidden);
const step = (at) => {
    if (at === epochs.length) { done(times); return; }
    const began = performance.now();
    const look = () => {
        if (!epochs[at].every(shown)) { setTimeout(look, 1); return; }
        requestAnimationFrame(() => requestAnimationFrame(() => {
            times.push(performance.now() - began);
            step(at + 1);
        }));
    };
    slider.value = at;
    slider.dispatchEvent(new Event("input", {bubbles: true}));
    look();
};
step(0);"""
"""Moves the slider through all epochs; a step ends when the frame with the epoch's pictures is drawn."""


def load() -> str:
    """Return how busy the machine is: processes that ran or waited to run in the last minute, and its cores."""
    return f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"


def pictures_by_epoch(run: dict[str, Any]) -> list[list[str]]:
    """Return the ids of the pictures that a page shows of each epoch."""
    epochs = sorted({epoch for mosaic in run["mosaics"] for epoch in mosaic["epochs"]})
    which = [pictures for mosaic in run["mosaics"] for pictures in (mosaic["labels"], mosaic["pred"])]
    return [
        [some[str(max(at))] for some in which if (at := [int(one) for one in some if int(one) <= epoch])]
        for epoch in epochs
    ]


def in_browser(page: Path, folder: Path, epochs: list[list[str]]) -> str:
    """Return how long a page takes to open, and to show the next epoch, in the system's Chromium."""
    from browser import browser, drawn_after, missing_browser, open_page

    if missing := missing_browser():
        return missing
    with browser(folder) as driver:
        opened = open_page(driver, page)
        usable = drawn_after(driver)
        driver.set_script_timeout(300)
        times = sorted(driver.execute_async_script(SCRUB, epochs))
        middle, worst = times[len(times) // 2], times[-1]
        return (
            f"browser: usable after {usable:.2f} s, all read after {opened:.2f} s; a step of {len(times)}, until its "
            f"pictures are on screen: {middle:.0f} ms, {worst:.0f} ms at most ({load()})"
        )


def main() -> None:
    """Print a line for the run, for the report, and for the browser."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--mosaics", type=int, default=3)
    parser.add_argument("--side", type=int, default=1280)
    parser.add_argument("--max-mb", type=float, default=20.0)
    parser.add_argument("--same-labels", action="store_true", help="labels' mosaics are the same in all epochs")
    parser.add_argument("--keep", help="write the page here")
    options = parser.parse_args()
    print(f"{machine()}; {load()}")
    with tempfile.TemporaryDirectory() as name:
        run, page = Path(name) / "run", Path(options.keep or Path(name) / "report.html")
        total = make_run(run, options.epochs, options.mosaics, options.side, not options.same_labels)
        count = len({hash_of(path) for path in run.glob("history/*/*.jpg")})
        print(f"run: {count} different mosaics of {options.side} pixels, {total / 1e6:.0f} MB", flush=True)
        from aigp_lightning.report.page.render import write_page
        from aigp_lightning.report.payload import ReportOptions, build_report

        began = time.perf_counter()
        report = build_report([run], ReportOptions(max_mb=options.max_mb))
        epochs = pictures_by_epoch(report.payload["runs"][0])
        built, pictures = time.perf_counter() - began, len(report.pictures)
        write_page(page, report.payload, report.files())
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"report: {built:.1f} s, and {time.perf_counter() - began - built:.1f} s to write, {pictures} pictures, "
            f"{page.stat().st_size / 1e6:.1f} MB, {peak:.0f} MiB of memory at most"
        )
        print(*report.payload["notes"], sep="\n", flush=True)
        print(in_browser(page, Path(name), epochs))


if __name__ == "__main__":
    main()
