"""The explorer shows exactly what its function draws, of whatever files it is given."""

from collections.abc import Callable
from pathlib import Path

import ipywidgets
import numpy as np
import pytest
from matplotlib.backend_bases import MouseEvent
from matplotlib.figure import Figure
from PIL import Image

from deepcut_lib.backbones import load_backbone
from deepcut_lib.errors import ImageError
from deepcut_lib.lessons.backbone_comparison.explorer import explore_backbones
from deepcut_lib.lessons.common.explorer import Explorer
from deepcut_lib.lessons.common.pictures import by_name
from deepcut_lib.lessons.features.explorer import explore_similarity
from deepcut_lib.lessons.graphs.explorer import explore_graph
from deepcut_lib.lessons.k_less.explorer import explore_groups
from deepcut_lib.lessons.localization.explorer import explore_localization
from deepcut_lib.lessons.losses.explorer import explore_epochs
from deepcut_lib.lessons.parts.explorer import explore_parts
from deepcut_lib.lessons.segmentation.explorer import explore_segment
from deepcut_lib.plots import blank
from tests.lessons.definitions import pixels, same_picture


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


def test_whatever_is_raised_is_shown() -> None:
    def draw(figure: Figure, a: int) -> None:
        figure.subplots()
        if a:
            raise RuntimeError("no kernel image")

    def click(_axes: object, _x: float, _y: float) -> dict[str, int]:
        raise OSError("the disk is gone")

    explorer = Explorer(draw, {"a": ipywidgets.IntText(1)}, click=click)
    assert "RuntimeError: no kernel image" in explorer.message
    press(explorer)  # nothing is there to click on
    assert not explorer.figure.axes
    explorer.controls["a"].value = 0
    assert explorer.message == ""
    press(explorer)
    assert "the disk is gone" in explorer.message
    assert not explorer.figure.axes


def press(explorer: Explorer) -> None:
    """Click into the middle of the figure."""
    canvas, box = explorer.figure.canvas, explorer.figure.bbox
    at = MouseEvent("button_press_event", canvas, box.width / 2, box.height / 2, button=1)
    canvas.callbacks.process("button_press_event", at)


# A reader's own folder

EXPLORERS: dict[str, Callable[[Path], Explorer]] = {
    "segment": lambda data: explore_segment(data, load_backbone("pixels")),
    "localization": lambda data: explore_localization(data, load_backbone("pixels")),
    "backbones": lambda data: explore_backbones(
        {name: load_backbone(name) for name in ("pixels", "random_vit")}, data, side=8
    ),
}
of_folders = pytest.mark.parametrize("explore", EXPLORERS.values(), ids=EXPLORERS)

LISTED: dict[str, Callable[[list[Path]], Explorer]] = {
    "similarity": lambda paths: explore_similarity(by_name(paths) if paths else {}, ["pixels"]),
    "graph": lambda paths: explore_graph(load_backbone("pixels"), paths),
    "epochs": lambda paths: explore_epochs(load_backbone("pixels"), paths),
    "parts": lambda paths: explore_parts(load_backbone("pixels"), paths),
    "groups": lambda paths: explore_groups(load_backbone("pixels"), paths),
}
of_lists = pytest.mark.parametrize("explore", LISTED.values(), ids=LISTED)


@pytest.fixture
def data(tmp_path: Path, photograph: np.ndarray) -> Path:
    for folder in ("images", "masks", "images/.ipynb_checkpoints"):
        (tmp_path / folder).mkdir()
    picture = Image.fromarray(photograph)
    for name in ("a.png", "b.JPG", "c.jpeg", "d.bmp", ".ipynb_checkpoints/a.png"):
        picture.save(tmp_path / "images" / name)
    (tmp_path / "images" / "._a.jpg").write_bytes(b"what a Mac keeps for itself")
    return tmp_path


def save_mask(data: Path, name: str, disc: np.ndarray, *, light: int = 255) -> None:
    Image.fromarray((disc * light).astype(np.uint8)).save(data / "masks" / name)


@of_folders
def test_every_picture_of_a_folder_is_offered(
    explore: Callable[[Path], Explorer], data: Path, disc: np.ndarray
) -> None:
    save_mask(data, "a.png", disc)
    save_mask(data, "b.TIF", disc, light=1)
    explorer = explore(data)
    assert explorer.controls["picture"].options == ("a", "b", "c", "d")
    said = []
    for name in "abcd":
        explorer.set(picture=name)
        assert explorer.message == ""
        texts = [text.get_text() for text in explorer.figure.texts]
        texts += [text for axes in explorer.figure.axes for text in (axes.get_title(), axes.get_xlabel())]
        said.append(any("IoU" in text for text in texts))
    assert said == [True, True, False, False]


@of_folders
def test_a_mask_of_zeros_and_ones_is_one_of_black_and_white(
    explore: Callable[[Path], Explorer], data: Path, disc: np.ndarray
) -> None:
    figures = []
    for light in (255, 1):
        save_mask(data, "a.png", disc, light=light)
        figures.append(explore(data).figure)
    assert figures[0].axes
    assert same_picture(*figures)


@of_folders
def test_what_is_wrong_with_one_picture_is_said_in_its_place(
    explore: Callable[[Path], Explorer], data: Path
) -> None:
    (data / "images" / "a.png").write_bytes(b"torn")
    (data / "masks" / "b.png").write_bytes(b"torn")
    Image.new("L", (50, 40)).save(data / "masks" / "c.png")
    Image.new("L", (128, 96)).save(data / "masks" / "d.png")  # empty: nothing is wrong with it
    explorer = explore(data)
    for name, words in {"a": "a.png", "b": "b.png", "c": "50×40 pixels, but its picture 128×96"}.items():
        explorer.set(picture=name)
        assert words in explorer.message
        assert not explorer.figure.axes
        press(explorer)
        assert words in explorer.message
    explorer.set(picture="d")
    assert explorer.message == ""


@of_folders
def test_a_folder_that_is_not_there_is_named(explore: Callable[[Path], Explorer], tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"nowhere.*no such"):
        explore(tmp_path / "nowhere")


@of_lists
def test_a_list_may_hold_a_damaged_picture(
    explore: Callable[[list[Path]], Explorer], data: Path, photograph: np.ndarray
) -> None:
    torn, good = data / "images" / "bird_01.png", data / "images" / "bird_02.png"
    torn.write_bytes(b"torn")
    Image.fromarray(photograph).save(good)
    explorer = explore([torn, good])
    assert "bird_01.png" in explorer.message
    assert not explorer.figure.axes
    if explorer.controls.keys().isdisjoint(("k", "kinds")):  # those show all pictures at once
        explorer.controls["picture"].index = 1
        assert explorer.message == ""
    with pytest.raises(ImageError, match="no pictures"):
        explore([])


def test_files_go_by_the_shortest_names_that_tell_them_apart(tmp_path: Path) -> None:
    names = {"a": "x/a.png", "b.png": "x/b.png", "b.jpg": "y/b.jpg", "c": "x/c", "d.png": "x/d.png.jpg"}
    assert by_name(tmp_path / path for path in names.values()) == {n: tmp_path / p for n, p in names.items()}
    twins = [tmp_path / "x" / "a.png", tmp_path / "y" / "a.png"]
    assert by_name([*twins, *twins]) == {str(path): path for path in twins}


def test_groups_need_names_of_categories(data: Path) -> None:
    explorer = explore_groups(load_backbone("pixels"), [data / "images" / "a.png"])
    assert "begins with bird" in explorer.message


def test_pictures_of_one_name_are_told_apart(data: Path, photograph: np.ndarray) -> None:
    first, second = data / "images" / "a.png", data / "images" / "a.bmp"
    Image.fromarray(photograph[:, ::-1]).save(second)
    explorer = explore_parts(load_backbone("pixels"), [first, second])
    label = explorer.figure.axes[1].get_label()
    assert label == "a.bmp"
    at = explorer.figure.axes[1].bbox
    centre = ((at.x0 + at.x1) / 2, (at.y0 + at.y1) / 2)
    canvas = explorer.figure.canvas
    canvas.callbacks.process(
        "button_press_event", MouseEvent("button_press_event", canvas, *centre, button=1)
    )
    assert explorer.values["picture"] == 1


@pytest.mark.parametrize("name", ["cost $5_$6^.png", "z\udcff.png"])
def test_any_file_name_can_be_drawn_and_sent(name: str, data: Path) -> None:
    try:
        path = (data / "images" / "a.png").rename(data / "images" / name)
    except (OSError, UnicodeEncodeError):
        pytest.skip("the disk takes no such name")
    explorer = explore_epochs(load_backbone("pixels"), [path])
    assert explorer.message == ""
    assert pixels(explorer.figure).any()
    "".join(explorer.controls["picture"]._options_labels).encode()
    path.unlink()
    explorer = explore_epochs(load_backbone("pixels"), [path])
    assert "no such file" in explorer.message
    explorer.message.encode()
