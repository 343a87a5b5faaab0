"""A figure with controls, drawn anew whenever one of them moves."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import escape
from io import BytesIO
from typing import Any

from ipympl.backend_nbagg import Canvas, FigureManager
from ipywidgets import (
    HTML,
    Button,
    Dropdown,
    HBox,
    Image,
    Layout,
    Play,
    SelectionSlider,
    ToggleButton,
    ValueWidget,
    VBox,
)
from matplotlib.axes import Axes
from matplotlib.backend_bases import Event, KeyEvent, MouseEvent
from matplotlib.figure import Figure

from deepcut_lib.errors import DeepCutError
from deepcut_lib.lessons.common.access import Access
from deepcut_lib.lessons.common.own import Download, OwnPicture
from deepcut_lib.lessons.common.pictures import Pictures, sendable
from deepcut_lib.plots.figure import WIDTH

Click = Callable[[Axes, float, float], Mapping[str, Any]]
Drag = Callable[[Axes, tuple[float, float], tuple[float, float]], Mapping[str, Any]]
Arrow = Callable[[int, int], Mapping[str, Any]]
Take = Callable[[str, bytes], Mapping[str, Any]]
Save = Callable[[], tuple[str, bytes]]

ALPHAS = (1.2, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 30.0)
"""Values of α to choose from."""

_ARROWS = {"up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1)}


def sized(width: int, tip: str | None = None) -> dict[str, Any]:
    """Options of a control that is so many pixels wide, its description as wide as its words.

    Args:
        width: in pixels.
        tip: what is said where the pointer rests on it.
    """
    options = {"style": {"description_width": "initial"}, "layout": Layout(width=f"{width}px")}
    return options if tip is None else {**options, "tooltip": tip}


def alpha_slider(width: int, description: str = "α") -> SelectionSlider:
    """α of Eq. 7, from many clusters to few, so many pixels wide."""
    tip = "Of CC alone: a larger one means fewer clusters (Eq. 7)"
    return SelectionSlider(options=ALPHAS, value=3.0, description=description, **sized(width, tip))


class Held(ValueWidget):
    """A value that has no control of its own, such as a drawing: it is set by clicks."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value


def add_to(pictures: Pictures, control: Dropdown) -> Take:
    """What takes a reader's own picture where a control chooses one of several by its name."""

    def take(file_name: str, content: bytes) -> dict[str, str]:
        name = pictures.add(file_name, content)
        control.options = pictures.names
        return {"picture": name}

    return take


def active_for(
    controls: Mapping[str, ValueWidget], chooser: str, uses: Mapping[Any, Collection[str]]
) -> None:
    """Make controls active only where they count.

    Args:
        controls: by name.
        chooser: the one on whose value it depends.
        uses: for each of its values the controls that count; the others of them do not.
    """

    def offer(_change: object = None) -> None:
        counting = uses[controls[chooser].value]
        for name in {name for names in uses.values() for name in names}:
            controls[name].disabled = name not in counting

    controls[chooser].observe(offer, "value")
    offer()


class Player(HBox):
    """Plays through the values of one of several sliders, from where it stands; none that is not active.

    Args:
        sliders: by name; with whole numbers, or a selection.
    """

    def __init__(self, sliders: Mapping[str, ValueWidget]) -> None:
        self._sliders = dict(sliders)
        options = [(slider.description, name) for name, slider in self._sliders.items()]
        self._which = Dropdown(options=options, **sized(100, "What is played through"))
        self._play = Play(interval=700, tooltip="Play through its values")
        self._play.observe(self._show, "value")
        self._which.observe(self._take_over, "value")
        for slider in self._sliders.values():
            slider.observe(self._take_over, "value")
        self._take_over()
        super().__init__([self._play, self._which])

    def _take_over(self, _change: object = None) -> None:
        """Stand where the slider stands."""
        slider = self._sliders[self._which.value]
        at, least, most = (
            (slider.index, 0, len(slider.options) - 1)
            if isinstance(slider, SelectionSlider)
            else (slider.value, slider.min, slider.max)
        )
        with self._play.hold_trait_notifications():
            self._play.min, self._play.max, self._play.value = least, most, at

    def _show(self, change: Mapping[str, Any]) -> None:
        slider = self._sliders[self._which.value]
        if not slider.disabled:
            setattr(slider, "index" if isinstance(slider, SelectionSlider) else "value", change["new"])


class Explorer(VBox):
    """Controls above a figure.

    What is drawn comes from a function that is useful without controls: the figure is always that function's,
    called with the controls' values. Where no kernel runs, the last picture drawn stays to be seen.

    Below the controls stand: a place for pictures of the reader's own, a player, "reset", "pin" (the figure
    as it is now stays below, to compare with what is drawn next), and "save mask" where there is one. Tab
    leads through all of them and through the figure.

    Args:
        draw: called as ``draw(figure=figure, **values)`` with the controls' values by name; draws in the
            figure. What it raises is shown in place of the figure.
        controls: widgets with a `value`, by the name of the argument that they set. A `Held` is not shown.
        height: of the figure, in inches.
        width: of the figure, in inches.
        click: what a click into the figure sets: given the axes and the data coordinates, the new values of
            some controls by name; an empty mapping for a click that means nothing.
        drag: what a stroke of the pointer with its button down sets, piece by piece: given the axes and where
            a piece begins and ends. The first piece begins where it ends.
        arrows: what an arrow key sets, once the figure was clicked: given steps down and across.
        take: what a picture of the reader's own sets: given its name and content.
        save: gives the name and the content of the file to save.
        play: names of the sliders that can be played through.

    Attributes:
        figure: what is shown.
        controls: the widgets, by name.
    """

    def __init__(
        self,
        draw: Callable[..., Any],
        controls: Mapping[str, ValueWidget],
        *,
        height: float = 4.2,
        width: float = WIDTH,
        click: Click | None = None,
        drag: Drag | None = None,
        arrows: Arrow | None = None,
        take: Take | None = None,
        save: Save | None = None,
        play: Sequence[str] = (),
    ) -> None:
        self.figure = Figure(figsize=(width, height), layout="constrained")
        self.controls = dict(controls)
        self._draw = draw
        self._click = click
        self._arrows = arrows
        self._take = take
        self._drag = drag
        self._stroke: tuple[Axes, tuple[float, float]] | None = None
        self._canvas = Canvas(self.figure)
        self._canvas.set_trait("toolbar_visible", False)
        self._canvas.set_trait("header_visible", False)
        self._canvas.set_trait("footer_visible", False)
        self._canvas.set_trait("resizable", False)
        FigureManager(self._canvas, 0)
        self._status = HTML()
        self._pinned = VBox()
        self._access = Access()
        wrapped = Layout(flex_flow="row wrap", align_items="center")
        shown = [control for control in self.controls.values() if not isinstance(control, Held)]
        tools = HBox(self._tools(save, play), layout=wrapped)
        above = [HBox(shown, layout=wrapped), tools, self._status]
        super().__init__([*above, self._canvas, self._pinned, self._access])
        for control in self.controls.values():
            control.observe(self._redraw, "value")
        if click is not None:
            self._canvas.mpl_connect("button_press_event", self._clicked)
        if drag is not None:
            for event in ("button_press_event", "button_release_event", "motion_notify_event"):
                self._canvas.mpl_connect(event, self._dragged)
        if arrows is not None:
            self._canvas.mpl_connect("key_press_event", self._pressed)
        self._redraw()
        self._first = self.values

    def _tools(self, save: Save | None, play: Sequence[str]) -> list[Any]:
        narrow = Layout(width="auto")
        reset = Button(description="reset", tooltip="All controls as they were at first", layout=narrow)
        reset.on_click(lambda _: self.set(**self._first))
        pin = ToggleButton(description="pin", tooltip="Keep this picture below, to compare", layout=narrow)
        pin.observe(self._pin, "value")
        tools = [] if self._take is None else [OwnPicture(self._taken, self._say)]
        tools += [Player({name: self.controls[name] for name in play})] if play else []
        tools += [reset, pin]
        return tools if save is None else [*tools, Download("save mask", save, self._say)]

    @property
    def values(self) -> dict[str, Any]:
        """The controls' values, by name."""
        return {name: control.value for name, control in self.controls.items()}

    @property
    def message(self) -> str:
        """What stands above the figure: nothing, or why it could not be drawn."""
        return str(self._status.value)

    def set(self, **values: Any) -> None:
        """Set several controls, and draw once."""
        with self._at_rest():
            for name, value in values.items():
                self.controls[name].value = value
        self._redraw()

    @contextmanager
    def _at_rest(self) -> Iterator[None]:
        """Controls can be changed here without a picture for each change."""
        for control in self.controls.values():
            control.unobserve(self._redraw, "value")
        try:
            yield
        finally:
            for control in self.controls.values():
                control.observe(self._redraw, "value")

    def _redraw(self, _change: object = None) -> None:
        self._status.value = "drawing …"
        try:
            self._draw(figure=self.figure, **self.values)
        except Exception as problem:  # readers, backbones and torch raise nearly anything
            self._refuse(problem)
        else:
            self._status.value = ""
        self._access.words = self._in_words()
        self._canvas.draw_idle()

    def _refuse(self, problem: Exception) -> None:
        self.figure.clear()  # no picture stays that belongs to other values
        self._say(problem)

    def _say(self, problem: Exception) -> None:
        ours = isinstance(problem, ValueError | DeepCutError)
        words = str(problem) if ours else f"{type(problem).__name__}: {problem}"
        self._status.value = f"<b>{escape(sendable(words))}</b>"

    def _set_by(self, find: Callable[[], Mapping[str, Any]]) -> None:
        """Set what a click or key means, or say why it cannot be found."""
        try:
            values = find()
        except Exception as problem:  # as in drawing
            self._refuse(problem)
            self._canvas.draw_idle()
        else:
            if any(self.controls[name].value != value for name, value in values.items()):
                self.set(**values)

    def _clicked(self, event: Event) -> None:
        at = _place(event)
        if self._click is not None and at is not None:
            click, (axes, (x, y)) = self._click, at
            self._set_by(lambda: click(axes, x, y))

    def _dragged(self, event: Event) -> None:
        at = _place(event)
        if event.name == "button_press_event":
            self._stroke = at
        elif event.name == "button_release_event":
            self._stroke = None
        if self._drag is None or at is None or self._stroke is None:
            return
        if at[0].get_label() != self._stroke[0].get_label():  # each drawing makes its axes anew
            return
        (axes, end), (_, start), drag = at, self._stroke, self._drag
        self._stroke = at
        self._set_by(lambda: drag(axes, start, end))

    def _pressed(self, event: Event) -> None:
        if self._arrows is not None and isinstance(event, KeyEvent) and event.key in _ARROWS:
            arrows, steps = self._arrows, _ARROWS[event.key]
            self._set_by(lambda: arrows(*steps))

    def _taken(self, name: str, content: bytes) -> None:
        assert self._take is not None
        try:
            with self._at_rest():
                values = self._take(name, content)
        except Exception as problem:  # as in drawing
            self._say(problem)
        else:
            self.set(**values)

    def _pin(self, change: Mapping[str, Any]) -> None:
        if not change["new"]:
            self._pinned.children = ()
            return
        picture = BytesIO()
        self.figure.savefig(picture, format="png")
        caption = HTML(f"pinned: {escape(self._in_words())}")
        self._pinned.children = (caption, Image(value=picture.getvalue(), layout=Layout(max_width="100%")))

    def _in_words(self) -> str:
        return sendable(", ".join(f"{name} {value}" for name, value in self._said().items()))

    def _said(self) -> dict[str, str]:
        """The values of the controls that count, in their own words."""
        return {
            getattr(control, "description", "") or name: str(getattr(control, "label", control.value))
            for name, control in self.controls.items()
            if not isinstance(control, Held) and not getattr(control, "disabled", False)
        }

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        """The controls for JupyterLab, and the picture for pages that only show pictures."""
        picture = self._canvas._repr_mimebundle_(**options)["image/png"]
        return {**super()._repr_mimebundle_(**options), "image/png": picture}


def _place(event: Event) -> tuple[Axes, tuple[float, float]] | None:
    """The axes that the pointer is in and its data coordinates, or None if it is in none."""
    if (
        not isinstance(event, MouseEvent)
        or event.inaxes is None
        or event.xdata is None
        or event.ydata is None
    ):
        return None
    return event.inaxes, (event.xdata, event.ydata)
