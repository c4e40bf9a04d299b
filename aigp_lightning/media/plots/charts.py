"""The parts that all charts share: figures of Matplotlib's object interface, names that fit, short numbers at ticks.

Neither pyplot nor any setting of Matplotlib's is touched, and each figure has its own canvas: any thread may draw.
Matplotlib is imported when a chart is drawn. Its log axes and `$` in names would start a parser for formulas, which is
slow and not made for threads: ticks get their words from here, and names are plain text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.media.plots.text import Colour, one_line
from aigp_lightning.media.plots.ticks import tick_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 128
"""A power of two: a page's inches times this are its pixels again, to the last bit."""
NORMAL, SMALL = 10.0, 8.5
"""Letter sizes, points."""
INK, FAINT, EDGE, GREY = "#262626", "#e6e6e6", "#8c8c8c", "#bebebe"
NO_GLYPH = "\u25a1"
"""A box instead of a letter that Matplotlib's font lacks."""


def new_figure(width: int, height: int) -> Figure:
    """Make an empty white page.

    Args:
        width: pixels.
        height: pixels.

    Example:
        >>> new_figure(320, 200).bbox.size.tolist()
        [320.0, 200.0]
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def add_axes(
    figure: Figure, box: tuple[float, float, float, float], title: str = "", labels: tuple[str, str] = ("", "")
) -> Axes:
    """Add axes with a line on the left and below, ticks of at most five round numbers, and a title on the left.

    Args:
        figure: the page.
        box: left, top, width and height of the data's area, pixels from the page's top left corner.
        title: above it.
        labels: below it and beside it.

    Example:
        >>> axes = add_axes(new_figure(320, 200), (40, 30, 250, 130), "recall", ("epoch", ""))
        >>> axes.get_title(loc="left"), axes.get_xlabel(), float(axes.bbox.width)
        ('recall', 'epoch', 250.0)
    """
    from matplotlib.ticker import MaxNLocator

    left, top, width, height = box
    page_width, page_height = figure.bbox.width, figure.bbox.height
    axes = figure.add_axes(
        (left / page_width, 1 - (top + height) / page_height, width / page_width, height / page_height)
    )
    axes.set_facecolor("white")
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(EDGE)
    axes.tick_params(labelsize=SMALL, color=EDGE, labelcolor=INK)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
        axis.set_major_formatter(tick_words())
    # A given y: else Matplotlib measures all ticks to find it, which takes a third of the drawing's time.
    axes.set_title(title, loc="left", y=1.0, fontsize=NORMAL, color=INK, parse_math=False)
    axes.set_xlabel(labels[0], fontsize=NORMAL, color=INK, parse_math=False)
    axes.set_ylabel(labels[1], fontsize=NORMAL, color=INK, parse_math=False)
    return axes


def pixels(figure: Figure) -> NDArray[np.uint8]:
    """Draw a figure that `new_figure` made: (H, W, 3) uint8 RGB.

    Example:
        >>> pixels(new_figure(320, 200)).shape
        (200, 320, 3)
    """
    canvas: Any = figure.canvas
    canvas.draw()
    return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])


def notice(words: str, width: int = 1200, height: int = 300) -> Figure:
    """Make a page that only says why there is nothing to plot.

    Example:
        >>> notice("no labels").texts[0].get_text()
        'no labels'
    """
    figure = new_figure(width, height)
    figure.text(0.5, 0.5, words, fontsize=1.7 * NORMAL, color=INK, ha="center", va="center", parse_math=False)
    return figure


def unit(colour: Colour) -> tuple[float, float, float]:
    """Return a colour of 0…255 as Matplotlib's, 0…1.

    Example:
        >>> unit((255, 0, 51))
        (1.0, 0.0, 0.2)
    """
    return colour[0] / 255, colour[1] / 255, colour[2] / 255


@lru_cache(maxsize=1)
def count_colours() -> Any:
    """Return the colours of counts: light to dark blue (Brewer's "Blues"), and white for what is masked.

    The lightest can be told from white, so that what is rare shows.

    Example:
        >>> light, dark = count_colours()([0.0, 1.0])[:, 0].tolist()
        >>> light > dark
        True
    """
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    colours = ListedColormap(colormaps["Blues"](np.linspace(0.08, 1, 256)), "counts").with_extremes(bad="white")
    colours(0.0)  # fills its table, which it does on first use, when threads may share it
    return colours


def shown(text: str, most: int = 28) -> str:
    """Return a name in one line of at most so many letters; of a long one both ends, which tell names apart.

    Example:
        >>> shown("inflatable_start_arch_with_banner", 16)
        'inflata.._banner'
    """
    text = one_line(text)
    end = (most - 2) // 2
    return text if len(text) <= most else f"{text[: most - 2 - end]}..{text[-end:]}"


def told_apart(texts: Sequence[str], points: float, room: float) -> list[str]:
    """Shorten names to one line each that fits; no two become alike.

    A name that would look like another one, or whose letters the font lacks, begins with its place in the list.

    Args:
        texts: the names.
        points: height of the letters.
        room: most pixels of a name.

    Example:
        >>> short = told_apart(["gate_of_the_north_hall", "gate_of_the_other_hall", "tree"], points=10, room=120)
        >>> [name[:3] for name in short]
        ['0: ', '1: ', 'tre']
    """
    lines = [one_line(text) for text in texts]
    drawn = ["".join(letter if _has_glyph(letter) else NO_GLYPH for letter in line) for line in lines]
    short = [_fitted(line, points, room) for line in drawn]
    times = Counter(short)
    return [
        _fitted(drawn[place], points, room, f"{place}: ")
        if drawn[place] != line or (times[name] > 1 and name != line)
        else name
        for place, (line, name) in enumerate(zip(lines, short, strict=True))
    ]


def _fitted(text: str, points: float, room: float, before: str = "") -> str:
    most = len(text)
    while (wide := text_width(before + shown(text, most), points)) > room and most > 4:  # noqa: PLR2004
        most = max(min(most - 1, int(most * room / wide)), 4)
    return before + shown(text, most)


def widest(texts: Sequence[str], points: float) -> float:
    """Return the width of the widest text, pixels.

    Example:
        >>> widest(["gate", "tree", "a"], 10) == max(text_width("gate", 10), text_width("tree", 10))
        True
    """
    return max((text_width(text, points) for text in texts), default=0.0)


@lru_cache(maxsize=8192)
def text_width(text: str, points: float) -> float:
    """Return the width of a line of letters of this height, pixels, as Matplotlib draws it.

    Example:
        >>> text_width("gates", 10) > text_width("gate", 10) > text_width("gate", 8)
        True
    """
    from matplotlib.backends.backend_agg import RendererAgg
    from matplotlib.font_manager import FontProperties

    renderer: Any = RendererAgg(1, 1, DPI)  # type: ignore[no-untyped-call]
    return float(renderer.get_text_width_height_descent(text, FontProperties(size=points), ismath=False)[0])


@lru_cache(maxsize=4096)
def _has_glyph(letter: str) -> bool:
    """True if DejaVu Sans, which comes with Matplotlib and is what it writes with, has this letter."""
    from pathlib import Path

    import matplotlib
    from matplotlib.font_manager import get_font

    file = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    return bool(get_font(str(file)).get_char_index(ord(letter)))
