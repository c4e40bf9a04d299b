"""Checks what a receipt says of the run: its model, evaluation, ledger and data set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

from aigp_lightning.checkpoints.paths import BEST
from aigp_lightning.errors import DataError, UserError, first_line
from aigp_lightning.files import read_regular
from aigp_lightning.logfiles.run_config import read_config, read_json
from aigp_lightning.logfiles.run_data import find_data_yaml
from aigp_lightning.media.ledger.anchor import Anchor, anchor_of, differing_totals, parse_anchor
from aigp_lightning.media.ledger.chain import parse_lines
from aigp_lightning.media.ledger.ledger import LEDGER_FILE, Lines, read_ledger
from aigp_lightning.modules.metrics.result_settings import MASKS
from aigp_lightning.store.checks import Checked, check_content, check_hash, compared, differing, group_of
from aigp_lightning.store.policy_evaluation import (
    ABOUT_FILE,
    BY_TRAINING,
    EVALUATED,
    EVALUATION_FILE,
    MODEL_FILE,
    evaluated,
    noted,
    policy_model,
)
from aigp_lightning.store.public_text import public_values
from aigp_lightning.store.receipt import FileFact
from aigp_lightning.store.run_facts import destinations_of

if TYPE_CHECKING:
    from aigp_lightning.data.fingerprint import DataFingerprint

FINGERPRINT = ("sha256", "images", "labels")
GIVEN = "what was given, to whom"
"""Name of a check: remote destinations were given it, and an offline one may keep it on this machine for now."""
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


def check_policy(receipt: Mapping[str, Any], run: Path, folder: Path) -> Iterator[Checked]:
    """Check a policy's model and its evaluation.

    Args:
        receipt: see `build_receipt`.
        run: the run folder.
        folder: of the receipt.
    """
    fact = receipt["files"].get(MODEL_FILE)
    model = policy_model(run, None if fact is None else fact["sha256"])
    about = _about(receipt, folder) or _about(receipt, model)
    if fact is not None:
        name = f"{model.name}/{MODEL_FILE}"
        same = _same_model(name, model / MODEL_FILE, FileFact(fact["sha256"], fact["bytes"]))
        yield same
        if about is None and same.outcome == "right":
            content, _ = read_json(model / ABOUT_FILE)
            about = content if isinstance(content, dict) else None
    yield _policy_evaluation(receipt.get("evaluation"), run, model, about)


def _about(receipt: Mapping[str, Any], folder: Path) -> dict[str, Any] | None:
    """Return what a model's `about.json` says, if it is the one of the receipt."""
    fact = receipt["files"].get(ABOUT_FILE)
    if fact is None or check_hash(ABOUT_FILE, folder / ABOUT_FILE, fact["sha256"]).outcome != "right":
        return None
    content, _ = read_json(folder / ABOUT_FILE)
    return content if isinstance(content, dict) else None


def _policy_evaluation(said: object, run: Path, model: Path, about: Mapping[str, Any] | None) -> Checked:
    """Compare a policy's evaluation with the file that it was taken from."""
    if about is None:
        return Checked("evaluation", "missing", f"{ABOUT_FILE} of the model is not there any more")
    by = said.get("by") if isinstance(said, Mapping) else None
    judged, trained = evaluated(run, model, about.get("steps")), noted(run, about)
    if by == BY_TRAINING or (said is None and trained is None):
        return compared("evaluation", said, public_values(trained), ABOUT_FILE)
    if by != EVALUATED:
        text = f"the model has one, by {EVALUATED!r} or {BY_TRAINING!r}, and no other"
        return Checked("evaluation", "wrong", text)
    if judged is None:
        return Checked("evaluation", "missing", f"{EVALUATION_FILE} of this model is not there any more")
    path = run / "evaluation" / model.name / EVALUATION_FILE
    same = check_hash(EVALUATION_FILE, path, group_of(said).get("sha256"))
    return same if same.outcome != "right" else compared(
        EVALUATION_FILE, said, public_values(judged), EVALUATION_FILE)  # fmt: skip


def check_ledger(receipt: Mapping[str, Any], run: Path) -> Iterator[Checked]:
    """Check the ledger: it may have grown since, as by `ship`, and then goes on from what the receipt says.

    Args:
        receipt: see `build_receipt`.
        run: the run folder.
    """
    said = receipt.get("ledger")
    if said is None:
        if (run / LEDGER_FILE).exists():
            text = f"the run has a {LEDGER_FILE} now, and the receipt none: it was made since, or left out"
            yield Checked("ledger", "missing", text)
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
        problems = _problems_then(run / LEDGER_FILE, anchor)
        if said.get("problems") != problems or type(said.get("problems")) is not int:
            yield Checked("the ledger's problems", "wrong", f"it had {problems} then")


def _problems_then(path: Path, anchor: Anchor) -> int:
    """Return how many things were wrong with the ledger when the receipt was made."""
    rows = read_regular(path).split(b"\n")
    return len(parse_lines(b"".join(row + b"\n" for row in rows[: anchor.lines])).problems)


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
    differing_sums = differing_totals(anchor_of(lines, anchor.lines).totals or {}, anchor.totals or {})
    if anchor.totals is None:
        differing_sums = ["the receipt has none"]
    if not differing_sums and differing(said.get("destinations"), public_values(destinations_of(then))):
        differing_sums = ["the sums by destination are others"]
    if differing_sums:
        return Checked(GIVEN, "wrong", "; ".join(differing_sums))
    counts = {row["destination"]: row["sent"] + row["unknown"] for row in destinations_of(then) if row["remote"]}
    given = [f"{count} picture{'s' * (count != 1)} to {name}" for name, count in counts.items() if count]
    return Checked(GIVEN, "right", ", ".join(given) or "nothing was given to a remote destination")


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
    same = not differing([said.get(key) for key in FINGERPRINT], [getattr(found, key) for key in FINGERPRINT])
    text = f"{said.get('images')} pictures and {said.get('labels')} labels as they were" if same else (
        "pictures or labels of it were changed since")  # fmt: skip
    yield Checked(name, "right" if same else "wrong", text)


def _fingerprint(data_yaml: Path, split: str, evaluation: Mapping[str, Any]) -> DataFingerprint:
    from aigp_lightning.data.class_filter import class_ids, only_classes
    from aigp_lightning.data.data_yaml import read_data_yaml
    from aigp_lightning.data.fingerprint import fingerprint
    from aigp_lightning.data.fraction import ALL, check_fraction, part_of
    from aigp_lightning.data.label_bounds import Outside
    from aigp_lightning.data.scan import scan_split

    settings = group_of(evaluation.get("settings"))
    single, masks = bool(settings.get("single_cls", False)), all(name in settings for name in MASKS)
    spec, pose = read_data_yaml(data_yaml), evaluation.get("keypoints") is not None
    if split not in spec.splits:
        raise DataError(f"{spec.file} has no split {split!r}")
    outside = settings.get("outside")
    outside = cast("Outside", outside) if outside in get_args(Outside) else "clip"
    classes, fraction = settings.get("classes"), settings.get("fraction", ALL)
    check_fraction(fraction)
    scan = scan_split(
        spec, split, pose=pose, single_cls=single and not classes, outside=outside, outlines="all" if masks else None,
        part=part_of(fraction, split), progress=False,
    )  # fmt: skip
    if classes:
        scan = only_classes(scan, class_ids(classes, spec.names, str(spec.file)), spec.names, single)
    return fingerprint(scan.records, {0: "item"} if single else spec.names, outlines=masks)
