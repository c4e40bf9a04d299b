"""The files of a version answer as the checkpoint that was measured, or are left out; with real runs of each family."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from receipt_runs import MAP, make_policy_run
from scored_runs import make_scored, write_dot

from aigp_lightning.deploy.export import export
from aigp_lightning.deploy.options import ExportOptions
from aigp_lightning.errors import ConfigError, WeightsError
from aigp_lightning.files import RECEIPT_FILE, sha256_of
from aigp_lightning.modules.registry import load_module, open_weights
from aigp_lightning.modules.thresholds import Thresholds, thresholds_for, write_thresholds
from aigp_lightning.store.candidate import candidate_of
from aigp_lightning.store.checked_files import with_checked_files
from aigp_lightning.store.places import StorePlaces
from aigp_lightning.store.promote import PromoteOptions, promote
from aigp_lightning.store.receipt import build_receipt, file_fact, read_receipt
from aigp_lightning.store.receipt_check import check_receipt
from aigp_lightning.store.verify import check


def copied(run: Path, to: Path) -> Path:
    """A run that is only promoted: without its pictures."""
    shutil.copytree(run, to, ignore=shutil.ignore_patterns("history", "wandb", "*.jpg", "*.png"))
    return to


def files_in(places: StorePlaces, name: str) -> set[str]:
    folder = places.latest(name)
    assert folder is not None
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("fixture", "own"), [("finished", "best.pt"), pytest.param("finished_rfdetr", "best.pth", marks=pytest.mark.slow)]
)
def test_a_real_run_with_its_exports(
    fixture: str, own: str, places: StorePlaces, tmp_path: Path, request: pytest.FixtureRequest,
    run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    run = copied(request.getfixturevalue(fixture), tmp_path / "a")
    words = ("promote", run, "--name", "g", "--store", places.root)
    capsys.readouterr()
    assert run_cli(*words, "--format", "onnx") == 0
    printed = capsys.readouterr().out
    assert "\nbest.onnx  (" in f"\n{printed}"
    assert "/tmp" not in printed.replace(str(places.root), "").replace(str(tmp_path), "")
    assert {own, "best.ckpt", "best.onnx", RECEIPT_FILE} <= files_in(places, "g")
    folder = places.latest("g")
    assert folder is not None
    shown = read_receipt(folder / RECEIPT_FILE)
    value = shown["evaluation"]["metrics"][MAP]
    assert f"{value:.4f}" in printed  # of the first one too
    shutil.copy2(folder / "best.onnx", run / "weights" / "best.onnx")  # one that belongs to it is taken along
    (run / "weights" / "best.torchscript").touch()
    (run / "weights" / own).write_bytes(b"rubbish")
    assert run_cli(*words) == 0
    printed = capsys.readouterr().out
    assert "warning: best.torchscript cannot be opened" in printed
    assert f"warning: {own} cannot be opened" in printed
    assert f"warning: {own} is made anew from best.ckpt" in printed
    assert {own, "best.onnx"} < files_in(places, "g")
    assert "best.torchscript" not in files_in(places, "g")
    folder = places.latest("g")
    assert folder is not None
    made, best = open_weights(folder / own).state_dict(), load_module(folder / "best.ckpt").state_dict()
    name = next(key for key, value in best.items() if value.is_floating_point() and value.dim() > 1)
    torch.testing.assert_close(made[name], best[name], rtol=1e-3, atol=1e-3)
    (run / "weights" / "best.onnx").unlink()
    assert run_cli(*words) == 0
    told = "best.onnx: " + folder.name + " had that, and this version has not; --format onnx adds it"
    assert f"warning: {told}" in capsys.readouterr().out
    assert check(places).problems == []


@pytest.mark.slow
def test_files_of_fewer_bits_belong_by_what_was_measured(finished: Path, tmp_path: Path) -> None:
    """One picture does not tell them apart; `exports.json` does, with the hashes of the model and the file."""
    run = copied(finished, tmp_path / "a")
    best, made = run / "weights" / "best.ckpt", {"best.int8.onnx", "best.int8.xml", "best.int8.bin"}
    export(ExportOptions(str(best), format="onnx,openvino", precision="int8", calibration=2, max_drop=1.0))
    found = with_checked_files(candidate_of(run), tmp_path)
    assert made < set(found.files)
    (run / "weights" / "best.int8.bin").write_bytes(b"cut")
    found = with_checked_files(candidate_of(run), tmp_path)
    assert made & set(found.files) == {"best.int8.onnx"}
    assert [note for note in found.notes if note.startswith("best.int8.xml cannot be opened (")]
    (run / "weights" / "exports.json").unlink()
    (run / "weights" / "best.int8.bin").unlink()
    found = with_checked_files(candidate_of(run), tmp_path)
    assert made & set(found.files) == set()
    assert "best.int8.xml is without its .bin, and left out" in found.notes
    told = "best.int8.onnx is not noted in exports.json as made of this best.ckpt, and is left out"
    assert told in found.notes


def test_files_of_another_training_and_links_are_left_out(finished: Path, tmp_path: Path) -> None:
    run, stranger = copied(finished, tmp_path / "a"), tmp_path / "best.pt"
    other = load_module(run / "weights" / "best.ckpt")
    for value in other.parameters():
        value.data.mul_(1.5)
    assert other.deployment is not None
    other.deployment.write_portable(stranger)
    shutil.copy2(stranger, run / "weights" / "best.pt")
    (run / "weights" / "best.onnx").symlink_to("/etc/passwd")
    found = with_checked_files(candidate_of(run), tmp_path)
    assert found.notes[0] == "best.onnx is a link, which is not followed, and left out"
    assert found.notes[1].startswith("best.pt does not answer as best.ckpt does (boxes and keypoints ")
    assert found.notes[2:] == ["best.pt is made anew from best.ckpt"]
    assert set(found.files) == {"best.ckpt", "best.pt"}
    assert found.files["best.pt"].parent == tmp_path
    (run / "weights" / "best.pt").unlink()
    (run / "weights" / "best.pt").symlink_to("/etc/passwd")
    found = with_checked_files(candidate_of(run), tmp_path)
    assert "best.pt is a link, which is not followed, and left out" in found.notes
    assert found.files["best.pt"].parent == tmp_path
    shutil.move(run / "weights" / "best.ckpt", tmp_path / "best.ckpt")
    (run / "weights" / "best.ckpt").symlink_to(tmp_path / "best.ckpt")
    with pytest.raises(WeightsError, match=r"best.ckpt is a link to .*, which is not followed"):
        candidate_of(run)


def test_thresholds_of_these_weights_are_promoted(finished: Path, places: StorePlaces, tmp_path: Path) -> None:
    run = copied(finished, tmp_path / "a")
    model = run / "weights" / "best.ckpt"
    about = {"model": {"file": "best.ckpt", "sha256": sha256_of(model)}, "rule": "the most f1"}
    write_thresholds(run / "thresholds.json", Thresholds(conf=0.4, about=about))
    made = promote(PromoteOptions(run=run, store=places.root, name="g")).promoted
    assert made is not None and "thresholds.json" in files_in(places, "g")
    folder = places.version(made.version)
    receipt = read_receipt(folder / RECEIPT_FILE)
    assert receipt["thresholds"]["content"]["conf"] == 0.4
    assert receipt["thresholds"]["sha256"] == receipt["files"]["thresholds.json"]["sha256"]
    assert thresholds_for(folder / "best.ckpt") == Thresholds(conf=0.4)  # whoever loads the version has them
    told = {each.name: each.outcome for each in check_receipt(folder / RECEIPT_FILE, run, data=False)}
    assert "wrong" not in told.values() and told["thresholds.json"] == "right"
    # Others for the same weights are another version: the drone flies otherwise.
    write_thresholds(run / "thresholds.json", Thresholds(conf=0.3, about=about))
    again = promote(PromoteOptions(run=run, store=places.root, name="g")).promoted
    assert again is not None and again.version != made.version
    told = {each.name: each.outcome for each in check_receipt(folder / RECEIPT_FILE, run, data=False)}
    assert told["thresholds.json"] == "wrong"  # the run's are not those of the first version any more
    assert check(places).problems == []


def test_thresholds_of_other_weights_are_left_out(finished: Path, tmp_path: Path) -> None:
    run = copied(finished, tmp_path / "a")
    about = {"model": {"file": "best.ckpt", "sha256": "0" * 64}}
    write_thresholds(run / "thresholds.json", Thresholds(conf=0.4, about=about))
    found = with_checked_files(candidate_of(run), tmp_path)
    note = "thresholds.json was calibrated for other weights than those of best.ckpt, and is left out"
    assert note in found.notes and "thresholds.json" not in found.files
    facts = {"best.ckpt": file_fact(run / "weights" / "best.ckpt")}
    assert build_receipt(run, facts, None, {})["thresholds"] is None
    (run / "thresholds.json").write_text("{")
    found = with_checked_files(candidate_of(run), tmp_path)
    assert any(note.startswith("thresholds.json cannot be read (") for note in found.notes)
    (run / "thresholds.json").unlink()
    (run / "thresholds.json").symlink_to("/etc/passwd")
    assert "thresholds.json is a link, which is not followed, and left out" in candidate_of(run).notes


def test_weights_that_are_no_numbers_are_refused(places: StorePlaces, tmp_path: Path) -> None:
    run = make_scored(tmp_path / "a", 30)
    write_dot(run / "weights" / "best.ckpt", float("nan"))
    with pytest.raises(WeightsError, match=r"best.ckpt has weights that are no numbers \(1 of 1 in network.weight\)"):
        promote(PromoteOptions(run=run, store=places.root))
    assert not places.root.exists()
    policy = tmp_path / "p"
    make_policy_run(policy, 0.9, 20, 100)
    (policy / "best" / "vecnormalize.pkl").write_bytes(b"?")
    for weight in (float("inf"), 1.0):
        torch.save({"w": torch.tensor([weight, 1.0])}, tmp_path / "policy.pth")
        with zipfile.ZipFile(policy / "best" / "model.zip", "w") as archive:
            archive.write(tmp_path / "policy.pth", "policy.pth")
        if weight == 1.0:
            assert set(with_checked_files(candidate_of(policy), tmp_path).files) >= {"model.zip", "vecnormalize.pkl"}
            continue
        with pytest.raises(WeightsError, match=r"model.zip has weights that are no numbers \(1 of 2 in w\)"):
            with_checked_files(candidate_of(policy), tmp_path)


def test_a_file_that_changes_after_it_was_checked_is_not_promoted(places: StorePlaces, tmp_path: Path) -> None:
    from aigp_lightning.store.decision import Decision
    from aigp_lightning.store.gates import Judgement
    from aigp_lightning.store.locked_store import LockedStore
    from aigp_lightning.store.promote import ReceiptWriter
    from aigp_lightning.store.promotion import promote_files

    run = make_scored(tmp_path / "a", 30)
    candidate = with_checked_files(candidate_of(run), tmp_path)
    write_dot(run / "weights" / "best.ckpt", 2.0)
    writer = ReceiptWriter(candidate, Decision(Judgement(True, []), None, {}), "a", None)
    with pytest.raises(ConfigError, match="has changed since it was checked"), LockedStore(places) as store:
        promote_files(store, "a", candidate.files, writer, 5)
    assert not places.root.exists()
