"""A backbone that looks at each picture once: for comparing many settings on the same pictures."""

from dataclasses import replace
from hashlib import sha256
from typing import Self

from deepcut_lib.backbones.backbone import Backbone
from deepcut_lib.features import PatchFeatures
from deepcut_lib.images import ImageLike, Size, load_image
from deepcut_lib.prior import ForegroundPrior


class RememberingBackbone(Backbone):
    """A backbone that computes the features of each picture once, and gives them again when asked again.

    Args:
        backbone: what computes them. One that remembers already shares what it knows.
    """

    def __init__(self, backbone: Backbone) -> None:
        known = backbone._known if isinstance(backbone, RememberingBackbone) else {}
        vars(self).update(vars(backbone))
        self._known: dict[tuple[object, ...], PatchFeatures] = known

    def __call__(self, image: ImageLike, *, size: Size | str = "default", cls: bool = True) -> PatchFeatures:
        """As `Backbone`."""
        picture = load_image(image)
        key = (sha256(picture.tobytes()).digest(), picture.size, size, cls)
        if key not in self._known:
            self._known[key] = super().__call__(picture, size=size, cls=cls)
        return self._known[key]

    def with_prior(self, prior: ForegroundPrior | None) -> Self:
        """As `Backbone`; what it knows already is kept, with the word of the new prior."""
        other = super().with_prior(prior)
        other._known = {
            key: replace(features, prior=None if prior is None else prior(features.values))
            for key, features in self._known.items()
        }
        return other
