"""Folders of millions: the paper's tasks over many machines by Ray, with one table of results.

An extra, ``pip install -e '.[ray]'``. `run` goes through a list of pictures and writes Parquet files of a row
for each picture: by `Segmenting` (segmentation and localization), `Labelling` (trained networks), or
`Describing` (vectors of whole pictures, for `cluster_vectors`).
"""

from deepcut_lib.errors import DeepCutError


class RayMissingError(DeepCutError, ImportError):
    """Ray or pyarrow, which all of this package needs, is not installed."""


try:
    import pyarrow  # noqa: F401
    import ray.data  # noqa: F401
except ImportError as error:
    raise RayMissingError(
        f"Ray is not installed ({error}); pip install -e '.[ray]' -c constraints.txt, on every machine of "
        "the cluster"
    ) from error

from deepcut_lib.distributed.cluster import Outcome, run  # noqa: E402
from deepcut_lib.distributed.work import Describing, Labelling, Segmenting  # noqa: E402

__all__ = ["Describing", "Labelling", "Outcome", "RayMissingError", "Segmenting", "run"]
