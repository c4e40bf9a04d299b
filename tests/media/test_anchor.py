"""The ledger's anchor while it grows, and the signatures of it: what is signed, resumed runs, kills, full disks."""

from __future__ import annotations

import json
import sys
import threading
import time
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from helpers import largest_file

from aigp_lightning.errors import ConfigError
from aigp_lightning.media.ledger.anchor import Anchor, anchor_of, differing_totals, parse_anchor
from aigp_lightning.media.ledger.ledger import LEDGER_FILE, START, Entry, Ledger, read_ledger
from aigp_lightning.media.ledger.signatures import (
    SIGNATURE_FILE,
    Signature,
    encode_signature,
    is_valid,
    parse_signature,
    sign,
    signed_bytes,
)
from aigp_lightning.media.ledger.signer import Signer, check_same_key, read_signatures

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def entry(number: int = 0, destination: str = "file", outcome: str = "written") -> Entry:
    return Entry("val_pred", f"p{number}", f"p{number}.jpg", "0" * 64, 10 + number, 0, 0, [], destination, outcome)  # type: ignore[arg-type]


def filled(folder: Path, count: int = 3) -> Ledger:
    ledger = Ledger(folder / LEDGER_FILE)
    for number in range(count):
        ledger.add(entry(number))
    return ledger


def test_an_anchor_is_head_length_and_totals(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / LEDGER_FILE)
    assert ledger.anchor() == Anchor(START, 0, {})
    for one in (entry(0), entry(1), entry(1, "wandb", "withheld"), entry(2, "wandb:2", "sent")):
        ledger.add(one)
    ledger.close()
    last = (tmp_path / LEDGER_FILE).read_bytes().splitlines()[-1]
    totals = {
        "file": {"written": {"pictures": 2, "bytes": 21}},
        "wandb": {"withheld": {"pictures": 1, "bytes": 11}},
        "wandb:2": {"sent": {"pictures": 1, "bytes": 12}},
    }
    assert ledger.anchor() == Anchor(sha256(last).hexdigest(), 4, totals)
    assert anchor_of(read_ledger(tmp_path / LEDGER_FILE)) == ledger.anchor()
    again = Ledger(tmp_path / LEDGER_FILE)
    assert again.anchor() == ledger.anchor()
    again.add(entry(3))
    again.close()
    assert json.loads((tmp_path / LEDGER_FILE).read_bytes().splitlines()[-1])["prev"] == ledger.anchor().head
    assert anchor_of(read_ledger(tmp_path / LEDGER_FILE), upto=4) == ledger.anchor()


def test_an_anchor_does_not_change_with_the_ledger_and_is_whole_at_any_moment(tmp_path: Path) -> None:
    """It is taken while another thread writes: each is a prefix of the final chain, its totals included."""
    ledger = Ledger(tmp_path / LEDGER_FILE)
    writer = threading.Thread(target=lambda: [ledger.add(entry(number)) for number in range(2000)])
    writer.start()
    taken = []
    while writer.is_alive() and len(taken) < 200:
        taken.append(ledger.anchor())
        time.sleep(0.0001)
    writer.join()
    ledger.close()
    lines = read_ledger(tmp_path / LEDGER_FILE)
    assert len({anchor.lines for anchor in taken}) > 3  # not all at its end
    assert all(anchor == anchor_of(lines, anchor.lines) for anchor in taken)


def test_a_line_that_a_kill_cut_off_is_in_no_anchor(tmp_path: Path) -> None:
    ledger = filled(tmp_path)
    ledger.close()
    with (tmp_path / LEDGER_FILE).open("ab") as file:
        file.write(b'{"n": 3, "ti')
    assert anchor_of(read_ledger(tmp_path / LEDGER_FILE)) == ledger.anchor()
    assert Ledger(tmp_path / LEDGER_FILE).anchor() == ledger.anchor()


@pytest.mark.parametrize(
    "content",
    [
        None,
        [],
        {"head": "ab" * 32},
        {"head": "ab" * 31, "lines": 1},
        {"head": "AB" * 32, "lines": 1},
        {"head": "ab" * 32 + "\n", "lines": 1},
        {"head": "ab" * 32, "lines": -1},
        {"head": "ab" * 32, "lines": True},
        {"head": "ab" * 32, "lines": 1.0},
        {"head": "ab" * 32, "lines": 1, "totals": []},
        {"head": "ab" * 32, "lines": 1, "totals": {"file": {"written": 3}}},
        {"head": "ab" * 32, "lines": 1, "totals": {"file": {"written": {"pictures": 1}}}},
        {"head": "ab" * 32, "lines": 1, "totals": {3: {"written": {"pictures": 1, "bytes": 1}}}},
        {"head": "ab" * 32, "lines": 1, "totals": {"file": {"written": {"pictures": 1, "bytes": float("nan")}}}},
    ],
)
def test_what_is_no_anchor_is_none(content: object) -> None:
    assert parse_anchor(content) is None


def test_totals_are_compared_both_ways() -> None:
    one = {"file": {"written": {"pictures": 1, "bytes": 9}}}
    assert differing_totals(one, one) == []
    assert differing_totals({}, one) == ["file, written: 0 pictures with 0 bytes, not 1 with 9"]
    assert differing_totals(one, {"wandb": {"sent": {"pictures": 1, "bytes": 9}}}) == [
        "file, written: 1 pictures with 9 bytes, not 0 with 0",
        "wandb, sent: 0 pictures with 0 bytes, not 1 with 9",
    ]


def test_a_ledger_that_somebody_wrote_makes_no_checkpoint_that_cannot_be_read(tmp_path: Path) -> None:
    """PyTorch's reader of plain values knows no integers of a thousand digits."""
    import torch

    ledger = filled(tmp_path, 1)
    for size in (10**1000, -(10**1000), 5):
        ledger.add(replace(entry(1, "\ud800"), bytes=size))
    ledger.close()
    anchor = Ledger(tmp_path / LEDGER_FILE).anchor()
    assert anchor == ledger.anchor()
    assert anchor.totals == {
        "file": {"written": {"pictures": 1, "bytes": 10}},
        "\ud800": {"written": {"pictures": 3, "bytes": 5}},
    }
    torch.save({"ledger": anchor.as_dict()}, tmp_path / "x.ckpt")
    assert parse_anchor(torch.load(tmp_path / "x.ckpt", weights_only=True)["ledger"]) == anchor


# ---- signatures ------------------------------------------------------------------------------------------------------


def signed(folder: Path, key: Ed25519PrivateKey = KEY) -> list[Signature]:
    """A run of two epochs, signed as a run signs."""
    ledger = Ledger(folder / LEDGER_FILE)
    signer = Signer(ledger, folder, key, say=pytest.fail)
    signer.sign("start", -1)
    for epoch in range(2):
        ledger.add(entry(epoch))
        signer.sign("epoch", epoch)
    signer.sign("end", 1)
    ledger.close()
    return read_signatures(folder / SIGNATURE_FILE)


def test_each_signature_signs_head_totals_run_and_the_signature_before(tmp_path: Path) -> None:
    signatures = signed(tmp_path)
    raw = (tmp_path / SIGNATURE_FILE).read_bytes().splitlines()
    lines = read_ledger(tmp_path / LEDGER_FILE)
    assert [(one.n, one.moment, one.epoch, one.lines) for one in signatures] == [
        (0, "start", -1, 0),
        (1, "epoch", 0, 1),
        (2, "epoch", 1, 2),
        (3, "end", 1, 2),
    ]
    for one, line, before in zip(signatures, raw, [None, *raw[:-1]], strict=True):
        assert one.anchor == anchor_of(lines, one.lines)
        assert one.prev == (START if before is None else sha256(before).hexdigest())
        assert (one.run, one.id) == (tmp_path.name, signatures[0].id)
        assert one.key == KEY.public_key().public_bytes_raw().hex()
        content = json.loads(line)
        signature = content.pop("signature")
        text = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
        KEY.public_key().verify(bytes.fromhex(signature), b"aigp_lightning ledger signature 1\n" + text)
    assert len(signatures[0].id) == 32


def test_every_field_is_signed(tmp_path: Path) -> None:
    one = signed(tmp_path)[1]
    assert is_valid(one)
    other = OTHER.public_key().public_bytes_raw().hex()
    changes = {"n": 7, "time": "x", "run": "x", "id": "x", "moment": "end", "epoch": 7, "lines": 7, "head": "ab" * 32}
    changes |= {"totals": {}, "key": other, "prev": "ab" * 32, "signature": "00" * 64}
    assert set(changes) == set(one.__dataclass_fields__)
    for name, value in changes.items():
        assert not is_valid(replace(one, **{name: value})), name


def test_nothing_else_that_the_key_signs_is_taken(tmp_path: Path) -> None:
    """The same bytes without the name of this use are another message."""
    one = signed(tmp_path)[1]
    text = signed_bytes(one).partition(b"\n")[2]
    assert not is_valid(replace(one, signature=KEY.sign(text).hex()))


def test_a_signature_has_one_form(tmp_path: Path) -> None:
    """Spaces, another order, a key twice, numbers in other forms: no line that is read is another than was written."""
    one = signed(tmp_path)[1]
    line = encode_signature(one)
    assert parse_signature(line) == one
    content = json.loads(line)
    for other in (
        json.dumps(content, sort_keys=True).encode(),
        json.dumps(dict(reversed(content.items())), separators=(",", ":")).encode(),
        line.replace(b'"epoch":0', b'"epoch":0.0'),
        line.replace(b'"epoch":0', b'"epoch":false'),
        line.replace(b'"epoch":0', b'"epoch":9,"epoch":0'),
        line[:-1] + b',"more":1}',
        line.replace(b'"lines":1', b'"lines":-1'),
        line + b" ",
        b"[" * 100_000,
        b'{"n":' + b"9" * 5000 + b"}",
    ):
        assert parse_signature(other) is None, other[:80]


def test_a_resumed_run_goes_on_and_a_line_that_a_kill_cut_off_is_removed(tmp_path: Path) -> None:
    before = signed(tmp_path)
    with (tmp_path / SIGNATURE_FILE).open("ab") as file:
        file.write(b'{"epoch":1,"he')
    assert [one.n for one in signed(tmp_path)] == list(range(8))
    after = read_signatures(tmp_path / SIGNATURE_FILE)
    assert after[:4] == before
    assert after[4].prev == before[3].hash
    assert (after[4].moment, after[4].lines, after[4].id) == ("start", 2, before[0].id)
    assert all(map(is_valid, after))


def test_two_runs_have_two_identities(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    assert signed(tmp_path / "one")[0].id != signed(tmp_path / "two")[0].id


def test_a_run_is_signed_by_one_key(tmp_path: Path) -> None:
    signed(tmp_path)
    check_same_key(tmp_path, KEY)
    with pytest.raises(ConfigError, match="A run is signed by one key") as caught:
        check_same_key(tmp_path, OTHER)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(sys.platform == "win32", reason="limits are POSIX")
def test_a_full_disk_is_a_warning_and_the_next_signature_covers_all(tmp_path: Path) -> None:
    ledger, told = filled(tmp_path), []
    signer = Signer(ledger, tmp_path, KEY, told.append)
    signer.sign("start", -1)
    before = (tmp_path / SIGNATURE_FILE).read_bytes()
    with largest_file(len(before) + 100):
        signer.sign("epoch", 0)
    assert (tmp_path / SIGNATURE_FILE).read_bytes() == before
    assert len(told) == 1
    assert "the ledger could not be signed" in told[0]
    signer.sign("epoch", 1)
    ledger.close()
    assert [(one.n, one.epoch) for one in read_signatures(tmp_path / SIGNATURE_FILE)] == [(0, -1), (1, 1)]


def test_signing_takes_less_than_a_millisecond(tmp_path: Path) -> None:
    """The best of many: other processes of this machine are not what is measured."""
    ledger = filled(tmp_path)
    signer = Signer(ledger, tmp_path, KEY, pytest.fail)
    took = []
    for epoch in range(100):
        began = time.perf_counter()
        signer.sign("epoch", epoch)
        took.append(time.perf_counter() - began)
    ledger.close()
    assert min(took) < 1e-3


def test_sign_needs_the_key_of_the_signature(tmp_path: Path) -> None:
    one = signed(tmp_path)[0]
    assert not is_valid(sign(one, OTHER))
