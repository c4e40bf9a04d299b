"""Checks what a receipt says of the run: its model, evaluation, ledger and data set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast, get_args

from aigp_lightning.checkpoints.paths import BEST
from aigp_lightning.errors import DataError, UserError, first_line
from aigp_lightning.logfiles.run_config import read_config
from aigp_lightning.logfiles.run_data import find_data_yaml
from aigp_lightning.media.ledger.anchor import Anchor, anchor_of, differing_totals, parse_anchor
from aigp_lightning.media.ledger.ledger import LEDGER_FILE, Lines, read_ledger
from aigp_lightning.store.checks import Checked, check_content, check_hash, group_of
from aigp_lightning.store.policy_evaluation import EVALUATED, EVALUATION_FILE, MODEL_FILE, policy_model
from aigp_lightning.store.receipt import FileFact
from aigp_lightning.store.run_facts import destinations_of

EXAMINED = "best.ckpt"
"""The file of a version that is evaluated; its exports have bytes of their own."""


def check_checkpoint(receipt: Mapping[str, Any], run: Path) -> Iterator[Checked]:
    """Check that the run's best checkpoint is the one promoted.

    Args:
        receipt: see `build_receipt`.
        run: the run folder.
    """
    fact = receipt["files"].get(EXAMINED)
    if fact is not None:
        yield _same_model(BEST.as_posix(), run / BEST, FileFact(fact["sha256"], fact["bytes"]))


def _same_model(name: str, path: Path, fact: FileFact) -> Checked:
    """Compare a run's model with the one promoted; a run that went on has another one now, which is no fault."""
    found = check_content(f"the run's {name}", path, fact)
    if found.outcome != "wrong":
        return found
    return Checked(found.name, "missing", "is another one now: the run went on, or it is another run")


def check_policy(receipt: Mapping[str, Any], run: Path) -> Iterator[Checked]:
    """Check a policy's model, and the evaluation that `ppo evaluate` wrote.

    Args:
        receipt: see `build_receipt`.
        run: the run folder.
    """
    fact = receipt["files"].get(MODEL_FILE)
    model = policy_model(run, None if fact is None else fact["sha256"])
    if fact is not None:
        name = f"{model.name}/{MODEL_FILE}"
        yield _same_model(name, model / MODEL_FILE, FileFact(fact["sha256"], fact["bytes"]))
    evaluation = receipt.get("evaluation") or {}
    if evaluation.get("by") == EVALUATED:
        path = run / "evaluation" / model.name / EVALUATION_FILE
        yield check_hash(EVALUATION_FILE, path, evaluation.get("sha256"))


def check_ledger(receipt: Mapping[str, Any], run: Path) -> Iterator[Checked]:
    """Check the ledger: it may have grown since, as by `ship`, and then goes on from what the receipt says.

    Args:
        receipt: see `build_receipt`.
        run: the run folder.
    """
    said = receipt.get("ledger")
    if said is None:
        return
    anchor = parse_anchor(said)
    if anchor is None:
        yield Checked("ledger", "wrong", "what the receipt says of it cannot be read")
        return
    try:
        lines = read_ledger(run / LEDGER_FILE)
    except FileNotFoundError:
        yield Checked("ledger", "missing", f"{LEDGER_FILE} is not there")
        return
    except OSError as error:
        yield Checked("ledger", "wrong", f"{LEDGER_FILE} cannot be read ({error.strerror})")
        return
    yield _head(lines, anchor)
    if len(lines.heads) > anchor.lines:
        yield _totals(lines, anchor, said)


def _head(lines: Lines, anchor: Anchor) -> Checked:
    count = len(lines.heads) - 1
    if count < anchor.lines:
        return Checked("ledger", "wrong", f"it had {anchor.lines} lines, and has {count}")
    if lines.heads[anchor.lines] != anchor.head:
        return Checked("ledger", "wrong", f"line {anchor.lines} of it, or one before, was changed")
    if lines.problems:
        more = f" and {len(lines.problems) - 1} more" if len(lines.problems) > 1 else ""
        return Checked("ledger", "wrong", f"{lines.problems[0]}{more}")
    if count == anchor.lines:
        return Checked("ledger", "right", f"{count} lines, head {anchor.head}")
    added = count - anchor.lines
    text = (
        f"{added} {'line was' if added == 1 else 'lines were'} added since; the {anchor.lines} before are as they were"
    )
    return Checked("ledger", "right", text)


def _totals(lines: Lines, anchor: Anchor, said: Mapping[str, Any]) -> Checked:
    """Compare the sums of the lines that were there when the receipt was made."""
    then = Lines()
    then.extend(line for line in lines if line.number <= anchor.lines)
    differing = differing_totals(anchor_of(lines, anchor.lines).totals or {}, anchor.totals or {})
    if not differing and destinations_of(then) != said.get("destinations"):
        differing = ["the sums by destination are others"]
    if differing:
        return Checked("what left, to whom", "wrong", "; ".join(differing))
    left = [row for row in destinations_of(then) if row["remote"] and row["sent"] + row["unknown"]]
    text = ", ".join(f"{row['destination']} {row['sent'] + row['unknown']} pictures" for row in left)
    return Checked("what left, to whom", "right", text or "nothing left the machine")


def check_data(receipt: Mapping[str, Any], run: Path) -> Iterator[Checked]:
    """Check that the data set is as it was, by reading every picture of the split.

    Args:
        receipt: see `build_receipt`.
        run: the run folder.
    """
    said, (config, _) = receipt.get("data"), read_config(run)
    if said is None:
        return
    name = "data set"
    if (data_yaml := find_data_yaml(run, config)) is None:
        yield Checked(name, "missing", "the data set of the run is not there")
        return
    evaluation = receipt.get("evaluation") or {}
    try:
        found = _fingerprint(data_yaml, str(said.get("split")), evaluation)
    except (UserError, OSError, ValueError) as error:
        yield Checked(name, "missing", f"cannot be read any more: {first_line(error)}")
        return
    same = found == said.get("sha256")
    text = f"{said.get('images')} pictures and {said.get('labels')} labels as they were" if same else (
        "pictures or labels of it were changed since")  # fmt: skip
    yield Checked(name, "right" if same else "wrong", text)


def _fingerprint(data_yaml: Path, split: str, evaluation: Mapping[str, Any]) -> str:
    from aigp_lightning.data.data_yaml import read_data_yaml
    from aigp_lightning.data.fingerprint import fingerprint
    from aigp_lightning.data.label_bounds import Outside
    from aigp_lightning.data.scan import scan_split

    settings = group_of(evaluation.get("settings"))
    single = bool(settings.get("single_cls", False))
    spec, pose = read_data_yaml(data_yaml), evaluation.get("keypoints") is not None
    if split not in spec.splits:
        raise DataError(f"{spec.file} has no split {split!r}")
    outside = settings.get("outside")
    outside = cast("Outside", outside) if outside in get_args(Outside) else "clip"
    scan = scan_split(spec, split, pose=pose, single_cls=single, outside=outside, progress=False)
    return fingerprint(scan.records, {0: "item"} if single else spec.names).sha256
