"""A foreground prior without labels: what lies at the border of many unlabelled photographs is background.

Beyond the paper. Its border rule (§3.2) asks where a cluster lies in one picture; a prior has asked that of
the features of thousands of patches, once, and answers for each patch of any picture. `training/prior.py`
makes one for any backbone.
"""

from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from deepcut_lib.devices import without_autocast
from deepcut_lib.features import float32
from deepcut_lib.files import write_whole
from deepcut_lib.tensor_files import tensors_of

FORMAT = "deepcut-prior-1"


@dataclass(frozen=True, eq=False)
class ForegroundPrior:
    """One direction among a backbone's features, along which foreground lies: q = σ((f − f̄)·w + b).

    f̄ is the mean over the picture: a patch is judged by how it differs from its picture.

    Attributes:
        weight: w, (d,) float32.
        bias: b.
        backbone: name of the backbone whose features it takes.
    """

    weight: Tensor
    bias: float
    backbone: str

    @without_autocast()
    def __call__(self, values: Tensor) -> Tensor:
        """Each patch's probability of foreground.

        Args:
            values: n×d features of one picture, as the backbone gives them.

        Returns:
            q, (n,) in 0…1.

        Raises:
            ValueError: the features have another number of channels.
        """
        if values.shape[-1] != len(self.weight):
            raise ValueError(
                f"this prior takes {len(self.weight)} channels of {self.backbone}, not {values.shape[-1]}"
            )
        weight = self.weight.to(values.device)
        return torch.sigmoid((values - values.mean(-2, keepdim=True)) @ weight + self.bias)

    def save(self, path: str | PathLike[str]) -> None:
        """Write it to a safetensors file.

        Raises:
            DeepCutError: it could not be written.
        """
        tensors = {"weight": self.weight.cpu().contiguous(), "bias": torch.tensor([self.bias])}
        metadata = {"format": FORMAT, "backbone": self.backbone}
        write_whole(Path(path), safetensors.torch.save(tensors, metadata))

    @classmethod
    def load(cls, path: str | PathLike[str]) -> "ForegroundPrior":
        """Read a file that `save` wrote.

        Raises:
            CheckpointError: it is missing, damaged, or another kind of file.
        """
        kind = "a file of ForegroundPrior.save; make it again by training/prior.py"
        with tensors_of(path, FORMAT, kind) as (metadata, tensors):
            weight, bias = float32(tensors["weight"]), float32(tensors["bias"])
            if weight.ndim != 1 or bias.shape != (1,):
                raise ValueError("shapes")
            return cls(weight, float(bias), metadata["backbone"])


def checked_prior(prior: Tensor | np.ndarray, n: int) -> Tensor:
    """A prior as the clustering takes it: (n,) float32 in 0…1.

    Raises:
        ValueError: it has another shape, or other values.
    """
    try:
        values = float32(prior)
    except ValueError as error:
        raise ValueError(
            f"a prior is one probability in 0…1 for each of {n} patches, not NaN, infinite or no number"
        ) from error
    if values.shape != (n,) or not bool(((values >= 0) & (values <= 1)).all()):
        raise ValueError(
            f"a prior is one probability in 0…1 for each of {n} patches, not values of shape "
            f"{tuple(values.shape)} from {float(values.min()):g} to {float(values.max()):g}"
            if values.numel()
            else f"a prior is one probability for each of {n} patches, not an empty tensor"
        )
    return values
