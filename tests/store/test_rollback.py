"""An earlier version made the latest again."""

from __future__ import annotations

import pytest
from promoted_files import promote_bytes

from aigp_lightning.errors import ConfigError, DataError
from aigp_lightning.store.places import StorePlaces, read_link
from aigp_lightning.store.rollback import rollback
from aigp_lightning.store.verify import check


@pytest.fixture
def three(places: StorePlaces) -> tuple[str, str, str]:
    one, two, three = (promote_bytes(places, "gates", content).version for content in (b"one", b"two", b"three"))
    return one, two, three


def test_back_step_by_step_and_forth_again(places: StorePlaces, three: tuple[str, str, str]) -> None:
    one, two, last = three
    assert rollback(places).version == two
    assert read_link(places.link("gates")) == two
    assert (places.link("gates") / "best.ckpt").read_bytes() == b"two"
    done = rollback(places, "gates")
    assert (done.name, done.version, done.before) == ("gates", one, two)
    with pytest.raises(ConfigError, match=rf"no version before the latest. Backups that --to may name: {two}, {last}"):
        rollback(places)
    assert rollback(places, to=last[:5]).version == last
    assert rollback(places).version == one  # which was the latest before
    fourth = promote_bytes(places, "gates", b"four", keep=1).version
    assert places.version_ids() == sorted([one, fourth])  # what was latest before is what stays
    assert rollback(places).version == one
    assert check(places).problems == []


def test_what_cannot_be_meant_is_refused(places: StorePlaces, three: tuple[str, str, str]) -> None:
    before = places.journal.read_bytes()
    for to, message in ((three[2], "is the latest version"), ("ffff", "is no version that is kept"), ("", "is no ver")):
        with pytest.raises(ConfigError, match=message):
            rollback(places, to=to)
    with pytest.raises(ConfigError, match=r"--name x: there is no such model; .* has gates"):
        rollback(places, "x")
    promote_bytes(places, "other", b"one")
    before_other = places.journal.read_bytes()
    with pytest.raises(ConfigError, match=r"which model\? Give --name; .* has gates, other"):
        rollback(places)
    assert before_other.startswith(before)
    assert places.journal.read_bytes() == before_other


def test_a_damaged_version_is_not_made_the_latest(places: StorePlaces, three: tuple[str, str, str]) -> None:
    file = places.versions / three[1] / "best.onnx"
    file.write_bytes(b"owx")
    with pytest.raises(DataError, match=r"is not whole, and was not made the latest: best.onnx: it is not the file"):
        rollback(places)
    assert read_link(places.link("gates")) == three[2]


def test_no_store(places: StorePlaces) -> None:
    with pytest.raises(DataError, match="is no store of models"):
        rollback(places)
    assert not places.root.exists()
