"""Explorer of lesson 1: the similarity of a clicked patch to all others."""

from collections.abc import Mapping, Sequence
from functools import cache

from ipywidgets import Checkbox, Dropdown, IntSlider
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from deepcut_lib.backbones import load_backbone
from deepcut_lib.backbones.remembering import RememberingBackbone
from deepcut_lib.backbones.vit import FACETS, ViTFeatures
from deepcut_lib.errors import DeepCutError
from deepcut_lib.features import PatchFeatures, log_bin
from deepcut_lib.images import ImageLike
from deepcut_lib.lessons.common.explorer import Explorer, add_to, sized
from deepcut_lib.lessons.common.figures import Place, percent_at, percent_beside
from deepcut_lib.lessons.common.pictures import Pictures
from deepcut_lib.lessons.features.figures import similarity_figure


def explore_similarity(
    pictures: Mapping[str, ImageLike],
    backbones: Sequence[str],
    *,
    picture: str | None = None,
    place: Place = (0.5, 0.5),
) -> Explorer:
    """Choose a picture, a backbone, facet and stride, and click a patch: its similarity to all others.

    The two sliders say the same as a click, in per cent of the picture's height and width, so that a place
    stays where it is when the grid changes; arrow keys go to the next patch. Features are kept once they
    were computed.

    Args:
        pictures: by name.
        backbones: names that `load_backbone` knows. A facet is asked only of those that are ViTs.
        picture: the name of the one to begin with; by default the first.
        place: where to begin, (down, across) as shares.

    Raises:
        ImageError: there are no pictures.
    """
    known = Pictures(pictures)
    read = known.read

    @cache
    def load(backbone: str, facet: str, stride: str) -> RememberingBackbone:
        usual = load_backbone(backbone, facet=facet)
        if stride == "half":
            usual = load_backbone(backbone, facet=facet, stride=usual.stride // 2)
        return RememberingBackbone(usual)

    @cache
    def has_facets(backbone: str) -> bool:
        try:
            return isinstance(load(backbone, "key", "usual").extractor, ViTFeatures)
        except (DeepCutError, ValueError):  # said when its features are asked for
            return False

    def features_of(picture: str, backbone: str, facet: str, stride: str) -> PatchFeatures:
        return load(backbone, facet if has_facets(backbone) else "key", stride)(read(picture), cls=False)

    def draw(
        figure: Figure,
        picture: str,
        backbone: str,
        facet: str,
        stride: str,
        down: int,
        across: int,
        centred: bool,
        binned: bool,
    ) -> Figure:
        features = features_of(picture, backbone, facet, stride)
        name = f"{backbone}, {facet}" if has_facets(backbone) else f"{backbone} (has no facets)"
        if binned:
            features, name = log_bin(features), f"{name}, log-binned"
        place = (down / 100, across / 100)
        return similarity_figure(read(picture), features, place, centred=centred, name=name, figure=figure)

    def shown_features() -> PatchFeatures:
        values = explorer.values
        return features_of(*(values[name] for name in ("picture", "backbone", "facet", "stride")))

    def click(_axes: Axes, x: float, y: float) -> dict[str, int]:
        return percent_at(shown_features(), x, y)

    def step(down: int, across: int) -> dict[str, int]:
        place = (explorer.values["down"] / 100, explorer.values["across"] / 100)
        return percent_beside(shown_features(), place, down, across)

    down, across = (round(100 * share) for share in place)
    controls = {
        "picture": Dropdown(
            options=known.names, value=picture or known.names[0], description="picture", **sized(200)
        ),
        "backbone": Dropdown(options=list(backbones), description="backbone", **sized(220)),
        "facet": Dropdown(
            options=FACETS, value="key", description="facet", **sized(140, "Only transformers have them")
        ),
        "stride": Dropdown(
            options=["usual", "half"],
            description="stride",
            **sized(130, "Half of it: four times the patches, and more than four times the work for a ViT"),
        ),
        "down": IntSlider(down, 0, 100, description="down %", continuous_update=False, **sized(310)),
        "across": IntSlider(across, 0, 100, description="across %", continuous_update=False, **sized(310)),
        "centred": Checkbox(
            True, description="centred", indent=False, **sized(90, "Subtract the picture's mean feature")
        ),
        "binned": Checkbox(
            False,
            description="log-binned",
            indent=False,
            **sized(105, "Each patch described together with its surroundings, in 17 bins"),
        ),
    }

    def offer_facets(_change: object = None) -> None:
        controls["facet"].disabled = not has_facets(controls["backbone"].value)

    controls["backbone"].observe(offer_facets, "value")
    offer_facets()
    explorer = Explorer(
        draw,
        controls,
        height=4.2,
        width=7.4,
        click=click,
        arrows=step,
        take=add_to(known, controls["picture"]),
    )
    return explorer
