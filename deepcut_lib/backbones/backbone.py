"""A picture in, `PatchFeatures` out: what all backbones have in common."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy, deepcopy
from dataclasses import replace
from functools import cached_property
from typing import NamedTuple, Protocol, Self

import torch
from torch import Tensor, nn

from deepcut_lib.features import PatchFeatures, alike
from deepcut_lib.images import ImageLike, Size, fit_image, load_image
from deepcut_lib.parameters import is_whole
from deepcut_lib.prior import ForegroundPrior
from deepcut_lib.recipe import PRIOR_RECIPE, PUBLISHED_RECIPE, Recipe
from deepcut_lib.threads import side_by_side


class Extracted(NamedTuple):
    """What an extractor gives for a batch: `values` B×n×d and `cls` B×d', or None if not asked for."""

    values: Tensor
    cls: Tensor | None


class Extractor(Protocol):
    """The network inside a backbone: an ``nn.Module`` with these attributes and this call."""

    patch_size: int
    stride: int

    def __call__(self, batch: Tensor, *, cls: bool) -> Extracted:
        """Map a normalised B×3×H×W batch, H and W multiples of `patch_size`, to features."""
        ...


@contextmanager
def plain_torch() -> Iterator[None]:
    """Float32 by default and no inference mode, whatever the caller has set: for plain weights and values."""
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        with torch.inference_mode(False), torch.no_grad():
            yield
    finally:
        torch.set_default_dtype(default)


def checked_stride(stride: int | None, patch_size: int) -> int:
    """The distance of patches: their side (also for None), or its half or quarter.

    Raises:
        ValueError: it is none of these.
    """
    if stride is None:
        return patch_size
    strides = [patch_size // part for part in (1, 2, 4) if patch_size % part == 0]
    if not is_whole(stride) or stride not in strides:
        possible = ", ".join(map(str, strides))
        raise ValueError(f"patches of {patch_size} pixels have strides {possible}, not {stride!r}")
    return int(stride)


AT_A_TIME = 32
"""Pictures in a GPU's batch, always as many: for a number that is new, cuDNN plans all convolutions anew."""

_SETTINGS = ("patch_size", "stride", "facet", "layer", "blocks", "views", "num_heads")
"""Attributes of extractors that, besides the weights, decide the features."""


class Backbone:
    """A picture in, `PatchFeatures` out.

    Attributes:
        name: the backbone's name, as figures and tables show it.
        extractor: the network, in evaluation mode.
        size: side of the square that pictures are resized to unless a call says otherwise, in pixels.
        device: where it runs.
        recipe: how its features are best cut into clusters.
        prior: what tells its features of foreground from those of background, or None.
    """

    def __init__(
        self,
        name: str,
        extractor: nn.Module,
        *,
        mean: Sequence[float],
        std: Sequence[float],
        size: int,
        device: torch.device,
        recipe: Recipe = PUBLISHED_RECIPE,
        prior: ForegroundPrior | None = None,
    ) -> None:
        self.name = name
        self.extractor = extractor.eval().requires_grad_(False).to(device)
        self.size = size
        self.device = device
        self.recipe = recipe
        self.prior = prior
        self._mean = torch.tensor(mean, dtype=torch.float32).view(3, 1, 1)
        self._std = torch.tensor(std, dtype=torch.float32).view(3, 1, 1)

    @property
    def patch_size(self) -> int:
        """Side of a patch in pixels of the fitted picture."""
        return int(self.extractor.patch_size)  # type: ignore[arg-type]

    @property
    def stride(self) -> int:
        """Distance of neighbouring patches in pixels of the fitted picture."""
        return int(self.extractor.stride)  # type: ignore[arg-type]

    @property
    def foreground_recipe(self) -> Recipe:
        """How foreground is best told from background: with the prior, if it has one, else its `recipe`."""
        return replace(PRIOR_RECIPE, least_spread=self.recipe.least_spread) if self.prior else self.recipe

    def with_prior(self, prior: ForegroundPrior | None) -> Self:
        """The same backbone with another prior, or with None.

        Raises:
            ValueError: the prior was made for another backbone.
        """
        if prior is not None and prior.backbone != self.name:
            raise ValueError(f"this prior was made for {prior.backbone}, not for {self.name}")
        other = copy(self)
        other.prior = prior
        return other

    def to(self, device: str | torch.device) -> Self:
        """A copy of it on another device."""
        other = deepcopy(self)
        other.device = torch.device(device)
        other.extractor = other.extractor.to(other.device)
        return other

    def seen_once(self) -> Self:
        """The same backbone, looking once at pictures that it would look at twice: faster, a little coarser.

        Backbones that look once anyway are returned as they are.
        """
        once = getattr(self.extractor, "seen_once", None)
        if once is None:
            return self
        other = copy(self)
        vars(other).pop("_fingerprint", None)
        other.extractor = once()
        return other

    @cached_property
    def _fingerprint(self) -> str:
        """Of the features alone, which another prior does not change."""
        extractor = self.extractor
        settings = [f"{name}={getattr(extractor, name)}" for name in _SETTINGS if hasattr(extractor, name)]
        own = (self.name, type(extractor).__name__, self.size, self._mean.tolist(), self._std.tolist())
        digest = hashlib.sha256(repr((own, settings)).encode())
        for name, tensor in extractor.state_dict().items():
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
        return digest.hexdigest()

    @property
    def fingerprint(self) -> str:
        """A digest of all that decides what it gives: weights, settings, prior, wherever they came from."""
        if self.prior is None:
            return self._fingerprint
        weight = self.prior.weight.cpu().contiguous().numpy().tobytes()
        return hashlib.sha256(f"{self._fingerprint} {self.prior.bias}".encode() + weight).hexdigest()

    def __call__(self, image: ImageLike, *, size: Size | str = "default", cls: bool = True) -> PatchFeatures:
        """Extract one picture's features.

        Args:
            image: a path, PIL picture or array.
            size: the size to fit the picture to (see `fit_image`); by default the backbone's own `size`.
            cls: also give the vector for the whole picture, which the clustering of patches does not need.

        Raises:
            ImageError: the picture cannot be used.
        """
        return self.batch([image], size=size, cls=cls)[0]

    @plain_torch()
    def batch(
        self, images: Sequence[ImageLike], *, size: Size | str = "default", cls: bool = False
    ) -> list[PatchFeatures]:
        """Extract several pictures' features, on a GPU those of one grid together; the order is kept."""

        def read(image: ImageLike) -> tuple[tuple[int, int], Tensor]:
            picture = load_image(image)
            return (picture.height, picture.width), self._fit(picture, size)

        each = map(read, images) if len(images) < 2 else side_by_side(read, images, gpu=False)
        sizes, fitted = zip(*each, strict=True) if images else ((), ())
        results: list[PatchFeatures | None] = [None] * len(images)
        for batch in self._batches(fitted):
            filled = batch if len(batch) == 1 else batch + batch[-1:] * (AT_A_TIME - len(batch))
            stacked = self._normalized(torch.stack([fitted[i] for i in filled]).to(self.device))
            values, vectors = self.extractor(stacked, cls=cls)
            for row, i in enumerate(batch):
                of_picture = values[row].float().contiguous()
                results[i] = PatchFeatures(
                    values=of_picture,
                    grid=self.grid(stacked.shape[2], stacked.shape[3]),
                    cls=None if vectors is None else vectors[row].float(),
                    image_size=sizes[i],
                    backbone=self.name,
                    patch_size=self.patch_size,
                    stride=self.stride,
                    prior=None if self.prior is None else self.prior(of_picture),
                )
        return [result for result in results if result is not None]

    def _batches(self, fitted: Sequence[Tensor]) -> Iterator[list[int]]:
        """Which pictures the network sees together; of a CPU's caches one picture's activations fill all."""
        together = 1 if self.device.type == "cpu" else AT_A_TIME
        for members in alike(fitted):
            yield from (members[start : start + together] for start in range(0, len(members), together))

    @plain_torch()
    def extract(self, batch: Tensor) -> Tensor:
        """Map a normalised B×3×H×W tensor to values B×n×d; H and W must be multiples of the patch side."""
        if batch.ndim != 4 or batch.shape[1] != 3 or any(side % self.patch_size for side in batch.shape[2:]):
            raise ValueError(
                f"a batch of shape {tuple(batch.shape)} does not fit: give B×3×H×W with H and W multiples "
                f"of the patch side {self.patch_size}"
            )
        return self.extractor(batch.to(self.device, torch.float32), cls=False).values

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """The (h, w) grid of a fitted picture of this height and width in pixels."""
        return (
            (height - self.patch_size) // self.stride + 1,
            (width - self.patch_size) // self.stride + 1,
        )

    def _fit(self, picture: ImageLike, size: Size | str) -> Tensor:
        """3×H×W bytes, H and W multiples of the patch side."""
        wanted = self.size if size == "default" else size
        if isinstance(wanted, str):
            raise ValueError(f"size must be a side, a (height, width) or None, not {wanted!r}")
        fitted = fit_image(load_image(picture), wanted, self.patch_size)
        pixels = torch.frombuffer(bytearray(fitted.tobytes()), dtype=torch.uint8)
        return pixels.view(fitted.height, fitted.width, 3).permute(2, 0, 1)

    def _normalized(self, pixels: Tensor) -> Tensor:
        """B×3×H×W bytes as the extractor takes them."""
        mean, std = self._mean.to(pixels.device), self._std.to(pixels.device)
        return pixels.float().div_(255).sub_(mean).div_(std)
