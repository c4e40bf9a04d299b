"""The page for those who come from Ultralytics has every setting, as the conversion takes it.

With `AIGP_WRITE_TABLE=1` in the environment, the tables are written into docs/coming-from-ultralytics.md.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from helpers import REPO

from aigp_lightning.cli.option_names import GROUPS, MODELS, OWN
from aigp_lightning.deploy.options import ExportOptions
from aigp_lightning.recipes.key import GROUPS as PAGE_GROUPS
from aigp_lightning.recipes.page import END, START, page_table
from aigp_lightning.recipes.ultralytics_keys import KEYS, nearest_key, our_option

PAGE = REPO / "docs" / "coming-from-ultralytics.md"


def known_options() -> set[str]:
    """Every option of a verb, of every class of ours."""
    tables = [GROUPS, *MODELS.values()]
    names = {f"{group}.{name}".lstrip(".") for table in tables for group, listed in table.items()
             for name in listed.split()}  # fmt: skip
    names |= {name for listed in OWN.values() for name in listed} | set(ExportOptions.__dataclass_fields__)
    return names | {group for table in tables for group in table}


def test_the_page_has_the_table() -> None:
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(f"{START}\n")
    wanted = f"{before}{START}\n\n{page_table()}\n{END}{rest.split(END)[1]}"
    if os.environ.get("AIGP_WRITE_TABLE") == "1":
        PAGE.write_text(wanted, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == wanted, "AIGP_WRITE_TABLE=1 writes it"


def test_every_setting_of_the_installed_version_is_in_the_table() -> None:
    from ultralytics.cfg import DEFAULT_CFG_DICT

    unlike = {
        name: (value, KEYS[name].default if name in KEYS else "not in the table")
        for name, value in DEFAULT_CFG_DICT.items()
        if name not in KEYS or value not in (KEYS[name].default, *KEYS[name].older)
    }
    assert unlike == {}


GONE = (
    "half int8 keras save_hybrid crop_fraction label_smoothing boxes v5loader image_weights hide_labels hide_conf "
    "line_thickness fl_gamma min_memory end2end hydra"
)
"""Settings of Ultralytics 8.0.0, 8.0.20, 8.0.40, 8.0.60, 8.0.100, 8.0.150, 8.0.200, 8.1.0, 8.1.40, 8.2.0, 8.2.60,
8.3.0, 8.3.60, 8.3.100, 8.3.150, 8.3.200, 8.4.0, 8.4.40, 8.4.100 and 8.4.150 that the installed one does not have."""


def test_settings_of_earlier_versions_are_in_the_table() -> None:
    assert set(GONE.split()) - set(KEYS) == set()


@pytest.mark.parametrize("name", [name for name, key in KEYS.items() if key.option])
def test_every_option_of_the_table_is_there(name: str) -> None:
    option = KEYS[name].option
    assert option in known_options(), option


def test_every_setting_has_an_option_or_a_reason() -> None:
    assert [name for name, key in KEYS.items() if not key.option and not key.note] == []
    assert {key.group for key in KEYS.values()} == set(PAGE_GROUPS)


def test_links_of_the_notes_lead_to_pages() -> None:
    pages = {page for key in KEYS.values() for page in re.findall(r"\]\(([\w-]+\.md)", key.note)}
    assert {page for page in pages if not (REPO / "docs" / page).is_file()} == set()
    assert len(pages) >= 3


@pytest.mark.parametrize(
    ("word", "verb", "option"),
    [
        *(("epochs", "fit", "trainer.max_epochs"), ("batch", "fit", "data.batch_size")),
        ("lr0", "fit", "model.optim.lr0"),
        *(("conf", "predict", "model.predict_conf"), ("conf", "validate", "model.conf"), ("rect", "test", "data.rect")),
        *(("rect", "fit", "data.rect_training"), ("tracker", "predict", None), ("zzz", "fit", None)),
    ],
)  # fmt: skip
def test_words_of_ultralytics_stand_for_options(word: str, verb: str, option: str | None) -> None:
    assert our_option(word, verb) == option


@pytest.mark.parametrize(
    ("word", "key"), [("epoch", "epochs"), ("lrO", "lr0"), ("batch_size", "batch"), ("mosiac", "mosaic"), ("xyz", None)]
)
def test_the_nearest_setting_is_named(word: str, key: str | None) -> None:
    assert nearest_key(word) == key


def test_the_table_is_light() -> None:
    """The command line asks it before anything heavy is imported."""
    code = "import sys, aigp_lightning.recipes.ultralytics_keys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "aigp_lightning.recipes.training_keys" in loaded
    assert loaded & {"torch", "lightning", "ultralytics", "yaml", "numpy", "jsonargparse"} == set()
