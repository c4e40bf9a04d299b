"""Paths are paths: odd names of folders and files arrive as they were typed, and mean nothing but themselves."""

from __future__ import annotations

import json
import locale
import os
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from helpers import draw_squares

from aigp_lightning.cli.parser import keep_existing, parse_options
from aigp_lightning.cli.ppo import parse
from aigp_lightning.data.data_yaml import DataSpec, read_data_yaml
from aigp_lightning.data.listing import find_images
from aigp_lightning.data.sources import open_sources
from aigp_lightning.errors import ConfigError, DataError
from aigp_lightning.policy.config import PolicyConfig
from aigp_lightning.run.folder import claim_folder

COMPOSED, APART = (unicodedata.normalize(form, "höf") for form in ("NFC", "NFD"))
ODD = (
    *("[a]", "[a, b]", "run [1]", "{x}", "{a: b}", "{run_folder}", "{task}", "#1", "a #1", "a#1", "100%", "%(prog)s"),
    *(" blanks ", "it's", 'say "so"', "'q'", "~", "~root", "$HOME", "${HOME}", "-dash", "--dash", "- item", "a,b"),
    *("a: b", "a::b", "&a", "*a", "!a", "|", ">", "@a", "`a`", "?", "007", "1e3", "0x10", "12:30:45", "yes", "NULL "),
    *(COMPOSED, APART, "门", "a\tb", "back\\slash", "latin\udcf6", "=x", "a=b"),
)
posix = pytest.mark.skipif(os.name == "nt", reason="such names are POSIX's")


@dataclass
class Options:
    """Options of the kinds that take paths.

    Args:
        text: always there.
        maybe: may be null.
        names: one or several.
    """

    text: str = "-"
    maybe: str | None = None
    names: str | list[str] | None = None


def parsed(*words: str) -> Options:
    return parse_options(Options, "try", words, "", "")


def test_names_given_twice_both_count() -> None:
    """The second `--media.private` made the images of the first ones public."""
    words = ["--media.private", "a.png", "--media.private=b.png", "--run.name", "x", "--run.name", "y"]
    assert keep_existing(words)[:4] == ["--media.private", "a.png", "--media.private+=b.png", "--run.name"]
    assert keep_existing(words)[4:] == ["x", "--run.name", "y"]


# ---- what is typed --------------------------------------------------------------------------------------------------


@posix
@pytest.mark.parametrize("name", ODD)
def test_what_is_typed_arrives(name: str) -> None:
    given = parsed(f"--text={name}", f"--maybe={name}/a.jpg", f"--names={name}.jpg")
    assert given == Options(name, f"{name}/a.jpg", f"{name}.jpg")
    Path(name).mkdir()  # what would be a list or a mapping is none where it exists
    assert parsed(f"--maybe={name}").maybe == (None if name.strip() in ("~", "NULL") else name)


@pytest.mark.parametrize("word", ["null", "~"])
def test_null_is_null_and_a_list_is_a_list(word: str) -> None:
    given = parsed("--maybe", word, "--names", '["#1.jpg", "[a].jpg"]')
    assert (given.maybe, given.names) == (None, ["#1.jpg", "[a].jpg"])


@posix
@pytest.mark.parametrize("form", ["words", "configuration"])
def test_every_option_of_a_run_that_takes_a_path(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`#1.jpg` under media.private was no image at all, and its pictures left."""
    from aigp_lightning.cli import training

    class Parsed(Exception):
        pass

    class Parser(training.AigpCLI):
        def before_instantiate_classes(self) -> None:
            raise Parsed(self.config[self.verb], self._parser(self.verb).dump(self.config[self.verb]))

    names = ("#1 [a].jpg", "[a]", "a: b", "latin\udcf6", "{run_folder}", "&x", "007", "[b]", "[c]", "~x", "- d")
    for name in names:
        if name != "&x":  # a file to be written, which no folder may be
            Path(name).mkdir()
    keys = ("data.data_yaml", "model.weights", "model.variant", "ckpt_path", "run.root", "run.json", "run.name",
            "media.private", "media.val_files", "media.sign", "data.source")  # fmt: skip
    typed = dict(zip(keys, names, strict=True))
    with pytest.raises(Parsed) as caught:
        training.run_cli(Parser, "fit", [f"--{key}={name}" for key, name in typed.items()])
    if form == "configuration":
        Path("[c] #1").mkdir()
        Path("[c] #1", "~ ä.yaml").write_text(caught.value.args[1], encoding="utf-8")
        monkeypatch.chdir("[c] #1")
        with pytest.raises(Parsed) as caught:
            training.run_cli(Parser, "fit", ["--config", "~ ä.yaml"])
    config = caught.value.args[0]
    lists = {"media.private", "media.val_files", "data.source"}
    got = {key: config[key.replace("model.", "model.init_args.")] for key in keys}
    assert {key: os.fspath(each) if key == "ckpt_path" else each for key, each in got.items()} == {
        key: [name] if key in lists else name for key, name in typed.items()
    }


# ---- configurations -------------------------------------------------------------------------------------------------


@pytest.fixture
def plain_locale() -> Iterator[None]:
    """A process whose files are ASCII unless it says otherwise."""
    before = locale.setlocale(locale.LC_CTYPE)
    locale.setlocale(locale.LC_CTYPE, "C")
    yield
    locale.setlocale(locale.LC_CTYPE, before)


@posix
@pytest.mark.parametrize("name", ["[a] #1", "{x}: 'y'", "~", " 100% ", "latin\udcf6"])
def test_a_runs_own_configuration_is_found_and_read_as_utf8(name: str, plain_locale: None) -> None:
    """The defaults came in its place, and were written over it, where a folder was called `[a]`."""
    Path(name).mkdir()
    text = yaml.safe_dump({"seed": 7, "output": "Tür"}, allow_unicode=True)
    Path(name, "config.yaml").write_text(text, encoding="utf-8")
    assert parse(PolicyConfig, "fit", ["--output=x"], f"{name}/config.yaml").seed == 7
    found = parse(PolicyConfig, "fit", [f"--config={name}/config.yaml", "--ppo.n_steps", "9"])
    assert (found.seed, found.output, found.ppo.n_steps) == (7, "Tür", 9)


def test_a_configuration_of_nothing_and_one_of_another_encoding() -> None:
    Path("none.yaml").write_text("\ufeff# seed: 8\n\n", encoding="utf-8")
    assert parse(PolicyConfig, "fit", ["--config", "none.yaml"]) == PolicyConfig()
    Path("latin.yaml").write_bytes(b"seed: 8\noutput: T\xfcr\n")
    with pytest.raises(ConfigError, match=r"^--config .*latin\.yaml:2: it is not UTF-8 text; save it as UTF-8\.$"):
        parse(PolicyConfig, "fit", ["--config", "latin.yaml"])


# ---- data -----------------------------------------------------------------------------------------------------------


def image(*parts: str) -> str:
    """An empty file in new folders."""
    path = os.path.join(*parts)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    Path(path).touch()
    return path


@posix
@pytest.mark.parametrize("name", ODD)
def test_a_data_set_whatever_its_folders_are_called(name: str, tmp_path: Path) -> None:
    """A root in brackets had no images, and `path: ~` or a list's line with `#` meant something else."""
    root = str(tmp_path / name)
    there = sorted(image(root, name, f"{at}{name}.png") for at in (0, 1))
    # `0[1].png` and `01.png`: what would be read as a pattern has something to fit
    image(root, "a", f"0{name}.png")
    listed = Path(root, f"{name}.txt")
    lines = [f"{name}/0{name}.png", f"{there[1]}  # dark", f"# {there[0]}", ""]
    listed.write_bytes("\n".join(lines).encode("utf-8", "surrogateescape"))
    splits = {"train": (f"{root}/{name}",), "val": (f"{root}/{name}/*.png",), "test": (str(listed),)}
    spec = DataSpec(Path(root, "data.yaml"), Path(root), {0: "gate"}, splits)
    for split in splits:
        assert find_images(spec, split) == (there, []), split
    if "\udcf6" in name or "\t" in name:
        return  # which no YAML has
    content = {"path": name, "train": ".", "val": name, "names": ["gate"]}
    image(root, name, name, "x.png")
    Path(root, "data.yaml").write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    os.chdir(tmp_path)
    read = read_data_yaml(f"{name}/data.yaml")
    assert (str(read.root), read.splits["val"]) == (f"{root}/{name}", (f"{root}/{name}/{name}",))


def test_names_are_the_same_however_their_letters_are_composed(tmp_path: Path) -> None:
    """A data set that was packed on a Mac, and listed elsewhere."""
    there = image(str(tmp_path), APART, f"{APART}.png")
    (tmp_path / "list.txt").write_text(f"{COMPOSED}/{COMPOSED}.png\n./{COMPOSED}/{COMPOSED}.png\n", encoding="utf-8")
    (tmp_path / "data.yaml").write_text(f"train: list.txt\nval: {COMPOSED}\nnames: [gate]\n", encoding="utf-8")
    spec = read_data_yaml(tmp_path / "data.yaml")
    assert find_images(spec, "train")[0] == [there, there]
    assert find_images(spec, "val")[0] == [there]
    glob = DataSpec(spec.file, tmp_path, {0: "gate"}, {"train": (f"{tmp_path}/{APART}/{COMPOSED[:2]}*.png",)})
    assert find_images(glob, "train")[0] == [there]


def test_a_list_in_another_encoding_is_refused(tmp_path: Path) -> None:
    image(str(tmp_path), "höf.png")
    spec = DataSpec(tmp_path / "data.yaml", tmp_path, {0: "gate"}, {"train": (f"{tmp_path}/list.txt",)})
    (tmp_path / "list.txt").write_bytes("a.png\nhöf.png\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"list\.txt:2: not UTF-8, and no file is named so; save the list as UTF-8"):
        find_images(spec, "train")
    (tmp_path / "list.txt").write_text("höf.png\r\n", encoding="utf-16")
    assert find_images(spec, "train")[0] == [f"{tmp_path}/höf.png"]


@posix
@pytest.mark.parametrize("name", ODD)
def test_sources_to_predict_whatever_they_are_called(name: str, tmp_path: Path) -> None:
    import cv2
    import numpy as np

    data = cv2.imencode(".png", np.zeros((16, 16, 3), np.uint8))[1].tobytes()
    there = image(str(tmp_path), name, f"0{name}.png")
    Path(there).write_bytes(data)
    for decoy in ("a", "1", "run 1"):
        Path(image(str(tmp_path), decoy, "0a.png")).write_bytes(data)
    for source in (name, f"{name}/0{name}.png", f"{name}/*.png", str(tmp_path / name)):
        dataset = open_sources(source, imgsz=64)
        assert [os.path.abspath(dataset.name(index)) for index in range(len(dataset))] == [there], source


# ---- loggers --------------------------------------------------------------------------------------------------------


def test_a_dollar_in_a_run_folder_is_no_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lightning expands variables in the whole path, so the events were written elsewhere."""
    from aigp_lightning.loggers.tensorboard import ResilientTensorBoardLogger

    monkeypatch.setenv("ELSEWHERE", str(tmp_path / "elsewhere"))
    (tmp_path / "$ELSEWHERE").mkdir()
    made = ResilientTensorBoardLogger(str(tmp_path / "$ELSEWHERE"), name="tensorboard", version="")
    assert Path(made.log_dir) == tmp_path / "$ELSEWHERE" / "tensorboard"
    assert Path(ResilientTensorBoardLogger("$ELSEWHERE", name="", version="x").log_dir) == Path("$ELSEWHERE", "x")
    (tmp_path / "$ELSEWHERE").rmdir()
    assert ResilientTensorBoardLogger("$ELSEWHERE", name="", version="x").log_dir == f"{tmp_path}/elsewhere/x"


def test_a_run_folder_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """TensorBoard's writer ended in a traceback."""
    with pytest.raises(ConfigError, match=r"has bytes in its path that are not UTF-8.*--run\.root chooses another"):
        claim_folder(tmp_path / "latin\udcf6", "gates", exist_ok=False)


# ---- whole runs -----------------------------------------------------------------------------------------------------


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        os.fsdecode(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*") if path.is_file()
    }


@posix
def test_a_run_from_beginning_to_end(
    tmp_path: Path, run_cli: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    """In one folder with all of it in its name; a verb that only reads leaves every file as it was."""
    odd = f' -[a] #1 {{run_folder}}{{task}}~ %s%(prog)s \'q\\ "d" $HOME a,b::c {COMPOSED}{APART}! '
    root, images = tmp_path / odd, tmp_path / odd / "images" / "train"
    draw_squares(root, "train", 4, seed=1)
    draw_squares(root, "val", 2, seed=2)
    for number, name in enumerate(["a #1", "[b]", " c"]):
        (images / f"{number:03}.png").rename(images / f"{name}.png")
        (root / "labels" / "train" / f"{number:03}.txt").rename(root / "labels" / "train" / f"{name}.txt")
    (root / "data.yaml").write_text("train: images/train\nval: images/val\nnames: [square, disc]\n", encoding="utf-8")
    (root / "p [1].txt").write_text("a #1.png\nimages/train/ c.png  # at home\n", encoding="utf-8")
    runs = root / "[runs]"
    shared = ("--data.workers=0", "--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false",
              f"--run.root={runs}", "--run.name={task} #1")  # fmt: skip
    data = (f"--data.data_yaml={root}/data.yaml", "--data.imgsz=64", "--data.batch_size=4")
    begin = (
        f"--media.private={root}/p [1].txt",
        f"--media.val_files={root}/images/val/000.png",
        "--trainer.max_epochs=1",
    )
    assert run_cli("fit", *shared, *data, *begin) == 0
    run = runs / "detect" / "{task} #1"
    assert (run / "masked" / "train_batch0.jpg").is_file()  # two of four are private
    assert list((run / "tensorboard").glob("events.out.tfevents.*"))
    before = snapshot(run)
    best = run / "weights" / "best.ckpt"
    config = f"--config={run}/config.yaml"
    for words in (
        ("validate", config, *shared, "--ckpt_path=last", f"--run.json={root}/{{m}} [1].json"),
        ("predict", *shared, "--run.name=p", "--data.imgsz=64", f"--ckpt_path={best}", f"--data.source={images}"),
        ("export", f"--ckpt_path={best}", f"--out={root}/[out]", "--imgsz=64", "--format=[pt]"),
        ("audit", f"--json={root}/[a].json", f"--image={images}/[b].png", "--", run),
        ("lint", "--", root),
    ):
        assert run_cli(*words) == 0, capfd.readouterr().err
    assert snapshot(run) == before
    assert json.loads((root / "{m} [1].json").read_bytes())["images"] == 2
    found = json.loads((runs / "detect" / "p" / "predictions.json").read_bytes())
    assert {each["file"] for each in found} == {str(path) for path in images.iterdir()}
    assert json.loads((root / "[a].json").read_bytes())["image"]["source"] == f"{images}/[b].png"
    assert (root / "[out]" / "best.pt").stat().st_size > 1e6
