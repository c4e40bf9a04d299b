"""Contract tests with other versions of Ultralytics, W&B and Lightning than the newest.

What this project relies on in the three is held by tests. Each version gets a virtual environment of its own: the
package alone is installed into it, everything else (torch above all) is taken from the environment that runs this
script, so that one takes seconds and megabytes. The tests are then run in it, and a table says what passed.

    python benchmarks/version_ranges.py
    python benchmarks/version_ranges.py --package ultralytics --versions 8.4.176 8.4.191 --json versions.json
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import sysconfig
import tempfile
import venv
import xml.etree.ElementTree as ET
from dataclasses import asdict, dataclass
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
MODULES = "tests/modules"
YOLO_ROOM = [
    *("augmented", "build", "class_rows", "criterion", "distillation", "families", "forward", "freezing", "fused"),
    *("keypoints", "nms_and_metrics", "nms_free", "quantization", "weights"),
]
"""Tests of what is called in Ultralytics: networks, losses, suppression, metrics, files. What is written here after its
trainer's recipe (schedule, optimizer groups, class weights) is the same with any version, and is held against the
newest alone."""
CONTRACTS: dict[str, list[str]] = {
    "ultralytics": [
        *(f"{MODULES}/yolo/test_{name}.py" for name in YOLO_ROOM),
        *(f"{MODULES}/test_validate_parity.py", f"{MODULES}/test_segment.py"),
        *(f"{MODULES}/metrics/test_pose_metrics.py", "tests/deploy/test_export.py"),
        "tests/fetching/test_published.py",
    ],
    "wandb": [
        *("tests/loggers/test_wandb_gate.py", "tests/loggers/test_wandb_channels.py"),
        *("tests/loggers/test_wandb_online.py", "tests/logfiles", "tests/audit"),
    ],
    "lightning": [
        *("tests/run/test_lightning_internals.py", "tests/run/test_resume.py", "tests/checkpoints", "tests/callbacks"),
        "tests/loggers/test_config.py",
    ],
}
"""Tests that hold what is relied on, by package."""
VERSIONS: dict[str, list[str]] = {
    "ultralytics": ["8.4.176", "8.4.183", "8.4.190"],
    "wandb": ["0.31.0"],
    "lightning": ["2.6.1", "2.6.4", "2.6.6"],
}
"""The oldest, middle ones and the newest of the range in `pyproject.toml`."""


@dataclass
class Outcome:
    """What the tests of a version came to.

    Attributes:
        package: its name.
        version: its version.
        passed: tests that passed.
        failed: names of those that did not, with the first line of the reason.
        seconds: that they took.
        trouble: why there are no tests, such as a version that cannot be installed; empty where there are.
    """

    package: str
    version: str
    passed: int = 0
    failed: list[str] | None = None
    seconds: float = 0.0
    trouble: str = ""


def environment_of(folder: Path, package: str, version: str) -> Path:
    """Make the virtual environment of a version.

    Args:
        folder: where to.
        package: its name.
        version: that is installed.

    Returns:
        Its Python.
    """
    place = folder / f"{package}-{version}"
    python = place / "bin" / "python"
    if python.is_file():
        return python
    venv.create(place, with_pip=False, symlinks=True)
    own = place / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(own)]
    subprocess.run([*install, f"{package}=={version}"], check=True, capture_output=True, text=True)
    rest = dict.fromkeys([sysconfig.get_paths()["purelib"], *(path for path in sys.path if path.endswith("-packages"))])
    (own / "rest.pth").write_text("\n".join([str(REPO), *rest, ""]), encoding="utf-8")
    return python


def run_tests(python: Path, tests: list[str], words: list[str]) -> tuple[int, list[str], float, str]:
    """Run tests in an environment.

    Args:
        python: of the environment.
        tests: files and folders.
        words: more of pytest's options.

    Returns:
        How many passed, names and reasons of the others, seconds, and why there are none.
    """
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "report.xml"
        command = [str(python), "-m", "pytest", "-n", "0", "-q", f"--junitxml={report}", *words, *tests]
        env = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, cwd=REPO, env=env, capture_output=True, text=True, check=False)
        if not report.is_file():
            return 0, [], 0.0, (done.stderr or done.stdout).strip().splitlines()[-1][:200]
        suite = ET.parse(report).getroot()[0]
    failed = []
    for case in suite.iter("testcase"):
        wrong = [each for each in case if each.tag in ("failure", "error")]
        if wrong:
            why = (wrong[0].get("message") or "").splitlines() or [""]
            failed.append(f"{case.get('classname')}::{case.get('name')}: {why[0][:160]}")
    count = int(suite.get("tests", 0)) - int(suite.get("skipped", 0)) - len(failed)
    return count, failed, float(suite.get("time", 0)), ""


def measure(folder: Path, package: str, version: str, words: list[str]) -> Outcome:
    """Run the contract tests of a package with one version of it.

    Args:
        folder: of the environments.
        package: its name.
        version: its version.
        words: more of pytest's options.
    """
    outcome = Outcome(package, version)
    try:
        python = environment_of(folder, package, version)
    except subprocess.CalledProcessError as error:
        outcome.trouble = str(error.stderr).strip().splitlines()[-1][:200]
        return outcome
    outcome.passed, outcome.failed, outcome.seconds, outcome.trouble = run_tests(python, CONTRACTS[package], words)
    return outcome


def table(outcomes: list[Outcome]) -> str:
    """Return the outcomes as a Markdown table.

    Args:
        outcomes: in the order of the rows.
    """
    rows = ["| package | version | passed | failed | seconds |", "|---|---|---|---|---|"]
    for each in outcomes:
        failed = each.trouble or str(len(each.failed or []))
        rows.append(f"| {each.package} | {each.version} | {each.passed} | {failed} | {each.seconds:.0f} |")
    return "\n".join(rows)


def main() -> int:
    """Make the environments, run the tests, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--package", nargs="+", choices=CONTRACTS, default=list(CONTRACTS), help="which packages")
    parser.add_argument("--versions", nargs="+", help="versions of the one package that is named")
    parser.add_argument("--folder", type=Path, help="keep the environments here, for another time")
    parser.add_argument("--json", type=Path, help="write the outcomes, with the names of failed tests")
    parser.add_argument("--pytest", nargs=argparse.REMAINDER, default=[], help="the rest goes to pytest")
    args = parser.parse_args()
    if args.versions and len(args.package) != 1:
        parser.error("--versions are of one --package")
    outcomes = []
    with tempfile.TemporaryDirectory() as scratch:
        for package in args.package:
            for version in args.versions or VERSIONS[package]:
                outcomes.append(measure(args.folder or Path(scratch), package, version, args.pytest))
                print(table(outcomes[-1:]).splitlines()[-1], flush=True)
                for name in outcomes[-1].failed or []:
                    print(f"    {name}", flush=True)
                if args.json:
                    args.json.write_text(json.dumps([asdict(each) for each in outcomes], indent=1), encoding="utf-8")
    print(f"\n{table(outcomes)}")
    return int(any(each.failed or each.trouble for each in outcomes))


if __name__ == "__main__":
    sys.exit(main())
