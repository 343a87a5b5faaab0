"""Explorer of lesson 1: the similarity of a clicked patch to all others."""

from collections.abc import Mapping, Sequence
from functools import cache, lru_cache

from ipywidgets import Checkbox, Dropdown, IntSlider
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from deepcut_lib.backbones import load_backbone
from deepcut_lib.backbones.remembering import RememberingBackbone
from deepcut_lib.backbones.vit import FACETS, ViTFeatures
from deepcut_lib.errors import DeepCutError
from deepcut_lib.features import PatchFeatures
from deepcut_lib.images import ImageLike, load_image
from deepcut_lib.lessons.common.explorer import Explorer, sized
from deepcut_lib.lessons.common.figures import Place, patch_at, patch_box
from deepcut_lib.lessons.common.pictures import check_some
from deepcut_lib.lessons.features.figures import similarity_figure


def explore_similarity(
    pictures: Mapping[str, ImageLike],
    backbones: Sequence[str],
    *,
    picture: str | None = None,
    place: Place = (0.5, 0.5),
) -> Explorer:
    """Choose a picture, a backbone and a facet, and click a patch: its similarity to all others.

    The two sliders say the same as a click, in per cent of the picture's height and width, so that a place
    stays where it is when the grid changes. Features are kept once they were computed.

    Args:
        pictures: by name.
        backbones: names that `load_backbone` knows. A facet is asked only of those that are ViTs.
        picture: the name of the one to begin with; by default the first.
        place: where to begin, (down, across) as shares.

    Raises:
        ImageError: there are no pictures.
    """
    check_some(pictures)

    @lru_cache(maxsize=len(pictures))
    def read(picture: str) -> Image.Image:
        return load_image(pictures[picture])

    @cache
    def load(backbone: str, facet: str) -> RememberingBackbone:
        return RememberingBackbone(load_backbone(backbone, facet=facet))

    @cache
    def has_facets(backbone: str) -> bool:
        try:
            return isinstance(load(backbone, "key").extractor, ViTFeatures)
        except (DeepCutError, ValueError):  # said when its features are asked for
            return False

    def features_of(picture: str, backbone: str, facet: str) -> PatchFeatures:
        return load(backbone, facet if has_facets(backbone) else "key")(read(picture), cls=False)

    def draw(
        figure: Figure, picture: str, backbone: str, facet: str, down: int, across: int, centred: bool
    ) -> Figure:
        features = features_of(picture, backbone, facet)
        name = f"{backbone}, {facet}" if has_facets(backbone) else f"{backbone} (has no facets)"
        place = (down / 100, across / 100)
        return similarity_figure(read(picture), features, place, centred=centred, name=name, figure=figure)

    def click(_axes: Axes, x: float, y: float) -> dict[str, int]:
        values = explorer.values
        picture = read(values["picture"])
        features = features_of(values["picture"], values["backbone"], values["facet"])
        place = (min(max(y / picture.height, 0), 1), min(max(x / picture.width, 0), 1))
        left, top, width, height = patch_box(features, patch_at(features, place))
        # whole per cents stay inside the patch that was clicked only if they are those of its centre
        return {
            "down": round(100 * (top + height / 2) / picture.height),
            "across": round(100 * (left + width / 2) / picture.width),
        }

    down, across = (round(100 * share) for share in place)
    controls = {
        "picture": Dropdown(
            options=list(pictures),
            value=picture or next(iter(pictures)),
            description="picture",
            **sized(200),
        ),
        "backbone": Dropdown(options=list(backbones), description="backbone", **sized(220)),
        "facet": Dropdown(options=FACETS, value="key", description="facet", **sized(140)),
        "down": IntSlider(down, 0, 100, description="down %", continuous_update=False, **sized(310)),
        "across": IntSlider(across, 0, 100, description="across %", continuous_update=False, **sized(310)),
        "centred": Checkbox(True, description="centred", indent=False, **sized(110)),
    }

    def offer_facets(_change: object = None) -> None:
        controls["facet"].disabled = not has_facets(controls["backbone"].value)

    controls["backbone"].observe(offer_facets, "value")
    offer_facets()
    explorer = Explorer(draw, controls, height=3.7, width=7.4, click=click)
    return explorer
