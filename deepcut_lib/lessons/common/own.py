"""A reader's own picture, on its way from the browser to an explorer; and masks on their way back."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from anywidget import AnyWidget
from traitlets import Unicode

Take = Callable[[str, bytes], None]
"""Takes a picture: its name, and the content of its file."""

_STYLE = """
.deepcut-own { display: flex; align-items: center; gap: 4px; padding: 1px 4px;
               border: 1px dashed var(--jp-border-color1, #999); border-radius: 3px; }
.deepcut-own.over { background: var(--jp-brand-color3, #cde); }
.deepcut-own button { width: auto; }
.deepcut-own input[type="text"] { width: 110px; }
.deepcut-own video { height: 120px; }
"""


class OwnPicture(AnyWidget):
    """Choose a picture, drop one, take one with the camera where the browser has one, or name its path.

    Args:
        take: is given the picture.
        refuse: is given what went wrong before there was one: a path that cannot be read, no camera.
    """

    _esm = Path(__file__).with_name("own.js")
    _css = _STYLE

    def __init__(self, take: Take, refuse: Callable[[Exception], None]) -> None:
        super().__init__()
        self._take = take
        self._refuse = refuse
        self.on_msg(self._received)

    def _received(self, _widget: object, message: dict[str, str], buffers: list[Any]) -> None:
        if "problem" in message:
            self._refuse(ValueError(message["problem"]))
        elif "path" in message:
            path = Path(message["path"]).expanduser()
            try:
                content = path.read_bytes()
            except (OSError, ValueError) as problem:
                self._refuse(ValueError(f"{path}: {getattr(problem, 'strerror', None) or problem}"))
            else:
                self._take(path.name, content)
        else:
            self._take(message["name"], bytes(buffers[0]))


class Download(AnyWidget):
    """A button that saves a file where the browser is.

    Args:
        text: on the button.
        make: is called at a click; gives the file's name and content.
        refuse: is given what `make` raises.
    """

    _esm = """
    export default { render({ model, el }) {
      const button = document.createElement("button");
      button.className = "jupyter-button";
      button.textContent = model.get("text");
      button.onclick = () => model.send({});
      model.on("msg:custom", ({ name }, [content]) => {
        const link = document.createElement("a");
        link.href = URL.createObjectURL(new Blob([content]));
        link.download = name;
        link.click();
        URL.revokeObjectURL(link.href);
      });
      el.append(button);
    } };
    """
    text = Unicode().tag(sync=True)

    def __init__(
        self, text: str, make: Callable[[], tuple[str, bytes]], refuse: Callable[[Exception], None]
    ) -> None:
        super().__init__(text=text)
        self._make = make
        self._refuse = refuse
        self.on_msg(self._wanted)

    def _wanted(self, *_: object) -> None:
        try:
            name, content = self._make()
        except Exception as problem:  # as in drawing
            self._refuse(problem)
        else:
            self.send({"name": name}, buffers=[content])
