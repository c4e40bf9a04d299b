"""Whoever rewrites a signed ledger is found by anybody who has the public key, and an honest run is not accused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from audit_signed_run import EPOCHS, KEY, OTHER, Run, complete, keep, public_file, rewrite, sign_anew

from aigp_lightning.audit.check import audit
from aigp_lightning.audit.check_signatures import check_signatures
from aigp_lightning.audit.findings import Audit
from aigp_lightning.media.ledger.keys import fingerprint
from aigp_lightning.media.ledger.ledger import LEDGER_FILE, Entry, Ledger, read_ledger
from aigp_lightning.media.ledger.signatures import SIGNATURE_FILE
from aigp_lightning.media.ledger.signer import Signer

PUBLIC = KEY.public_key()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return complete(tmp_path_factory.mktemp("signed") / "gates")


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    """A copy to tamper with."""
    return Path(shutil.copytree(made, tmp_path / "runs" / "gates"))


def messages(result: Audit) -> list[str]:
    assert {finding.what for finding in result.findings} <= {"signature"}, result.findings
    return [f"{finding.file}: {finding.message}" for finding in result.findings]


def test_a_signed_run_is_clean_and_says_by_whom(made: Path) -> None:
    name = fingerprint(PUBLIC)
    result = audit(made, PUBLIC)
    assert result.clean
    assert len(result.notes) == 2  # one of the logger that can't be read back
    assert f"5 signatures by {name} cover 20 lines; the last is of the end, " in result.notes[0]
    without = audit(made)
    assert without.clean
    assert name in without.notes[0]
    assert "Give --key to check that this is the key you expect." in without.notes[0]


def test_the_verb(made: Path, tmp_path: Path, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli("audit", made, "--key", public_file(tmp_path)) == 0
    assert "everything matches: 20 lines of the ledger." in capsys.readouterr().out
    assert run_cli("audit", made, "--key", public_file(tmp_path, OTHER)) == 1
    printed = capsys.readouterr().out
    assert f"line 1 (a start) is signed by {fingerprint(PUBLIC)}, not by {fingerprint(OTHER.public_key())}." in printed
    assert "no signature in it is valid: no line of this ledger is signed." in printed
    assert run_cli("audit", made, "--key", tmp_path / "nowhere.pub") == 2
    assert "--key" in capsys.readouterr().err


def change(line: int, **values: Any) -> Callable[[list[dict[str, Any]]], None]:
    return lambda lines: lines[line - 1].update(values)


REWRITES: dict[str, tuple[Callable[[list[dict[str, Any]]], None], str, int]] = {
    "a source": (change(3, sources=["data/harmless.png"]), "one of lines 1 to 6 was changed", 3),
    "a time": (change(9, time="2001-01-01T00:00:00Z"), "one of lines 7 to 12 was changed", 9),
    "a reason": (change(18, reason="budget"), "one of lines 13 to 18 was changed", 18),
    "an outcome": (change(4, outcome="sent", reason=""), "one of lines 1 to 6 was changed", 4),
    "a destination": (change(2, destination="other:Friend"), "one of lines 1 to 6 was changed", 2),
    "the last line": (change(20, reason="budget"), "one of lines 19 to 20 was changed", 20),
    "the first line": (change(1, step=7), "one of lines 1 to 6 was changed", 1),
    "two lines exchanged": (lambda lines: lines.insert(7, lines.pop(9)), "one of lines 7 to 12 was changed", 8),
    "a line removed": (lambda lines: lines.pop(1), "one of lines 1 to 6 was changed", 2),
    "a line added": (lambda lines: lines.insert(8, dict(lines[7])), "one of lines 7 to 12 was changed", 9),
}


@pytest.mark.parametrize("what", REWRITES)
def test_a_rewritten_and_chained_ledger_is_found_by_its_lines(what: str, run: Path) -> None:
    """The chain itself is whole: without signatures nobody would know."""
    how, told, line = REWRITES[what]
    rewrite(run, how)
    assert read_ledger(run / LEDGER_FILE).problems == []
    result = audit(run, PUBLIC)
    found = [finding for finding in result.findings if told in finding.message]
    assert len(found) == 1
    assert found[0].what == "signature"
    assert found[0].line is not None
    assert found[0].line <= line
    assert any(told in finding.message for finding in audit(run).findings)  # by the keys that the signatures name too
    (run / SIGNATURE_FILE).unlink()
    if what in ("a source", "a time", "a reason"):
        assert audit(run).clean  # which is what signatures are for
    assert any("no line of this ledger is signed" in finding.message for finding in audit(run, PUBLIC).findings)


def test_a_ledger_that_was_signed_anew_with_another_key(run: Path) -> None:
    rewrite(run, change(3, sources=["data/harmless.png"]))
    sign_anew(run, OTHER)
    found = messages(audit(run, PUBLIC))
    assert len(found) == EPOCHS + 3
    assert all(fingerprint(OTHER.public_key()) in message for message in found[:-1])
    assert found[-1] == f"{SIGNATURE_FILE}: no signature in it is valid: no line of this ledger is signed."
    result = audit(run)
    assert result.clean
    assert fingerprint(OTHER.public_key()) in " ".join(result.notes)


def test_one_signature_by_another_key_among_them(run: Path) -> None:
    """Also where no key is given: a run has one."""
    lines = (run / SIGNATURE_FILE).read_bytes().splitlines(keepends=True)
    sign_anew(run, OTHER)
    keep(run / SIGNATURE_FILE, lambda others: [*lines[:4], others[4]])
    for key in (PUBLIC, None):
        assert any("is signed by" in message for message in messages(audit(run, key)))


SIGNATURES: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "the first dropped": lambda lines: lines[1:],
    "one in the middle dropped": lambda lines: [*lines[:2], *lines[3:]],
    "two exchanged": lambda lines: [lines[0], lines[2], lines[1], *lines[3:]],
    "one twice": lambda lines: [*lines[:2], lines[1], *lines[2:]],
    "a field changed": lambda lines: [*lines[:3], lines[3].replace(b'"epoch":2', b'"epoch":1'), *lines[4:]],
    "a time changed": lambda lines: [lines[0].replace(b'"time":"2', b'"time":"3'), *lines[1:]],
    "spaces": lambda lines: [lines[0].replace(b":", b": ", 1), *lines[1:]],
    "noise": lambda lines: [*lines[:2], b"\xff\x00[bold]\n", *lines[2:]],
    "cut off": lambda lines: [*lines, b'{"epoch":2,"he'],
    "all gone": lambda lines: [],
}


@pytest.mark.parametrize("what", SIGNATURES)
def test_signatures_cannot_be_dropped_moved_or_changed(what: str, run: Path) -> None:
    keep(run / SIGNATURE_FILE, SIGNATURES[what])
    for key in (PUBLIC, None):
        found = messages(audit(run, key))
        assert found
        assert any(message.startswith(f"{SIGNATURE_FILE}: ") for message in found)


def test_the_last_signature_dropped(run: Path) -> None:
    """It looks like a run that was killed: its last lines are proven by nothing, which the key's owner is told."""
    keep(run / SIGNATURE_FILE, lambda lines: lines[:-1])
    rewrite(run, change(20, reason="budget"))
    result = audit(run, PUBLIC)
    (message,) = messages(result)
    assert message.startswith(f"{LEDGER_FILE}: lines 19 to 20 are not covered by a signature")
    assert result.findings[0].line == 19
    result = audit(run)
    assert result.clean
    assert any(note.startswith("Lines 19 to 20 are not covered by a signature") for note in result.notes)


def test_lines_after_the_end(run: Path) -> None:
    """The end is signed: no kill explains them, whether a key is given or not."""
    (run / "d.png").write_bytes(b"new")
    ledger = Ledger(run / LEDGER_FILE)
    ledger.add(Entry("val_pred", "d", "d.png", "0" * 64, 3, 0, 2, [], "other:Board", "withheld", "budget"))
    ledger.close()
    (run / "d.png").unlink()
    for key in (PUBLIC, None):
        (message,) = messages(audit(run, key))
        assert message == f"{LEDGER_FILE}: line 21 is not signed, and the run was over before: added later."


def cut(run: Path, lines: int, signatures: int) -> None:
    """Cut ledger and signatures off at the same epoch, and put the files in the state they had then."""
    keep(run / LEDGER_FILE, lambda rows: rows[:lines])
    keep(run / SIGNATURE_FILE, lambda rows: rows[:signatures])
    for name in ("a.png", "b.png", "c.png"):
        (run / name).write_bytes(f"{name} {lines // 6 - 1}".encode())
    (run / "results.png").unlink()


def test_ledger_and_signatures_cut_off_alike_are_found_by_an_anchor_elsewhere_alone(
    run: Path, tmp_path: Path, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli("audit", run, "--json", tmp_path / "audit.json") == 0
    head = read_ledger(run / LEDGER_FILE).heads[-1]
    cut(run, 12, 3)
    result = audit(run, PUBLIC)
    assert result.clean
    assert any(note.startswith("No signature says that this run was over") for note in result.notes)
    capsys.readouterr()
    assert run_cli("audit", run, "--key", public_file(tmp_path), "--head", head) == 1
    assert f"{head[:12]}… is the hash of no line" in capsys.readouterr().out
    assert run_cli("audit", run, "--key", public_file(tmp_path), "--expect", tmp_path / "audit.json") == 1
    assert "it has 12 lines" in capsys.readouterr().out


def test_a_ledger_cut_off_alone(run: Path) -> None:
    signatures = (run / SIGNATURE_FILE).read_bytes()
    cut(run, 12, 3)
    (run / SIGNATURE_FILE).write_bytes(signatures)
    (message,) = messages(audit(run, PUBLIC))
    assert message == (
        f"{LEDGER_FILE}: the signature of epoch 2 covers 18 lines, and there are 12: lines were removed from its end."
    )


def test_a_ledger_that_is_gone(run: Path) -> None:
    (run / LEDGER_FILE).unlink()
    found = [finding.message for finding in audit(run, PUBLIC).findings if finding.what == "signature"]
    assert found == [f"it covers a ledger of 20 lines, and there is no {LEDGER_FILE}."]


def test_signatures_of_another_run(run: Path, tmp_path: Path) -> None:
    """All of them, or one that follows this run's own."""
    other = complete(tmp_path / "other")
    shutil.copy(other / SIGNATURE_FILE, run / SIGNATURE_FILE)
    rewrite(run, lambda lines: [line.update(time="2001-01-01T00:00:00Z") for line in lines])
    assert any("one of lines 1 to 6 was changed" in message for message in messages(audit(run, PUBLIC)))
    shutil.copytree(complete(tmp_path / "third"), run, dirs_exist_ok=True)
    keep(run / SIGNATURE_FILE, lambda lines: [*lines, (other / SIGNATURE_FILE).read_bytes().splitlines(True)[-1]])
    assert any("is of another run (other)" in message for message in messages(audit(run, PUBLIC)))


def test_a_folder_of_another_name_is_a_remark(run: Path) -> None:
    result = audit(run.rename(run.with_name("renamed")), PUBLIC)
    assert result.clean
    assert "It was signed as run gates; this folder has another name." in result.notes


def test_a_configuration_that_signs_and_no_signatures(run: Path) -> None:
    (run / SIGNATURE_FILE).unlink()
    (run / "config.yaml").write_text("media:\n  sign: /home/me/key\n", encoding="utf-8")
    (message,) = messages(audit(run))
    assert "config.yaml says that the run signs (media.sign)" in message
    (run / "config.yaml").write_text("media:\n  sign: null\n", encoding="utf-8")
    assert audit(run).clean
    (run / "config.yaml").write_bytes(b"media: [sign: {")
    assert audit(run).clean


def test_no_change_of_any_byte_goes_unnoticed(made: Path) -> None:
    """Of the signatures or of the ledger; and none ends the audit."""
    import random

    dice = random.Random(5)
    texts = {name: (made / name).read_bytes() for name in (LEDGER_FILE, SIGNATURE_FILE)}
    for _ in range(150):
        name = dice.choice(list(texts))
        data = bytearray(texts[name])
        for place in dice.sample(range(len(data)), dice.choice((1, 1, 3))):
            data[place] = dice.choice([byte for byte in (10, 34, 48, 125, dice.randrange(256)) if byte != data[place]])
        (made / name).write_bytes(data)
        lines = read_ledger(made / LEDGER_FILE)
        result = Audit(made, lines)
        check_signatures(result, PUBLIC)
        (made / name).write_bytes(texts[name])
        assert result.findings or lines.problems, (name, bytes(data))
        json.dumps(result.as_dict())


# ---- runs that were killed and resumed -------------------------------------------------------------------------------


def killed(folder: Path) -> Path:
    """Killed in its second epoch: lines 7 to 10 are not signed."""
    run = Run(folder)
    run.epoch(0)
    run.draw("a.png", 1)
    run.draw("b.png", 1)
    run.close()
    return folder


def test_a_run_that_was_killed(tmp_path: Path) -> None:
    run = killed(tmp_path / "gates")
    result = audit(run)
    assert result.clean
    assert any(note.startswith("Lines 7 to 10 are not covered by a signature") for note in result.notes)
    (message,) = messages(audit(run, PUBLIC))
    assert "lines 7 to 10 are not covered by a signature: the run was killed or still runs" in message


def test_a_run_that_was_killed_and_resumed_is_clean(tmp_path: Path) -> None:
    folder = killed(tmp_path / "gates")
    run = Run(folder)
    run.draw("c.png", 1)
    run.sign("epoch", 1)
    run.sign("end", 1)
    run.close()
    result = audit(folder, PUBLIC)
    assert result.clean
    assert any(
        note.startswith("Lines 7 to 10 were signed only when the run was started again") for note in result.notes
    )


@pytest.mark.parametrize("left", [0, 1, 2])
def test_signatures_removed_before_a_run_is_resumed(left: int, run: Path) -> None:
    """The run that goes on signs what the forger has written; more than a kill leaves unsigned shows that."""
    keep(run / SIGNATURE_FILE, lambda lines: lines[:left])
    rewrite(run, change(14, sources=["data/harmless.png"]))
    again = Run(run)
    again.sign("end", 2)
    again.close()
    (message,) = messages(audit(run, PUBLIC))
    first = {0: 1, 1: 1, 2: 7}[left]
    assert message.startswith(f"{LEDGER_FILE}: lines {first} to 20 were signed only when the run was started again")
    assert message.endswith("no signature was made while they were written.")
    assert audit(run).clean == (left == 0)  # without a key, it may be a run that began to sign late


def test_epochs_without_signing_in_between(tmp_path: Path) -> None:
    folder = tmp_path / "gates"
    first = Run(folder)
    first.epoch(0)
    first.sign("stop", 0)
    first.close()
    without = Run(folder, None)
    without.epoch(1)
    without.epoch(2)
    without.close()
    (message,) = messages(audit(folder, PUBLIC))
    assert message == f"{LEDGER_FILE}: lines 7 to 18 are not signed, and the run was over before: added later."
    last = Run(folder)
    last.sign("end", 2)
    last.close()
    (message,) = messages(audit(folder, PUBLIC))
    assert "lines 7 to 18 were signed only when the run was started again" in message


def test_a_signer_that_says_other_totals(run: Path) -> None:
    """The signature is valid, and what it says of the ledger is not."""
    ledger = Ledger(run / LEDGER_FILE)
    ledger._totals["file"]["written"]["pictures"] = 3
    Signer(ledger, run, KEY, pytest.fail).sign("end", 2)
    ledger.close()
    (message,) = messages(audit(run, PUBLIC))
    assert (
        "the signature of the end says other totals: file, written: 10 pictures with 76 bytes, not 3 with 76" in message
    )
