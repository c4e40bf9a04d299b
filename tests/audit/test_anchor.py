"""The ledger compared with what was kept of it: in checkpoints, in W&B's summary, by hand, in an earlier audit."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from audit_run import PRIVATE_SETTINGS, start_wandb, stop_wandb
from audit_signed_run import complete, keep, rewrite

from aigp_lightning.audit.check import audit
from aigp_lightning.audit.findings import Audit
from aigp_lightning.media.ledger.anchor import anchor_of
from aigp_lightning.media.ledger.ledger import LEDGER_FILE, read_ledger

Cli = Callable[..., int]
LAST, BEST = "weights/last.ckpt", "weights/best.ckpt"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of 20 lines that nobody signed."""
    return complete(tmp_path / "runs" / "gates", key=None)


def heads(run: Path) -> list[str]:
    return read_ledger(run / LEDGER_FILE).heads


def found(result: Audit) -> list[str]:
    assert {finding.what for finding in result.findings} <= {"anchor"}, result.findings
    return [f"{finding.file}: {finding.message}" for finding in result.findings]


def save(run: Path, name: str, **content: Any) -> None:
    (run / name).parent.mkdir(exist_ok=True)
    torch.save({"epoch": 1, "state_dict": {"w": torch.zeros(3)}, **content}, run / name)


def at(run: Path, lines: int) -> dict[str, Any]:
    return anchor_of(read_ledger(run / LEDGER_FILE), lines).as_dict()


def make_source_harmless(lines: list[dict[str, Any]]) -> None:
    lines[8]["sources"] = ["data/harmless.png"]


# ---- checkpoints -----------------------------------------------------------------------------------------------------


def test_checkpoints_that_know_an_earlier_state(run: Path, run_cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    save(run, LAST, ledger=at(run, 12))
    save(run, BEST, ledger=at(run, 6))
    result = audit(run)
    assert result.clean
    assert result.anchors == {LAST: 12, BEST: 6}
    assert run_cli("audit", run) == 0
    assert capsys.readouterr().out.endswith("confirmed by: weights/last.ckpt (line 12), weights/best.ckpt (line 6)\n")
    assert result.as_dict()["anchors"] == result.anchors


def test_a_ledger_that_was_rewritten_before_a_checkpoints_line(run: Path) -> None:
    """And not one that was changed after it: that line the checkpoint doesn't know."""
    save(run, LAST, ledger=at(run, 12))
    save(run, BEST, ledger=at(run, 6))
    before = heads(run)[12]
    rewrite(run, make_source_harmless)
    now = heads(run)[12]
    assert found(audit(run)) == [
        f"{LAST}: it knows line 12 by the hash {before[:12]}…, and the ledger's has {now[:12]}…: this line, or one "
        "before it, was changed."
    ]


def test_a_ledger_that_was_cut_off_or_removed(run: Path) -> None:
    save(run, LAST, ledger=at(run, 18))
    keep(run / LEDGER_FILE, lambda lines: lines[:6])
    message = f"{LAST}: it knows 18 lines of the ledger, which has 6: lines were removed."
    result = audit(run)
    assert message in [f"{finding.file}: {finding.message}" for finding in result.findings]
    (run / LEDGER_FILE).unlink()
    messages = [finding.message for finding in audit(run).findings if finding.what == "anchor"]
    assert messages == ["it knows a ledger of 18 lines, and there is no media.jsonl."]


def test_a_checkpoint_that_says_other_totals(run: Path) -> None:
    anchor = at(run, 6)
    anchor["totals"]["file"]["written"]["pictures"] = 4
    save(run, LAST, ledger=anchor)
    assert found(audit(run)) == [
        f"{LAST}: totals of the first 6 lines differ from what it says: file, written: 3 pictures with 21 bytes, not 4 "
        "with 21."
    ]


def test_older_checkpoints_know_no_ledger(run: Path) -> None:
    save(run, LAST)
    save(run, BEST, ledger={"head": "0" * 64, "lines": 0, "totals": {}})  # saved before the first picture was drawn
    result = audit(run)
    assert result.clean
    assert result.anchors == {}


@pytest.mark.parametrize("content", ["x", {"head": "ab", "lines": 3}, {"head": "ab" * 32, "lines": -1}, [1]])
def test_what_no_run_writes_is_a_difference(content: object, run: Path) -> None:
    save(run, LAST, ledger=content)
    assert found(audit(run)) == [f"{LAST}: what it says of the ledger is none of what a run writes."]


def test_a_checkpoint_that_cannot_be_read_is_a_remark(run: Path) -> None:
    """Noise, or one that is cut off."""
    (run / "weights").mkdir()
    (run / LAST).write_bytes(b"\x80\x02noise")
    save(run, BEST)
    (run / BEST).write_bytes((run / BEST).read_bytes()[:-100])
    result = audit(run)
    assert result.clean
    unread = [note for note in result.notes if "cannot read" in note]
    assert [LAST in unread[0], BEST in unread[1]] == [True, True]
    assert all("\n" not in note for note in unread)


def test_a_checkpoint_that_asks_for_code_is_read_without_it(run: Path) -> None:
    save(run, BEST, more=Path("x"), ledger=at(run, 7))
    result = audit(run)
    assert (result.clean, result.anchors) == (True, {BEST: 7})


# ---- W&B -------------------------------------------------------------------------------------------------------------


def test_wandbs_summary(run: Path) -> None:
    """Two starts, each with the head at its end; the ledger is compared with both."""
    for lines in (12, 20):
        wandb_run = start_wandb(run, **PRIVATE_SETTINGS)
        wandb_run.summary.update({"ledger/head": heads(run)[lines], "ledger/lines": lines})
        stop_wandb()
    result = audit(run)
    assert result.clean
    assert sorted(result.anchors.values()) == [12, 20]
    rewrite(run, lambda lines: lines[-1].update(time="2001-01-01T00:00:00Z"))  # the last line: no chain shows that
    (message,) = found(audit(run))
    assert message.startswith("W&B's summary in offline-run-")
    assert "it knows line 20 by the hash" in message


# ---- --head ----------------------------------------------------------------------------------------------------------


def test_the_head(run: Path, run_cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    head = heads(run)[-1]
    assert run_cli("audit", run) == 0
    assert capsys.readouterr().out.endswith(f"ledger: 20 lines, head {head}\n")
    for digits in (head, head.upper(), head[:12], f" {head} "):
        assert run_cli("audit", run, "--head", digits) == 0
        assert f"The head is the one that was asked for: {head}, 20 lines." in capsys.readouterr().out


def test_a_changed_last_line_is_found_by_the_head_alone(
    run: Path, run_cli: Cli, capsys: pytest.CaptureFixture[str]
) -> None:
    head = heads(run)[-1]
    lines = (run / LEDGER_FILE).read_bytes()
    (run / LEDGER_FILE).write_bytes(
        lines.replace(b'"reason": "private image", "prev"', b'"reason": "budget", "prev"', 20)
    )
    rewrite(run, lambda lines: None)
    assert run_cli("audit", run) == 0
    capsys.readouterr()
    assert run_cli("audit", run, "--head", head) == 1
    told = f"its head is {heads(run)[-1][:12]}…; {head[:12]}… is the hash of no line: this is another ledger, or it was"
    assert told in capsys.readouterr().out


def test_a_ledger_that_has_gone_on(run: Path, run_cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    """It is told apart from one that was rewritten, and it is not the head that was asked for."""
    earlier = heads(run)[18]
    assert run_cli("audit", run, "--head", earlier) == 1
    assert f"{earlier[:12]}… is its head after line 18 of 20: 2 lines were added since." in capsys.readouterr().out


@pytest.mark.parametrize("head", ["", "abc", "0123456789a", "g" * 64, "a" * 65])
def test_what_is_no_hash(head: str, run: Path, run_cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli("audit", run, "--head", head) == 2
    assert "64 hexadecimal digits" in capsys.readouterr().err


def test_digits_that_fit_several_lines(run: Path) -> None:
    """Of an empty ledger's zeros and a hash that was made up: real ones do not share twelve digits."""
    from aigp_lightning.audit.check_anchor import check_head
    from aigp_lightning.errors import ConfigError
    from aigp_lightning.media.ledger.ledger import Lines

    lines = Lines()
    lines.heads = ["0" * 64, "0" * 63 + "1"]
    with pytest.raises(ConfigError, match="fits lines 0, 1: give more of its digits"):
        check_head(Audit(run, lines), "0" * 12)


def test_a_run_without_a_ledger(run: Path, run_cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    for path in run.iterdir():
        path.unlink()
    (run / "results.csv").write_text("epoch\n", encoding="utf-8")
    assert run_cli("audit", run, "--head", "ab" * 32) == 1
    assert "there is no ledger, and its head was to be abababababab…" in capsys.readouterr().out


# ---- --expect --------------------------------------------------------------------------------------------------------


@pytest.fixture
def kept(run: Path, tmp_path: Path, run_cli: Cli, capsys: pytest.CaptureFixture[str]) -> Path:
    """What an audit wrote when the run had ended."""
    assert run_cli("audit", run, "--json", tmp_path / "audit.json") == 0
    capsys.readouterr()
    return tmp_path / "audit.json"


def test_a_ledger_as_it_was(run: Path, kept: Path, run_cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    """By all that `--json` writes, and by the anchor in it alone."""
    anchor = json.loads(kept.read_text(encoding="utf-8"))["anchor"]
    assert anchor == anchor_of(read_ledger(run / LEDGER_FILE)).as_dict()
    alone = kept.with_name("anchor.json")
    alone.write_text(json.dumps(anchor), encoding="utf-8")
    for path in (kept, alone):
        assert run_cli("audit", run, "--expect", path) == 0
        assert f"Head and totals are those of {path}: {anchor['head']}, 20 lines." in capsys.readouterr().out


def test_every_difference_is_a_line(run: Path, kept: Path, run_cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    before = heads(run)[-1]
    rewrite(
        run, lambda lines: [lines[1].update(outcome="sent", reason=""), lines[3].update(destination="other:Friend")]
    )
    assert run_cli("audit", run, "--expect", kept, "--json", "-") == 1
    findings = json.loads(capsys.readouterr().out)["findings"]
    assert [finding["message"] for finding in findings if finding["what"] == "anchor"] == [
        f"its head is {heads(run)[-1][:12]}…; {before[:12]}… is the hash of no line: this is another ledger, or it was "
        "rewritten.",
        f"totals differ from {kept}: other:Board, sent: 1 pictures with 7 bytes, not 0 with 0.",
        f"totals differ from {kept}: other:Board, withheld: 8 pictures with 62 bytes, not 10 with 76.",
        f"totals differ from {kept}: other:Friend, withheld: 1 pictures with 7 bytes, not 0 with 0.",
    ]


def test_a_ledger_that_was_cut_off_or_has_gone_on(run: Path, kept: Path, tmp_path: Path) -> None:
    from aigp_lightning.audit.check_anchor import check_expected

    longer = Path(shutil.copytree(run, tmp_path / "longer"))
    keep(run / LEDGER_FILE, lambda lines: lines[:18])
    result = Audit(run, read_ledger(run / LEDGER_FILE))
    check_expected(result, kept)
    assert "is the hash of no line" in result.findings[0].message
    assert result.findings[0].message.endswith(f"it has 18 lines, {kept} 20.")
    short = tmp_path / "short.json"
    short.write_text(json.dumps(at(run, 18)), encoding="utf-8")
    result = Audit(longer, read_ledger(longer / LEDGER_FILE))
    check_expected(result, short)
    assert "is its head after line 18 of 20: 2 lines were added since." in result.findings[0].message
    assert len(result.findings) == 3  # and the totals of both destinations


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"anchor": 3}', '{"clean": true}', "[" * 100_000])
def test_what_no_audit_wrote(
    text: str, run: Path, tmp_path: Path, run_cli: Cli, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.json").write_text(text, encoding="utf-8")
    assert run_cli("audit", run, "--expect", tmp_path / "x.json") == 2
    assert "is not what `audit --json FILE` of this version writes." in capsys.readouterr().err
    assert run_cli("audit", run, "--expect", tmp_path / "nowhere.json") == 2
    assert "cannot be read" in capsys.readouterr().err


def test_a_run_that_had_no_ledger(run: Path, tmp_path: Path) -> None:
    from aigp_lightning.audit.check_anchor import check_expected

    (tmp_path / "x.json").write_text('{"anchor": null}', encoding="utf-8")
    result = Audit(run, read_ledger(run / LEDGER_FILE))
    check_expected(result, tmp_path / "x.json")
    assert found(result) == [f"media.jsonl: it has 20 lines, and {tmp_path / 'x.json'} says that there is no ledger."]
    result = Audit(run, None)
    check_expected(result, tmp_path / "x.json")
    assert result.clean
