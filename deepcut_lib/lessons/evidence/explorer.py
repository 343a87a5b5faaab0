"""Explorer of lesson 9: two methods on a set of pictures, paired, with the interval of their difference."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from ipywidgets import Dropdown, IntSlider
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from deepcut_lib.backbones.remembering import RememberingBackbone
from deepcut_lib.errors import ImageError
from deepcut_lib.features import PatchFeatures, upsample
from deepcut_lib.lessons.common.explorer import Explorer, add_to, sized
from deepcut_lib.lessons.common.pictures import Pictures
from deepcut_lib.lessons.evidence.figures import in_order, versus_figure
from deepcut_lib.metrics import mask_iou
from deepcut_lib.recipe import Recipe

Find = Callable[[PatchFeatures], np.ndarray]
"""A method: a picture's features → its foreground, h×w bool."""

SOLVER = {"neither": (False, False), "both": (True, True), "the first alone": (True, False)}
"""Which of the two masks the bilateral solver refines."""

LEAST = 4
"""Pictures of which an interval can be shown."""


def explore_evidence(
    pictures: Pictures,
    names: Sequence[str],
    backbone: RememberingBackbone,
    methods: Mapping[str, Find],
    recipe: Recipe,
) -> Explorer:
    """Choose two methods, a group of pictures and how many of it: masks, paired differences, and interval.

    What was found once is kept. A click on a bar, or the arrow keys, choose its picture; a reader's own
    photograph shows both masks, and counts in no mean, having no true mask.

    Args:
        pictures: with true masks for all of `names`.
        names: those that are scored.
        backbone: gives the features.
        methods: at least two, by name.
        recipe: of the solver.

    Raises:
        ImageError: fewer than `LEAST` pictures.
    """
    if len(names) < LEAST:
        raise ImageError(f"{len(names)} pictures are too few to compare methods on; give at least {LEAST}")
    kinds = [name.split("_")[0] for name in names]
    groups = {"all": list(names)} | {
        kind: [name for name, of in zip(names, kinds, strict=True) if of == kind]
        for kind in dict.fromkeys(kinds)
        if kinds.count(kind) >= LEAST
    }

    @cache
    def found(method: str, name: str, refine: bool) -> np.ndarray:
        picture = pictures.read(name)
        features = backbone(picture, cls=False)
        soft = upsample(methods[method](features).astype(np.float32), features, smooth=True)
        return recipe.sharpen(picture, soft) if refine and (soft > 0.5).any() else soft > 0.5

    @cache
    def score(method: str, name: str, refine: bool) -> float:
        truth = pictures(name)[1]
        assert truth is not None
        return mask_iou(found(method, name, refine), truth)

    def differences(group: str, count: int, first: str, second: str, solver: str) -> dict[str, float]:
        members, refine = groups[group], SOLVER[solver]
        # Every so many of the group, so that a few are a cross-section of it
        chosen = members if count >= len(members) else members[:: len(members) // count][:count]
        return {name: score(first, name, refine[0]) - score(second, name, refine[1]) for name in chosen}

    def draw(*, figure: Figure, picture: str, **of: Any) -> Figure:
        shown, truth = pictures(picture)
        pair = (of["first"], of["second"])
        if pair[0] == pair[1]:
            raise ValueError(f"{pair[0]} against itself: choose two methods")
        refine = SOLVER[of["solver"]]
        masks = {
            method + (", solver" if solved else ""): found(method, picture, solved)
            for method, solved in zip(pair, refine, strict=True)
        }
        return versus_figure(shown, truth, masks, differences(**of), picture, figure=figure)

    def bars() -> list[str]:
        return in_order(differences(**{k: v for k, v in explorer.values.items() if k != "picture"}))

    def click(axes: Axes, x: float, y: float) -> dict[str, str]:
        if axes.get_label() != "differences":
            return {}
        order = bars()
        return {"picture": order[min(max(round(x), 0), len(order) - 1)]}

    def arrows(down: int, across: int) -> dict[str, str]:
        order, now = bars(), explorer.values["picture"]
        at = order.index(now) + down + across if now in order else 0
        return {"picture": order[min(max(at, 0), len(order) - 1)]}

    first, second = list(methods)[:2]
    controls = {
        "picture": Dropdown(options=pictures.names, value=names[0], description="picture", **sized(180)),
        "first": Dropdown(options=list(methods), value=first, description="first", **sized(200)),
        "second": Dropdown(options=list(methods), value=second, description="second", **sized(200)),
        "solver": Dropdown(
            options=list(SOLVER),
            value="neither",
            description="solver for",
            **sized(190, "Whose masks the bilateral solver refines: fair is neither or both"),
        ),
        "group": Dropdown(options=list(groups), description="set", **sized(130)),
        "count": IntSlider(
            value=len(names),
            min=LEAST,
            max=len(names),
            description="pictures",
            continuous_update=False,
            **sized(230, "How many of the set: watch the interval"),
        ),
    }
    explorer = Explorer(
        draw,
        controls,
        height=5.2,
        click=click,
        arrows=arrows,
        take=add_to(pictures, controls["picture"]),
        play=("count",),
    )
    return explorer
