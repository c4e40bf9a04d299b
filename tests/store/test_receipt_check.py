"""`receipt verify`: what is right, what was changed, what is not there any more."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from receipt_runs import MAP, PICTURE, add_to_ledger, make_policy_run, make_run, version_of

from aigp_lightning.data.data_yaml import read_data_yaml
from aigp_lightning.data.fingerprint import fingerprint
from aigp_lightning.data.scan import scan_split
from aigp_lightning.errors import DataError
from aigp_lightning.media.ledger.ledger import Ledger
from aigp_lightning.modules.metrics.image_results import RESULTS_FILE
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
    write_receipt(version / "receipt.json", build_receipt(run, files, results, {"passed": True}))
    return version / "receipt.json", run


def outcomes(receipt: Path, run: Path | None = None) -> dict[str, tuple[str, str]]:
    return {each.name: (each.outcome, each.message) for each in check_receipt(receipt, run)}


def wrong(receipt: Path, run: Path | None = None) -> set[str]:
    return {name for name, (outcome, _) in outcomes(receipt, run).items() if outcome == "wrong"}


def test_an_untouched_receipt_is_right(promoted: tuple[Path, Path]) -> None:
    found = outcomes(*promoted)
    missing = {name for name, (outcome, _) in found.items() if outcome == "missing"}
    assert missing == {"data set"}, "which lay in somebody's folder"
    assert {name for name, (outcome, _) in found.items() if outcome == "right"} == {
        "best.ckpt", "best.onnx", RESULTS_FILE, "evaluated model", "metrics", "data set of the metrics", "config.yaml",
        "plan", "the run's weights/best.ckpt", "ledger", "what left, to whom",
    }  # fmt: skip
    assert found["what left, to whom"][1] == "wandb 2 pictures"


def test_without_a_run_it_says_what_it_could_not_see(promoted: tuple[Path, Path]) -> None:
    found = outcomes(promoted[0])
    assert found["run"] == ("missing", "no run folder is given (--run): configuration and ledger are unseen")
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
    assert found["what left, to whom"] == ("right", "wandb 2 pictures")


def test_a_changed_ledger_is_wrong(promoted: tuple[Path, Path]) -> None:
    path = promoted[1] / "media.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:3]))
    assert outcomes(*promoted)["ledger"] == ("wrong", "it had 4 lines, and has 3")
    path.write_bytes(b"".join([*lines[:3], lines[3].replace(b"withheld", b"failed")]))
    assert outcomes(*promoted)["ledger"][1] == "line 4 of it, or one before, was changed"
    path.write_bytes(b"".join([lines[0].replace(b'"bytes": 100', b'"bytes": 1'), *lines[1:]]))
    assert "ledger" in wrong(*promoted), "the head is the same, and the chain is broken"
    assert outcomes(*promoted)["what left, to whom"][0] == "wrong"
    path.unlink()
    assert outcomes(*promoted)["ledger"] == ("missing", "media.jsonl is not there")


def test_a_receipt_with_other_sums_is_wrong(promoted: tuple[Path, Path]) -> None:
    content = read_receipt(promoted[0])
    content["ledger"]["destinations"][1]["sent"] = 0
    write_receipt(promoted[0], content)
    assert wrong(*promoted) == {"what left, to whom"}


def test_a_changed_configuration(promoted: tuple[Path, Path]) -> None:
    receipt, run = promoted
    before = (run / "config.yaml").read_text(encoding="utf-8")
    (run / "config.yaml").write_text(f"# a remark\n{before}", encoding="utf-8")
    assert wrong(receipt, run) == {"config.yaml"}, "the plan is the same"
    (run / "config.yaml").write_text(before.replace("max_mb: null", "max_mb: 9"), encoding="utf-8")
    assert wrong(receipt, run) == {"config.yaml", "plan"}
    (run / "config-before-epoch4.yaml").write_text(before, encoding="utf-8")
    text = "is config-before-epoch4.yaml now: the run went on with other options"
    assert outcomes(receipt, run)["config.yaml"] == ("right", text) and wrong(receipt, run) == set()


def test_invented_metrics_are_wrong(promoted: tuple[Path, Path]) -> None:
    content = read_receipt(promoted[0])
    content["evaluation"]["metrics"][MAP] = 0.9
    content["data"]["images"] = 1000
    write_receipt(promoted[0], content)
    assert wrong(*promoted) == {"metrics", "data set of the metrics"}
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
    write_receipt(tmp_path / "receipt.json", build_receipt(tmp_path / "gates", {}, results, {}))
    found = outcomes(tmp_path / "receipt.json", tmp_path / "gates")
    assert found["data set"] == ("right", "11 pictures and 22 labels as they were")
    label = next((data / "labels" / "val").glob("*.txt"))
    label.write_text(label.read_text(encoding="utf-8").replace(" 0.", " 0.1", 1), encoding="utf-8")
    assert wrong(tmp_path / "receipt.json", tmp_path / "gates") == {"data set"}
    shutil.rmtree(data)
    assert outcomes(tmp_path / "receipt.json", tmp_path / "gates")["data set"][0] == "missing"


def test_a_policys_receipt(tmp_path: Path) -> None:
    run = tmp_path / "race"
    make_policy_run(run)
    shutil.copy(run / "best" / "model.zip", tmp_path)
    files = {"model.zip": file_fact(tmp_path / "model.zip")}
    write_receipt(tmp_path / "receipt.json", build_receipt(run, files, None, {}))
    found = outcomes(tmp_path / "receipt.json", run)
    names = {name for name, (outcome, _) in found.items() if outcome == "right"}
    assert names == {"model.zip", "config.yaml", "the run's best/model.zip", "evaluation.json"}
    judged = run / "evaluation" / "best" / "evaluation.json"
    judged.write_text(judged.read_text(encoding="utf-8").replace("0.75", "0.95"), encoding="utf-8")
    assert wrong(tmp_path / "receipt.json", run) == {"evaluation.json"}


def test_names_that_lead_elsewhere_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"x")
    folder = tmp_path / "version"
    folder.mkdir()
    fact = {"sha256": file_fact(tmp_path / "secret").sha256, "bytes": 1}
    write_receipt(folder / "receipt.json", {"receipt": 1, "files": {"../secret": fact}})
    assert wrong(folder / "receipt.json") == {"../secret"}


def test_the_verb(
    promoted: tuple[Path, Path], run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    receipt, run = promoted
    assert run_cli("receipt", "verify", receipt.parent, "--run", run, "--no-data", "--json", "checks.json") == 0
    said = capsys.readouterr().out
    assert "11 checks, and all is as the receipt says; 0 could not be made." in said and "best.onnx" in said
    checks = json.loads(Path("checks.json").read_text(encoding="utf-8"))
    assert checks["right"] is True and len(checks["checks"]) == 11
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
