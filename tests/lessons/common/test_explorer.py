"""The explorer shows exactly what its function draws, of whatever files it is given."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import ipywidgets
import numpy as np
import pytest
from matplotlib.backend_bases import KeyEvent, MouseEvent
from matplotlib.figure import Figure
from PIL import Image

from deepcut_lib.backbones import load_backbone
from deepcut_lib.errors import ImageError
from deepcut_lib.lessons.backbone_comparison.explorer import explore_backbones
from deepcut_lib.lessons.common.explorer import Explorer
from deepcut_lib.lessons.common.own import Download, OwnPicture
from deepcut_lib.lessons.common.pictures import Pictures
from deepcut_lib.lessons.features.explorer import explore_similarity
from deepcut_lib.lessons.graphs.explorer import explore_graph
from deepcut_lib.lessons.k_less.explorer import explore_groups
from deepcut_lib.lessons.localization.explorer import explore_localization
from deepcut_lib.lessons.losses.explorer import explore_epochs
from deepcut_lib.lessons.parts.explorer import explore_parts
from deepcut_lib.lessons.segmentation.explorer import explore_segment
from deepcut_lib.plots import blank
from deepcut_lib.segmentation import segment
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


# What stands below the controls


def parts_of(widget: ipywidgets.Widget, kind: type[Any]) -> list[Any]:
    """All widgets of a kind in a widget."""
    inside = [found for child in getattr(widget, "children", ()) for found in parts_of(child, kind)]
    return [widget, *inside] if isinstance(widget, kind) else inside


def button(explorer: Explorer, text: str) -> Any:
    kinds = ipywidgets.Button | ipywidgets.ToggleButton
    return next(found for found in parts_of(explorer, kinds) if found.description == text)


def test_reset_is_what_was_there_first(explorer: Explorer) -> None:
    explorer.set(height=5, colour="blue")
    button(explorer, "reset").click()
    assert explorer.values == {"height": 3, "colour": "red"}
    assert same_picture(explorer.figure, bars(3, "red"))


def test_a_pinned_picture_stays_until_it_is_let_go(explorer: Explorer) -> None:
    explorer.set(height=5)
    button(explorer, "pin").value = True
    (pinned,) = parts_of(explorer, ipywidgets.Image)
    content = bytes(pinned.value)
    explorer.set(height=8)
    (pinned,) = parts_of(explorer, ipywidgets.Image)
    assert pinned.value == content
    assert content.startswith(b"\x89PNG")
    assert any("height 5, colour red" in html.value for html in parts_of(explorer, ipywidgets.HTML))
    button(explorer, "pin").value = False
    assert not parts_of(explorer, ipywidgets.Image)


def test_arrow_keys_and_dragging_set_controls() -> None:
    controls = {"height": ipywidgets.IntSlider(3, 1, 9), "colour": ipywidgets.Dropdown(options=["red"])}
    explorer = Explorer(
        bars,
        controls,
        drag=lambda axes, start, end: {"height": round(end[1])},
        arrows=lambda down, across: {"height": explorer.values["height"] - down + 2 * across},
    )
    canvas = explorer.figure.canvas
    canvas.draw()
    for key, expected in (("up", 4), ("right", 6), ("left", 4), ("down", 3), ("x", 3)):
        canvas.callbacks.process("key_press_event", KeyEvent("key_press_event", canvas, key))
        assert explorer.values["height"] == expected

    def move(kind: str, y: float) -> None:
        canvas.draw()
        at = explorer.figure.axes[0].transData.transform((0.5, y))
        canvas.callbacks.process(kind, MouseEvent(kind, canvas, *at, button=1))

    move("motion_notify_event", 2)
    assert explorer.values["height"] == 3
    move("button_press_event", 2)
    move("motion_notify_event", 1.6)
    assert explorer.values["height"] == 2
    move("motion_notify_event", 1)
    assert explorer.values["height"] == 1
    move("button_release_event", 1)
    move("motion_notify_event", 0.9)
    assert explorer.values["height"] == 1


def test_a_player_goes_on_from_where_its_slider_stands() -> None:
    controls = {
        "a": ipywidgets.IntSlider(3, 1, 9, description="A"),
        "b": ipywidgets.SelectionSlider(
            options=[("one", 1.0), ("two", 2.0), ("ten", 10.0)], value=2.0, description="B"
        ),
    }
    drawn = []
    explorer = Explorer(lambda figure, a, b: drawn.append((a, b)), controls, play=("a", "b"))
    (play,) = parts_of(explorer, ipywidgets.Play)
    (which,) = (found for found in parts_of(explorer, ipywidgets.Dropdown) if len(found.options) == 2)
    assert (play.min, play.value, play.max) == (1, 3, 9)
    play.value = 4
    assert drawn[-1] == (4, 2.0)
    controls["a"].value = 8
    assert play.value == 8
    which.value = "b"
    assert (play.min, play.value, play.max) == (0, 1, 2)
    play.value = 2
    assert drawn[-1] == (8, 10.0)
    controls["b"].disabled = True
    play.value = 0
    assert drawn[-1] == (8, 10.0)


def test_what_counts_for_nothing_is_not_active(data: Path) -> None:
    explorer = explore_localization(data, load_backbone("pixels"))
    assert explorer.controls["alpha"].disabled
    assert not explorer.controls["clusters"].disabled
    explorer.set(objective="cc")
    assert not explorer.controls["alpha"].disabled
    assert explorer.controls["clusters"].disabled


def test_the_mask_that_is_saved_is_the_one_that_is_shown(data: Path) -> None:
    backbone = load_backbone("pixels")
    explorer = explore_segment(data, backbone)
    (download,) = parts_of(explorer, Download)
    sent = []
    download.send = lambda content, buffers: sent.append((content["name"], buffers[0]))
    explorer.set(picture="b", refine=True)
    download._handle_custom_msg({}, [])
    ((name, content),) = sent
    assert name == "b_mask.png"
    mask = segment(data / "images" / "b.JPG", backbone=backbone, refine=True).mask
    assert np.array_equal(np.asarray(Image.open(BytesIO(content))) == 255, mask)


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
    "similarity": lambda paths: explore_similarity({path.name: path for path in paths}, ["pixels"]),
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
    assert Pictures.of_files(tmp_path / path for path in names.values()).names == list(names)
    twins = [tmp_path / "x" / "a.png", tmp_path / "y" / "a.png"]
    assert Pictures.of_files([*twins, *twins]).names == [str(path) for path in twins]


# A reader's own picture

ALL = {
    **EXPLORERS,
    **{name: lambda data, of=of: of([data / "images" / "a.png"]) for name, of in LISTED.items()},
}


def give(explorer: Explorer, message: dict[str, str], *buffers: bytes) -> None:
    """What the browser sends."""
    (own,) = parts_of(explorer, OwnPicture)
    own._handle_custom_msg(message, [memoryview(buffer) for buffer in buffers])


@pytest.mark.parametrize("explore", ALL.values(), ids=ALL)
def test_a_picture_of_ones_own_is_shown_by_every_explorer(
    explore: Callable[[Path], Explorer], data: Path, photograph: np.ndarray
) -> None:
    explorer = explore(data)
    before = pixels(explorer.figure)
    content = BytesIO()
    Image.fromarray(photograph[::-1, ::-1]).save(content, format="PNG")
    give(explorer, {"name": "mine.png"}, content.getvalue())
    assert explorer.message == ""
    now = pixels(explorer.figure)
    assert now.shape != before.shape or (now != before).any()
    if "picture" in explorer.controls:
        assert explorer.controls["picture"].label == "own: mine"
    give(explorer, {"name": "torn.jpg"}, b"torn")
    assert "torn.jpg" in explorer.message
    assert explorer.figure.axes  # what was shown stays
    (data / "other.png").write_bytes(content.getvalue())
    give(explorer, {"path": str(data / "other.png")})
    assert explorer.message == ""
    give(explorer, {"path": str(data / "nowhere.png")})
    assert "nowhere.png" in explorer.message
    give(explorer, {"problem": "the camera cannot be used: denied"})
    assert "denied" in explorer.message


def test_own_pictures_of_one_name_are_all_kept(photograph: np.ndarray) -> None:
    pictures = Pictures({"a": photograph})
    content = BytesIO()
    Image.new("RGB", (4000, 1000), "red").save(content, format="PNG")
    names = [pictures.add("folder/a.b.png", content.getvalue()) for _ in range(3)]
    assert names == ["own: a.b", "own: a.b (2)", "own: a.b (3)"]
    assert pictures.names == ["a", *names]
    assert pictures.read(names[2]).size == (1600, 400)
    with pytest.raises(ImageError, match=r"strange\.heic: .*convert it"):
        pictures.add("strange.heic", b"no picture")
    with pytest.raises(ImageError, match="nothing"):
        pictures.add("nothing", b"")
    assert pictures.names == ["a", *names]


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
