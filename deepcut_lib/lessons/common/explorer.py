"""A figure with controls, drawn anew whenever one of them moves."""

from collections.abc import Callable, Mapping
from html import escape
from typing import Any

from ipympl.backend_nbagg import Canvas, FigureManager
from ipywidgets import HTML, HBox, Layout, ValueWidget, VBox
from matplotlib.axes import Axes
from matplotlib.backend_bases import Event, MouseEvent
from matplotlib.figure import Figure

from deepcut_lib.errors import DeepCutError
from deepcut_lib.lessons.common.pictures import sendable
from deepcut_lib.plots.figure import WIDTH

Click = Callable[[Axes, float, float], Mapping[str, Any]]


def sized(width: int) -> dict[str, Any]:
    """Options of a control that is so many pixels wide, its description as wide as its words."""
    return {"style": {"description_width": "initial"}, "layout": Layout(width=f"{width}px")}


class Explorer(VBox):
    """Controls above a figure.

    What is drawn comes from a function that is useful without controls: the figure is always that function's,
    called with the controls' values. Where no kernel runs, the last picture drawn stays to be seen.

    Args:
        draw: called as ``draw(figure=figure, **values)`` with the controls' values by name; draws in the
            figure. What it raises is shown in place of the figure.
        controls: widgets with a `value`, by the name of the argument that they set.
        height: of the figure, in inches.
        width: of the figure, in inches.
        click: what a click into the figure sets: given the axes and the data coordinates, the new values of
            some controls by name; an empty mapping for a click that means nothing.

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
    ) -> None:
        self.figure = Figure(figsize=(width, height), layout="constrained")
        self.controls = dict(controls)
        self._draw = draw
        self._click = click
        self._canvas = Canvas(self.figure)
        self._canvas.set_trait("toolbar_visible", False)
        self._canvas.set_trait("header_visible", False)
        self._canvas.set_trait("footer_visible", False)
        self._canvas.set_trait("resizable", False)
        FigureManager(self._canvas, 0)
        self._status = HTML()
        row = HBox(list(self.controls.values()), layout=Layout(flex_flow="row wrap", align_items="center"))
        super().__init__([row, self._status, self._canvas])
        for control in self.controls.values():
            control.observe(self._redraw, "value")
        if click is not None:
            self._canvas.mpl_connect("button_press_event", self._clicked)
        self._redraw()

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
        for name, control in self.controls.items():
            control.unobserve(self._redraw, "value")
            if name in values:
                control.value = values[name]
            control.observe(self._redraw, "value")
        self._redraw()

    def _redraw(self, _change: object = None) -> None:
        self._status.value = "drawing …"
        try:
            self._draw(figure=self.figure, **self.values)
        except Exception as problem:  # readers, backbones and torch raise nearly anything
            self._refuse(problem)
        else:
            self._status.value = ""
        self._canvas.draw_idle()

    def _refuse(self, problem: Exception) -> None:
        self.figure.clear()  # no picture stays that belongs to other values
        ours = isinstance(problem, ValueError | DeepCutError)
        words = str(problem) if ours else f"{type(problem).__name__}: {problem}"
        self._status.value = f"<b>{escape(sendable(words))}</b>"

    def _clicked(self, event: Event) -> None:
        if self._click is None or not isinstance(event, MouseEvent) or event.inaxes is None:
            return
        if event.xdata is None or event.ydata is None:
            return
        try:
            values = self._click(event.inaxes, event.xdata, event.ydata)
        except Exception as problem:  # as in drawing
            self._refuse(problem)
            self._canvas.draw_idle()
        else:
            if values:
                self.set(**values)

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        """The controls for JupyterLab, and the picture for pages that only show pictures."""
        picture = self._canvas._repr_mimebundle_(**options)["image/png"]
        return {**super()._repr_mimebundle_(**options), "image/png": picture}
