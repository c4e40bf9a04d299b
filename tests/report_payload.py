"""Reports made up for tests of their page: small, with every part, and with names that would be markup."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from PIL import Image

HOSTILE = "<img src=x onerror=alert(1)>"
"""Name of a class that would run as a script where it is taken for markup."""
ENDING = "</script><script>document.title = 'taken over'</script><!--"
"""Name of a file that would end the script that it stands in."""
EPOCHS = [1, 2, 3, 4, 5]
BEST = 4


def picture(colour: tuple[int, int, int], size: tuple[int, int] = (48, 32)) -> bytes:
    """Return a PNG of one colour."""
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, "PNG")
    return buffer.getvalue()


def prediction_colour(epoch: int) -> tuple[int, int, int]:
    """Return the colour of the mosaic of predictions of an epoch."""
    return (40 * epoch, 10, 200 - 30 * epoch)


LABEL_COLOUR = (10, 220, 30)


def pictures(runs: int = 1) -> Iterator[tuple[str, str, bytes]]:
    """Yield the pictures of `payload`."""
    for run in range(runs):
        yield f"r{run}-labels", "image/png", picture(LABEL_COLOUR)
        for epoch in EPOCHS:
            yield f"r{run}-pred-{epoch}", "image/png", picture(prediction_colour(epoch))
        yield f"r{run}-closing", "image/png", picture((250, 250, 250))
        for number in range(3):
            yield f"r{run}-val-{number}", "image/png", picture((90, 90, 90 + number))


def items(run: int = 0) -> list[dict[str, Any]]:
    """Return three pictures: with errors of every kind, without an error, and with one miss at a high confidence."""
    edges: dict[str, Any] = {"found_points": None, "true_points": None, "edges": []}
    size = {"width": 480, "height": 320, **edges}
    return [
        {
            **size,
            **{"file": "b-clean.jpg", "picture": f"r{run}-val-1", "masked": False},
            "found": [[0, 0.9, 0, 0, 20, 20, 0]],
            "true": [[0, 0, 0, 20, 20, 3.0]],
        },
        {
            **size,
            **{"file": ENDING, "picture": f"r{run}-val-0", "masked": True},
            "found": [[0, 0.8, 0, 0, 50, 50, 0], [1, 0.6, 100, 100, 300, 300, -1], [1, 0.3, 200, 0, 220, 20, 1]],
            "true": [[0, 0, 0, 50, 50, 8.0], [1, 200, 0, 220, 20, 30.0], [0, 300, 100, 420, 220, None]],
        },
        {
            **size,
            **{"file": "a-unsure.jpg", "picture": None, "masked": False},
            "found": [[1, 0.4, 0, 0, 100, 100, 0]],
            "true": [[1, 0, 0, 100, 100, 8.0]],
        },
    ]


def counts(items: list[dict[str, Any]], conf: float) -> dict[str, int]:
    """Count right detections, false alarms and misses, as `ImageResults.match` defines them."""
    counted = [(item, [found for found in item["found"] if found[1] >= conf]) for item in items]
    right = sum(found[6] >= 0 for _, each in counted for found in each)
    return {
        "tp": right,
        "fp": sum(len(each) for _, each in counted) - right,
        "fn": sum(len(item["true"]) for item in items) - right,
    }


def run(number: int = 0) -> dict[str, Any]:
    """Return a run of a payload with every part."""
    names = {"0": "gate", "1": HOSTILE}
    share = [0.0, 0.5, 1.0]
    series = {name: [1 - share for share in share] for name in names.values()}
    sent = ["2026-11-28T00:00:01Z", 1, "val_batch0_pred", "wandb", "sent", 1234, "ab" * 32, None]
    kept = ["2026-11-28T00:00:02Z", 2, "val_batch0_pred", "wandb", "withheld", 99, "cd" * 32, f"private {HOSTILE}"]
    return {
        "name": f"run{number}" if number else HOSTILE,
        **{"task": "pose", "family": "yolo", "epochs": len(EPOCHS), "best_epoch": BEST},
        "scalars": {
            "epochs": EPOCHS,
            "series": {
                "train/box_loss": [3.0, 2.0, None, 1.0, 0.5],
                "val/box_loss": [3.5, 2.5, 2.0, 1.5, 1.6],
                "metrics/mAP50(B)": [0.1, 0.2, 0.3, 0.6, 0.5],
                "lr/pg0": [0.01] * 5,
                HOSTILE: [1.0] * 5,
            },
        },
        "metrics": {"metrics/mAP50(B)": 0.6 + number / 10},
        "classes": [
            {"class": "all", "images": 3, "instances": 5, "mAP50": 0.6},
            {"class": "gate", "images": 2, "instances": 3, "mAP50": 0.7},
            {"class": HOSTILE, "images": 2, "instances": 2, "mAP50": 0.5},
        ],
        "mosaics": [
            {
                "key": "val_batch0",
                "epochs": EPOCHS,
                "labels": {"1": f"r{number}-labels"},
                "pred": {str(epoch): f"r{number}-pred-{epoch}" for epoch in EPOCHS},
            }
        ],
        "training": [],
        "closing": [{"key": "PR_curve", "picture": f"r{number}-closing"}],
        "curves": [
            {"prefix": prefix, "which": which, "x": share, "series": series}
            for prefix in ("Box", "Pose")
            for which in ("PR", "F1", "P", "R")
        ],
        "confusion": {"names": [*names.values(), "background"], "matrix": [[2, 0, 1], [0, 2, 1], [1, 0, 0]]},
        "config": f"seed_everything: {number}\nmodel:\n  name: {ENDING}\n",
        "options": {"seed_everything": number},
        "ledger": {
            **{"head": "ef" * 32, "lines": 2, "problems": []},
            "destinations": [
                {"destination": "wandb", "remote": True, "bytes": 1234}
                | {"sent": 1, "withheld": 1, "failed": 0, "unknown": 0}
            ],
            "rows": [sent, kept],
        },
        "pictures": {"names": names, "conf": 0.25, "items": items(number), "scale_note": None},
        "corners": {
            "bands": [{"band": "all", "gates": 5, "found": 0.6, "error_px_mean": 1.5}],
            **{"distance": [3.0, 8.0], "error": [0.5, 1.5], "limits": [5, 10, 20]},
        },
        "side_channels": [],
        "warnings": [],
    }


def payload(runs: int = 1) -> dict[str, Any]:
    """Return a report of one run or of several."""
    all_runs = [run(number) for number in range(runs)]
    metrics = [each["metrics"]["metrics/mAP50(B)"] for each in all_runs]
    comparison = {
        "options": [{"option": "seed_everything", "values": list(range(runs))}],
        "metrics": [{"metric": "metrics/mAP50(B)", "values": metrics}],
        "classes": [{"class": HOSTILE, "values": [{"mAP50": 0.5, "mAP50-95": 0.3}] * (runs - 1) + [None]}],
    }
    return {
        **{"version": 1, "title": f"Report of {HOSTILE}", "made": "2026-11-28T00:12:00Z"},
        "private": {"included": False, "masked": 1, "left_out": 1, "text": "1 picture is masked and 1 left out."},
        "notes": ["Pictures are scaled to 48 px to fit 1 MB."],
        "runs": all_runs,
        "comparison": comparison if runs > 1 else None,
    }


def bare_payload() -> dict[str, Any]:
    """Return a report of a run that kept nothing."""
    nothing = dict.fromkeys(("confusion", "ledger", "pictures", "corners", "best_epoch"))
    lists: dict[str, Any] = {
        key: [] for key in ("classes", "mosaics", "training", "closing", "curves", "side_channels", "warnings")
    }
    empty = {"scalars": {"epochs": [], "series": {}}, "metrics": {}, "config": "", "options": {}}
    named = {"name": "bare", "task": "detect", "family": "yolo", "epochs": 0}
    return payload() | {"runs": [{**named, **nothing, **lists, **empty}]}
