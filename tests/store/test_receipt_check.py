"""`receipt verify`: what is right, what was changed, what is not there any more."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from receipt_runs import (
    MAP,
    METRICS,
    PICTURE,
    POLICY_METRICS,
    about_of,
    add_to_ledger,
    decision_of,
    make_policy_run,
    make_run,
    one_object,
    store_of,
    version_of,
)

from aigp_lightning.data.data_yaml import read_data_yaml
from aigp_lightning.data.fingerprint import fingerprint
from aigp_lightning.data.scan import scan_split
from aigp_lightning.errors import DataError
from aigp_lightning.media.ledger.ledger import Ledger
from aigp_lightning.modules.metrics.image_results import RESULTS_FILE, ImageResults
from aigp_lightning.run.marker import write_run_file
from aigp_lightning.run.provenance import record_start
from aigp_lightning.store.gates import judge
from aigp_lightning.store.receipt import build_receipt, file_fact, read_receipt, write_receipt
from aigp_lightning.store.receipt_check import check_receipt


@pytest.fixture
def promoted(tmp_path: Path) -> tuple[Path, Path]:
    """A receipt beside its version's files, and the run."""
    run, version = tmp_path / "runs" / "gates", tmp_path / "models" / "v"
    results = make_run(run)
    files = version_of(run, version)
    shutil.copy(run / RESULTS_FILE, version)
    files[RESULTS_FILE] = file_fact(version / RESULTS_FILE)
    write_receipt(version / "receipt.json", build_receipt(run, files, results, decision_of(files, METRICS)))
    return version / "receipt.json", run


def outcomes(receipt: Path, run: Path | None = None) -> dict[str, tuple[str, str]]:
    return {each.name: (each.outcome, each.message) for each in check_receipt(receipt, run)}


def wrong(receipt: Path, run: Path | None = None) -> set[str]:
    return {each.name for each in check_receipt(receipt, run) if each.outcome == "wrong"}


def test_an_untouched_receipt_is_right(promoted: tuple[Path, Path]) -> None:
    found = outcomes(*promoted)
    missing = {name for name, (outcome, _) in found.items() if outcome == "missing"}
    assert missing == {"data set", "journal"}, "which lay in somebody's folder"
    assert {name for name, (outcome, _) in found.items() if outcome == "right"} == {
        "best.ckpt", "best.onnx", RESULTS_FILE, "evaluated model", "metrics", "data set of the metrics", "config.yaml",
        "plan", "the run's weights/best.ckpt", "ledger", "what was given, to whom", "settings and classes", "run",
        "versions", "git", "seeds", "hardware", "started", "earlier_starts", "split_leak",
    }  # fmt: skip
    assert found["what was given, to whom"][1] == "2 pictures to wandb"


def test_without_a_run_it_says_what_it_could_not_see(promoted: tuple[Path, Path]) -> None:
    found = outcomes(promoted[0])
    assert found["run"] == (
        "missing",
        "no run folder is given (--run): configuration, ledger, start and data set are unseen",
    )
    assert found["metrics"][0] == "right" and "ledger" not in found


@pytest.mark.parametrize("name", ["best.ckpt", "best.onnx", RESULTS_FILE])
def test_a_flipped_byte_is_found_and_named(promoted: tuple[Path, Path], name: str) -> None:
    path = promoted[0].parent / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert wrong(*promoted) == {name}
    path.write_bytes(content + b"x")
    assert "it is another file" in outcomes(*promoted)[name][1]
    path.unlink()
    assert outcomes(*promoted)[name] == ("missing", "the file is not there")


def test_a_ledger_may_grow(promoted: tuple[Path, Path]) -> None:
    ledger = Ledger(promoted[1] / "media.jsonl")
    ledger.add(replace(PICTURE, key="later", destination="wandb", outcome="sent"))
    ledger.close()
    found = outcomes(*promoted)
    assert found["ledger"] == ("right", "1 line was added since; the 4 before are as they were")
    assert found["what was given, to whom"] == ("right", "2 pictures to wandb")


def test_a_changed_ledger_is_wrong(promoted: tuple[Path, Path]) -> None:
    path = promoted[1] / "media.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:3]))
    assert outcomes(*promoted)["ledger"] == ("wrong", "it had 4 lines, and has 3")
    path.write_bytes(b"".join([*lines[:3], lines[3].replace(b"withheld", b"failed")]))
    assert outcomes(*promoted)["ledger"][1] == "line 4 of it, or one before, was changed"
    path.write_bytes(b"".join([lines[0].replace(b'"bytes": 100', b'"bytes": 1'), *lines[1:]]))
    assert "ledger" in wrong(*promoted), "the head is the same, and the chain is broken"
    assert outcomes(*promoted)["what was given, to whom"][0] == "wrong"
    path.unlink()
    assert outcomes(*promoted)["ledger"] == ("missing", "media.jsonl is not there")


def test_a_receipt_with_other_sums_is_wrong(promoted: tuple[Path, Path]) -> None:
    content = read_receipt(promoted[0])
    content["ledger"]["destinations"][1]["sent"] = 0
    write_receipt(promoted[0], content)
    assert wrong(*promoted) == {"what was given, to whom"}


def test_boxes_that_go_with_a_picture_are_no_pictures(tmp_path: Path) -> None:
    run, version = tmp_path / "runs" / "gates", tmp_path / "models" / "v"
    results = make_run(run)
    ledger = Ledger(run / "media.jsonl")
    for key in ("a.labels", "a.predictions"):
        ledger.add(replace(PICTURE, key=key, file=f"{key}.boxes2D.json", destination="wandb", outcome="sent"))
    ledger.close()
    files = version_of(run, version)
    receipt = build_receipt(run, files, results, decision_of(files, METRICS))
    (row,) = (row for row in receipt["ledger"]["destinations"] if row["destination"] == "wandb")
    assert (row["sent"], row["unknown"], row["withheld"], row["bytes"]) == (1, 1, 1, 400)
    write_receipt(version / "receipt.json", receipt)
    assert outcomes(version / "receipt.json", run)["what was given, to whom"] == ("right", "2 pictures to wandb")


def test_metrics_that_the_kept_arrays_contradict_are_wrong(tmp_path: Path) -> None:
    """Receipt, results and decision all say 0.99; only the arrays know better."""
    run, version = tmp_path / "runs" / "gates", tmp_path / "models" / "v"
    results = make_run(run)
    metrics = {**METRICS, MAP: 0.99}
    results = replace(results, about={**results.about, "metrics": metrics})
    files = version_of(run, version)
    results.save(version / RESULTS_FILE)
    files[RESULTS_FILE] = file_fact(version / RESULTS_FILE)
    write_receipt(version / "receipt.json", build_receipt(run, files, results, decision_of(files, metrics)))
    assert wrong(version / "receipt.json") == {"metrics"}
    assert outcomes(version / "receipt.json")["metrics"][1] == (
        f"{RESULTS_FILE} contradicts itself: it says that {MAP} is 0.99, and its arrays give 0.2985"
    )


@pytest.mark.parametrize("place", [
    ("decision", "gates", 0, "candidate"), ("decision", "gates", 0, "latest"), ("decision", "gates", 0, "interval"),
    ("evaluation", "metrics", MAP), ("run", "epochs"), ("data", "images"), ("ledger", "lines"),
    ("ledger", "destinations", 0, "bytes"), ("files", "best.onnx", "bytes"),
])  # fmt: skip
def test_a_number_that_no_float_holds_is_no_traceback(promoted: tuple[Path, Path], place: tuple[Any, ...]) -> None:
    content: Any = read_receipt(promoted[0])
    holder = content
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = [10**400, 10**400] if place[-1] == "interval" else 10**400
    write_receipt(promoted[0], content)
    try:
        assert wrong(*promoted)
    except DataError as error:
        assert place[0] == "files" and "names no files with their hashes" in str(error)


def test_a_changed_configuration(promoted: tuple[Path, Path]) -> None:
    receipt, run = promoted
    before = (run / "config.yaml").read_text(encoding="utf-8")
    (run / "config.yaml").write_text(f"# a remark\n{before}", encoding="utf-8")
    assert wrong(receipt, run) == {"config.yaml"}, "the plan is the same"
    (run / "config.yaml").write_text(before.replace("max_mb: null", "max_mb: 9"), encoding="utf-8")
    assert wrong(receipt, run) == {"config.yaml", "plan"}
    (run / "config-before-epoch4.yaml").write_text(before, encoding="utf-8")
    text = "is config-before-epoch4.yaml now: the run went on with other options"
    assert outcomes(receipt, run)["config.yaml"] == ("right", text)
    assert outcomes(receipt, run)["earlier configurations"][0] == "missing" and wrong(receipt, run) == set()


def test_invented_metrics_are_wrong(promoted: tuple[Path, Path]) -> None:
    content = read_receipt(promoted[0])
    content["evaluation"]["metrics"][MAP] = 0.9
    content["data"]["images"] = 1000
    write_receipt(promoted[0], content)
    assert wrong(*promoted) == {"metrics", "data set of the metrics", "decision"}
    content["evaluation"]["model_sha256"] = "0" * 64
    write_receipt(promoted[0], content)
    found = outcomes(*promoted)
    assert found["evaluated model"][0] == "wrong" and found["metrics"][0] == "missing"


def test_a_run_that_went_on_has_another_model(promoted: tuple[Path, Path]) -> None:
    (promoted[1] / "weights" / "best.ckpt").write_bytes(b"a later one")
    found = outcomes(*promoted)["the run's weights/best.ckpt"]
    assert found == ("missing", "is another one now: the run went on, or it is another run")


def test_the_data_set_is_read_again(tmp_path: Path, shapes: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(shapes.parent, data)
    spec = read_data_yaml(str(data / "data.yaml"))
    scanned = scan_split(spec, "val", progress=False)
    known = {"split": "val", **vars(fingerprint(scanned.records, spec.names))}
    results = make_run(tmp_path / "gates", known, data / "data.yaml")
    files = version_of(tmp_path / "gates", tmp_path / "version")
    receipt = build_receipt(tmp_path / "gates", files, results, decision_of(files, METRICS))
    write_receipt(tmp_path / "version" / "receipt.json", receipt)
    at = tmp_path / "version" / "receipt.json"
    found = outcomes(at, tmp_path / "gates")
    assert found["data set"] == ("right", "11 pictures and 22 labels as they were")
    label = next((data / "labels" / "val").glob("*.txt"))
    label.write_text(label.read_text(encoding="utf-8").replace(" 0.", " 0.1", 1), encoding="utf-8")
    assert wrong(at, tmp_path / "gates") == {"data set"}
    shutil.rmtree(data)
    assert outcomes(at, tmp_path / "gates")["data set"][0] == "missing"


def test_a_policys_receipt(tmp_path: Path) -> None:
    run = tmp_path / "race"
    make_policy_run(run)
    shutil.copy(run / "best" / "model.zip", tmp_path)
    files = {"model.zip": file_fact(tmp_path / "model.zip")}
    write_receipt(tmp_path / "receipt.json", build_receipt(run, files, None, decision_of(files, POLICY_METRICS)))
    found = outcomes(tmp_path / "receipt.json", run)
    names = {name for name, (outcome, _) in found.items() if outcome == "right"}
    assert names == {"model.zip", "config.yaml", "the run's best/model.zip", "evaluation.json"} | {
        "versions", "seeds", "started", "earlier_starts", "run",
    }  # fmt: skip
    judged = run / "evaluation" / "best" / "evaluation.json"
    judged.write_text(judged.read_text(encoding="utf-8").replace("0.75", "0.95"), encoding="utf-8")
    assert wrong(tmp_path / "receipt.json", run) == {"evaluation.json"}


def test_names_that_lead_elsewhere_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"x")
    folder = tmp_path / "version"
    folder.mkdir()
    fact = {"sha256": file_fact(tmp_path / "secret").sha256, "bytes": 1}
    write_receipt(folder / "receipt.json", {"receipt": 1, "files": {"../secret": fact}})
    assert outcomes(folder / "receipt.json")["../secret"] == ("wrong", "is no name of a file beside the receipt")


def test_the_verb(
    promoted: tuple[Path, Path], run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    receipt, run = promoted
    assert run_cli("receipt", "verify", receipt.parent, "--run", run, "--no-data", "--json", "checks.json") == 0
    said = capsys.readouterr().out
    assert "20 checks, and nothing is wrong; not checked: journal, data set." in said and "best.onnx" in said
    checks = json.loads(Path("checks.json").read_text(encoding="utf-8"))
    assert checks["right"] is True and len(checks["checks"]) == 22
    (receipt.parent / "best.onnx").write_bytes(b"A network")
    assert run_cli("receipt", "verify", receipt, "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in found["checks"] if each["outcome"] == "wrong"] == ["best.onnx"]
    assert run_cli("receipt", "verify", receipt, "--run", tmp_path / "nobody") == 2
    assert run_cli("receipt", "verify", receipt, "--json", tmp_path) == 2, "a folder"
    assert run_cli("receipt", "verify", tmp_path / "no.json") == 2
    assert "is missing: no receipt can be read there" in capsys.readouterr().err
    add_to_ledger(run)
    assert run_cli("receipt", "verify", receipt, "--run", run) == 1


def test_a_receipt_that_somebody_wrote_by_hand_is_no_traceback(promoted: tuple[Path, Path]) -> None:
    """Each part in turn is of another kind than it should be: refused, or told as wrong or missing."""
    receipt, run = promoted
    sound = read_receipt(receipt)
    inside = {part: list(value) if isinstance(value, dict) else [] for part, value in sound.items()}
    places = [place for part in sound for place in ((part,), *((part, key) for key in inside[part]))]
    assert len(places) > 40
    for number, place in enumerate(places):
        content = json.loads(json.dumps(sound))
        holder = content if len(place) == 1 else content[place[0]]
        holder[place[-1]] = (7, "x", [7], {"x": 7})[number % 4]
        receipt.write_text(json.dumps(content), encoding="utf-8")
        try:
            check_receipt(receipt, run)
        except DataError as error:
            assert "is no receipt" in str(error), place


Built = tuple[Path, Path, dict[str, Any]]


def a_detector(folder: Path) -> Built:
    """A version, its run and the receipt: of a run that was started twice, with calibrated thresholds."""
    run, version = folder / "runs" / "gates", folder / "v"
    results = make_run(run)
    (run / "config-before-epoch2.yaml").write_text("media: {}\n", encoding="utf-8")
    (run / "weights" / "thresholds.json").write_text('{"gate": 0.31}', encoding="utf-8")
    record_start(run, {"seed_everything": 8}, ["NVIDIA H100"], 2)
    return _promoted_from(run, version, results)


def a_pose_model(folder: Path) -> Built:
    """The same of keypoints, with edges and bands of distance among what was evaluated."""
    run, version = folder / "runs" / "gates", folder / "v"
    make_run(run)
    metadata = {"names": {0: "gate"}, "task": "pose", "family": "yolo", "network": {}}
    torch.save({"epoch": 1, "aigp": metadata, "state_dict": {}}, run / "weights" / "best.ckpt")
    posed = {**about_of(run), "task": "pose", "keypoints": ["left", "right"], "edges": [[0, 1]], "bands": [5.0, 10.0]}
    posed["metrics"] = {**METRICS, "fitness": 2 * METRICS["fitness"]}
    results = one_object(str(run / "a.jpg"), posed, keypoints=2)
    results.save(run / RESULTS_FILE)
    return _promoted_from(run, version, results)


def _promoted_from(run: Path, version: Path, results: ImageResults) -> Built:
    files = version_of(run, version)
    results.save(version / RESULTS_FILE)
    files[RESULTS_FILE] = file_fact(version / RESULTS_FILE)
    return version, run, build_receipt(run, files, results, decision_of(files, METRICS))


def a_policy(folder: Path) -> Built:
    """A policy that `ppo evaluate` has judged."""
    run, version = folder / "runs" / "race", folder / "v"
    make_policy_run(run)
    version.mkdir()
    for name in ("model.zip", "about.json"):
        shutil.copy(run / "best" / name, version)
    files = {name: file_fact(version / name) for name in ("model.zip", "about.json")}
    return version, run, build_receipt(run, files, None, decision_of(files, POLICY_METRICS))


def a_policy_by_training(folder: Path) -> Built:
    """A policy that the training alone has judged."""
    version, run, _ = a_policy(folder)
    shutil.rmtree(run / "evaluation")
    files = {name: file_fact(version / name) for name in ("model.zip", "about.json")}
    return version, run, build_receipt(run, files, None, decision_of(files, {"success_rate": 1.0}))


UNCHECKED = re.compile(r"made|decision\.(name|latest|forced|notes\[0\]|gates\[\d\]\.(interval|gate))")
"""Leaves that nothing outside of a store tells: there its journal has the hash of the whole receipt."""


def leaves(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the places of all values in a receipt that hold no others, empty lists and groups too."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [each for key, one in inside for each in leaves(one, (*place, key))]
    yield from found or [place]


def flipped(value: Any) -> Any:
    """Another value of the same kind, where there is one."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        return re.sub(r"\w\b", lambda found: "1" if found[0] == "0" else "0", value, count=1) or "x"
    return 7 if value is None else ["x"]


def unnoticed(built: Built, path: Path, chosen: Callable[[str], bool]) -> list[str]:
    """Change the values that are chosen by name, each alone, and return those of which nothing is said."""
    _, run, receipt = built
    found, count = [], 0
    for place in leaves(receipt):
        name = re.sub(r"\.\[", "[", ".".join(f"[{key}]" if isinstance(key, int) else key for key in place))
        if not chosen(name):
            continue
        count += 1
        content = json.loads(json.dumps(receipt))
        holder = content
        for key in place[:-1]:
            holder = holder[key]
        holder[place[-1]] = flipped(holder[place[-1]])
        assert content != receipt, name
        path.write_text(json.dumps(content), encoding="utf-8")
        try:
            found += [] if wrong(path, run) else [name]
        except DataError:  # is refused, which is noticed too
            continue
    assert count > 5, "the walk comes by"
    return found


@pytest.mark.parametrize("build", [a_detector, a_pose_model, a_policy, a_policy_by_training])
def test_each_value_that_is_changed_is_found(tmp_path: Path, build: Callable[[Path], Built]) -> None:
    version, run, receipt = built = build(tmp_path)
    path = version / "receipt.json"
    write_receipt(path, receipt)
    assert wrong(path, run) == set(), outcomes(path, run)
    of_pose = ("run", "evaluation", "data")  # in the rest it is a detector's
    shown = unnoticed(built, path, lambda name: build is not a_pose_model or name.startswith(of_pose))
    assert [name for name in shown if not UNCHECKED.fullmatch(name)] == []


@pytest.mark.parametrize("build", [a_detector, a_policy])
def test_in_a_store_the_journal_knows_the_rest(tmp_path: Path, build: Callable[[Path], Built]) -> None:
    version, run, receipt = built = build(tmp_path)
    path = store_of(version, receipt)
    found = outcomes(path, run)
    assert found["journal"] == ("right", "line 1 of the store's journal.jsonl has the receipt's SHA-256")
    assert wrong(path, run) == set() and wrong(path) == set()
    assert unnoticed(built, path, lambda name: UNCHECKED.fullmatch(name) is not None) == []


def test_a_decision_without_its_gates_is_wrong(tmp_path: Path) -> None:
    version, run, receipt = a_detector(tmp_path)
    decision = receipt["decision"]
    forced = {**decision, "passed": False, "forced": "flown", "gates": judge([], METRICS, METRICS).rows}
    path = store_of(version, {**receipt, "decision": forced})
    assert wrong(path, run) == set(), "as it was promoted"
    changed: list[dict[str, Any]] = [
        {"gates": []}, {"forced": None}, {"forced": "won"}, {"gates": decision["gates"]},
        {"gates": decision["gates"], "passed": True, "forced": None},
    ]  # fmt: skip
    for changes in changed:
        write_receipt(path, {**receipt, "decision": {**forced, **changes}})
        assert {"journal", "decision in the journal"} <= wrong(path, run), changes
    elsewhere = tmp_path / "mailed"
    shutil.copytree(path.parent, elsewhere)
    for changes in ({"gates": []}, {"forced": None}, {"passed": True}):
        write_receipt(elsewhere / "receipt.json", {**receipt, "decision": {**forced, **changes}})
        assert wrong(elsewhere / "receipt.json", run) == {"decision"}, changes


def test_a_receipt_of_which_nothing_can_be_checked_is_wrong(
    promoted: tuple[Path, Path], run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    receipt, _ = promoted
    sound = read_receipt(receipt)
    (tmp_path / "alone").mkdir()
    alone = tmp_path / "alone" / "receipt.json"
    for content in ({"receipt": 1, "files": {}}, {**sound, "files": {}}, sound):
        write_receipt(alone, content)
        assert run_cli("receipt", "verify", alone) == 1
        assert "nothing that it says could be checked" in " ".join(capsys.readouterr().out.replace("│", "").split())
    assert run_cli("receipt", "verify", alone, "--run", tmp_path / "alone") == 2
    assert "is no folder of a run" in capsys.readouterr().err
    trusted = {**sound["evaluation"], "by": "trust me", "model_sha256": None, "metrics": {MAP: 0.99}}
    for evaluation in (trusted, {**trusted, "by": "pictures"}, None):
        write_receipt(receipt, {**sound, "evaluation": evaluation})
        assert wrong(receipt) & {"evaluation", "evaluated model"}, evaluation
    for part in sound:
        write_receipt(receipt, {key: value for key, value in sound.items() if key != part} | {"receipt": 1, "more": 1})
        try:
            assert "parts" in wrong(receipt)
        except DataError as error:
            assert part == "files" and "names no files" in str(error)


def test_thresholds_that_the_run_has_not_got_are_wrong(promoted: tuple[Path, Path]) -> None:
    receipt, run = promoted
    sound = read_receipt(receipt)
    invented = {"file": "thresholds.json", "sha256": "ab" * 32, "content": {"gate": 0.9}}
    write_receipt(receipt, {**sound, "thresholds": invented})
    assert wrong(receipt, run) == {"thresholds"}
    write_receipt(receipt, sound)
    (run / "weights" / "thresholds.json").write_text('{"gate": 0.31}', encoding="utf-8")
    assert outcomes(receipt, run)["thresholds"][0] == "missing" and wrong(receipt, run) == set()


def test_thresholds_of_other_weights_or_of_another_file_are_wrong(promoted: tuple[Path, Path]) -> None:
    receipt, _ = promoted
    sound = read_receipt(receipt)
    content = {"conf": 0.4, "about": {"model": {"sha256": "ab" * 32}}}
    told = {"file": "thresholds.json", "sha256": "cd" * 32, "content": content}
    write_receipt(receipt, {**sound, "thresholds": told})
    assert "thresholds" in wrong(receipt)
    content["about"] = {"model": {"sha256": sound["files"]["best.ckpt"]["sha256"]}}
    write_receipt(receipt, {**sound, "thresholds": told})
    assert wrong(receipt) == set()
    files = {**sound["files"], "thresholds.json": {"sha256": "ef" * 32, "bytes": 9}}
    write_receipt(receipt, {**sound, "thresholds": told, "files": files})
    assert "thresholds" in wrong(receipt)


def test_a_run_that_was_started_again_is_no_fault(promoted: tuple[Path, Path]) -> None:
    receipt, run = promoted
    record_start(run, {"seed_everything": 9})
    with (run / "results.csv").open("a", encoding="utf-8") as file:
        file.write("4,4,0.3\n")
    assert wrong(receipt, run) == set()
    write_receipt(receipt, {**(sound := read_receipt(receipt)), "run": {**sound["run"], "epochs": 5}})
    assert wrong(receipt, run) == {"run"}, "more epochs than the run has even now"


def test_what_the_splits_had_in_common_is_that_of_the_run(promoted: tuple[Path, Path]) -> None:
    """Share and limit stand in the receipt; another share, or none, is found, unless the run has measured it again."""
    path, run = promoted
    receipt = read_receipt(path)
    assert (receipt["split_leak"]["share"], receipt["split_leak"]["limit"]) == (0.75, 0.05)
    assert outcomes(path, run)["split_leak"] == ("right", "as in run.json")
    for other in ({**receipt["split_leak"], "share": 0.0}, None):
        write_receipt(path, {**receipt, "split_leak": other})
        assert "split_leak" in wrong(path, run)
    write_receipt(path, receipt)
    write_run_file(run, split_leak={**receipt["split_leak"], "near": 0, "share": 0.0})
    assert "split_leak" in wrong(path, run)
    record_start(run, {"seed_everything": 3})
    assert outcomes(path, run)["split_leak"][0] == "missing"


def test_a_receipt_from_before_splits_were_compared(promoted: tuple[Path, Path]) -> None:
    """It has no such part, and neither has its run: nothing is wrong with it."""
    path, run = promoted
    receipt = {part: value for part, value in read_receipt(path).items() if part != "split_leak"}
    write_receipt(path, receipt)
    assert wrong(path, run) == {"split_leak"}, "the run has one"
    known = json.loads((run / "run.json").read_text(encoding="utf-8"))
    del known["split_leak"]
    (run / "run.json").write_text(json.dumps(known), encoding="utf-8")
    assert wrong(path, run) == set()
    assert "split_leak" not in outcomes(path, run)
