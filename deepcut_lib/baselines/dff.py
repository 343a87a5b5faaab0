"""Deep Feature Factorization (Collins et al., 2018): non-negative factors as clusters or parts."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from sklearn.decomposition import NMF
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from deepcut_lib.features import PatchFeatures


@dataclass(frozen=True, eq=False)
class Dff:
    """What `dff` found.

    Attributes:
        labels: each picture's h×w factors, 0…k−1, numbered alike in all pictures.
        factors: k×d, non-negative.
    """

    labels: list[np.ndarray]
    factors: np.ndarray
    _model: NMF

    def predict(self, features: PatchFeatures) -> np.ndarray:
        """Label another picture by the same factors: h×w."""
        with _quiet():
            return features.to_map(self._model.transform(_rectified([features])).argmax(axis=1))


def dff(features: Sequence[PatchFeatures], n_factors: int, *, random_state: int = 0) -> Dff:
    """Factorise the rectified features of all pictures together; a patch's label is its largest factor.

    Multiplicative updates, at most 200, tolerance 1e-4.

    Args:
        features: each picture's features; what is negative counts as 0.
        n_factors: k.
        random_state: seed of the start.

    Raises:
        ValueError: no features, or pictures whose features differ in length.
    """
    rows = _rectified(features)
    model = NMF(n_factors, solver="mu", init="random", max_iter=200, tol=1e-4, random_state=random_state)
    with _quiet():
        weights = model.fit_transform(rows)
    ends = np.cumsum([len(of_picture.values) for of_picture in features])[:-1]
    largest = np.split(weights.argmax(axis=1), ends)
    labels = [of_picture.to_map(factors) for of_picture, factors in zip(features, largest, strict=True)]
    return Dff(labels, model.components_, model)


@contextmanager
def _quiet() -> Iterator[None]:
    """So many updates and no more is the method: nothing to warn of; in a single thread."""
    # so thin are the products that threads wait for one another longer than they work
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def _rectified(features: Sequence[PatchFeatures]) -> np.ndarray:
    if len({of_picture.values.shape[1] for of_picture in features}) != 1:
        raise ValueError("give the features of at least one picture, all of one backbone")
    return np.concatenate([of_picture.values.cpu().numpy() for of_picture in features]).clip(min=0)
