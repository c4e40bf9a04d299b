"""What the pictures of a calibration show: the values of their artists."""

import numpy as np

from aigp_lightning.media.plots.trade_off import (
    Marked,
    Slice,
    draw_slices,
    draw_trade_off,
    front,
    slices_figure,
    trade_off_figure,
)

X = np.array([0.0, 0.1, 0.1, 0.3, np.nan, 0.5])
Y = np.array([0.2, 0.5, 0.6, 0.55, 0.9, 0.8])


def test_the_front_is_what_no_other_beats() -> None:
    xs, ys = front(X, Y)
    assert xs.tolist() == [0.0, 0.1, 0.5] and ys.tolist() == [0.2, 0.6, 0.8]
    xs, ys = front(X, Y, less_x=False)
    assert xs.tolist() == [0.5] and ys.tolist() == [0.8]
    xs, ys = front(X, Y, more_y=False)
    assert xs.tolist() == [0.0] and ys.tolist() == [0.2]
    assert [len(part) for part in front(X[:0], Y[:0])] == [0, 0]


def test_the_trade_off_has_all_combinations_and_the_marked_ones() -> None:
    marked = [Marked("chosen", 0.1, 0.6), Marked("without calibration", 0.3, 0.55)]
    axes = trade_off_figure(X, Y, ("false alarms", "usable"), marked).axes[0]
    dots, line, chosen, without = axes.lines
    assert dots.get_xdata().tolist() == [0.0, 0.1, 0.1, 0.3, 0.5]
    assert line.get_ydata().tolist() == [0.2, 0.6, 0.8]
    assert (list(chosen.get_xdata()), list(chosen.get_ydata())) == ([0.1], [0.6])
    assert without.get_label() == "without calibration" and axes.get_ylabel() == "usable"
    picture = draw_trade_off(X, Y, ("false alarms", "usable"), marked)
    assert picture.shape == (705, 940, 3) and (picture == (213, 94, 0)).all(2).sum() > 20  # the chosen one's colour


def test_a_panel_for_each_threshold_and_kind_of_figure() -> None:
    figures = {"usable": np.array([0.5, 0.4, np.nan]), "position_m": np.array([0.1, 0.2, 0.3])}
    parts = [Slice("conf", (0.1, 0.2, 0.3), 1, figures), Slice("reprojection_px", (2.0, 4.0, None), 2, figures)]
    figure = slices_figure(parts, [("share", ["usable", "recall"]), ("metres", ["position_m"])])
    assert [axes.get_xlabel() for axes in figure.axes] == ["conf", "reprojection_px"] * 2
    first, second = figure.axes[0], figure.axes[1]
    np.testing.assert_array_equal(first.lines[0].get_ydata(), figures["usable"])
    assert list(first.lines[0].get_xdata()) == [0.1, 0.2, 0.3] and first.lines[-1].get_xdata()[0] == 0.2
    assert list(second.lines[0].get_xdata()) == [0, 1, 2] and second.lines[-1].get_xdata()[0] == 2
    figure.canvas.draw()
    assert [text.get_text() for text in second.get_xticklabels()] == ["2", "4", "none"]
    assert len({axes.get_xlim() for axes in figure.axes[::2]}) == 1
    assert draw_slices(parts, [("share", ["usable"])]).shape == (435, 945, 3)
