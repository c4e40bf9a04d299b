"""What fewer bits cost: size and accuracy of exported files in fp32, fp16 and int8, beside the module's.

Each run that is named is exported by the `export` verb, which measures every file and the module on the run's
validation split; the table has the module's figures, and by how much each file's differ. mAP50-95 is that of boxes (B),
keypoints (P) and masks (M); corners, position and rotation are medians. The table of docs/export-and-deploy.md is this
script's, of runs that its commands train.

    python benchmarks/export_precision.py runs/detect/quick runs/pose/quick
    python benchmarks/export_precision.py runs/detect/rf --formats onnx --calibration 64 --json precision.json
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import tempfile
from pathlib import Path
from typing import Any

from common import machine, write_json

COLUMNS = {
    "metrics/mAP50-95(B)": "mAP50-95(B)",
    "metrics/mAP50-95(P)": "mAP50-95(P)",
    "metrics/mAP50-95(M)": "mAP50-95(M)",
    "corners/error_px_median": "corners, px",
    "gate/position_m_median": "position, m",
    "gate/rotation_deg_median": "rotation, °",
}


def export_run(run: Path, formats: str, calibration: int) -> dict[str, Any]:
    """Export a run's best checkpoint in all precisions, and return what `exports.json` says of the files.

    Args:
        run: its folder.
        formats: as `--format` takes them.
        calibration: pictures for int8.
    """
    import torch

    from aigp_lightning.cli.console import quiet_lightning
    from aigp_lightning.deploy.export import export
    from aigp_lightning.deploy.options import ExportOptions
    from aigp_lightning.evaluation.named_model import find_model

    torch.set_num_threads(1)
    quiet_lightning()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        options = ExportOptions(
            str(find_model(str(run))), format=formats, precision="fp32,fp16,int8", out=folder, calibration=calibration,
            compare="val", max_drop=1.0,
        )  # fmt: skip
        export(options)
        told: dict[str, Any] = json.loads((Path(folder) / "exports.json").read_text(encoding="utf-8"))
    return told


def print_table(results: dict[str, dict[str, Any]]) -> None:
    """Print a row for each module and each file.

    Args:
        results: by run, what `exports.json` says.
    """
    found = {name for told in results.values() for name in told["module"]["figures"]}
    columns = {name: head for name, head in COLUMNS.items() if name in found}
    print("| run | file | MB |", " | ".join(columns.values()), "|")
    print(f"|---|---|---|{'---|' * len(columns)}")
    for run, told in results.items():
        figures = told["module"]["figures"]
        print(f"| {run} | the module | |", " | ".join(_shown(figures.get(name), ".4f") for name in columns), "|")
        for entry in told["files"]:
            gaps = " | ".join(_shown(entry["difference"].get(name), "+.4f") for name in columns)
            print(f"| | {entry['file']} | {entry['bytes'] / 1e6:.1f} | {gaps} |")


def _shown(value: float | None, form: str) -> str:
    return "" if value is None else f"{value:{form}}"


def main() -> None:
    """Export the runs and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder of a run, with its data set on disk")
    parser.add_argument("--formats", default="onnx,openvino", help="as export's --format takes them")
    parser.add_argument("--calibration", type=int, default=128, help="training pictures for int8")
    parser.add_argument("--json", type=Path, help="file for everything that was measured")
    options = parser.parse_args()
    about = machine(1, packages=("torch", "onnxruntime", "openvino"))
    print(about, "\n")
    results = {str(run): export_run(run, options.formats, options.calibration) for run in options.runs}
    print_table(results)
    if options.json:
        write_json(options.json, {"machine": about, "runs": results})


if __name__ == "__main__":
    main()
