"""The explorer shows exactly what its function draws."""

import ipywidgets
import pytest
from matplotlib.backend_bases import MouseEvent
from matplotlib.figure import Figure

from deepcut_lib.plots import blank
from deepcut_lib.widgets import Explorer
from tests.lessons.definitions import same_picture


def bars(height: int, colour: str, *, figure: Figure | None = None) -> Figure:
    """A figure that refuses one value."""
    if height == 7:
        raise ValueError("7 is <not> allowed")
    figure = blank(figure, 3)
    figure.subplots().bar([0, 1], [height, 1], color=colour)
    return figure


@pytest.fixture
def explorer() -> Explorer:
    controls = {
        "height": ipywidgets.IntSlider(3, 1, 9),
        "colour": ipywidgets.Dropdown(options=["red", "blue"]),
    }
    return Explorer(bars, controls, click=lambda axes, x, y: {"height": round(y)} if y > 1 else {})


def test_shows_what_the_function_draws(explorer: Explorer) -> None:
    assert same_picture(explorer.figure, bars(3, "red"))
    explorer.controls["height"].value = 5
    assert same_picture(explorer.figure, bars(5, "red"))
    explorer.controls["colour"].value = "blue"
    assert same_picture(explorer.figure, bars(5, "blue"))
    assert not same_picture(explorer.figure, bars(3, "blue"))


def test_sets_several_controls_and_draws_once(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []

    def draw(figure: Figure, a: int, b: int) -> None:
        drawn.append((a, b))

    explorer = Explorer(draw, {"a": ipywidgets.IntText(1), "b": ipywidgets.IntText(2)})
    explorer.set(a=3, b=4)
    assert drawn == [(1, 2), (3, 4)]
    explorer.controls["b"].value = 5
    assert drawn[-1] == (3, 5)


def test_a_refusal_is_shown_and_the_next_value_drawn(explorer: Explorer) -> None:
    explorer.controls["height"].value = 7
    assert "7 is &lt;not&gt; allowed" in explorer.message
    explorer.controls["height"].value = 8
    assert explorer.message == ""
    assert same_picture(explorer.figure, bars(8, "red"))


def test_a_click_sets_controls(explorer: Explorer) -> None:
    canvas = explorer.figure.canvas
    canvas.draw()
    axes = explorer.figure.axes[0]
    for y, expected in ((2.0, 2), (0.5, 2)):  # the second means nothing
        at = axes.transData.transform((0.5, y))
        canvas.callbacks.process(
            "button_press_event", MouseEvent("button_press_event", canvas, *at, button=1)
        )
        assert explorer.controls["height"].value == expected
    outside = MouseEvent("button_press_event", canvas, 1, 1, button=1)
    canvas.callbacks.process("button_press_event", outside)
    assert explorer.controls["height"].value == 2


def test_pages_without_a_kernel_get_the_picture(explorer: Explorer) -> None:
    shown = explorer._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in shown
    assert len(shown["image/png"]) > 1000
