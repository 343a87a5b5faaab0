"""How near the network comes to the optimum of Eq. 10, on purpose: ``python -m benchmarks.nearer FOLDER``.

FOLDER holds fashion pictures as `deepcut_lib datasets` lists them: ``styles.csv`` and ``images/``.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from deepcut_lib import DeepCut, load_backbone
from deepcut_lib.baselines import contraction
from deepcut_lib.certificate import certify
from deepcut_lib.datasets.fashion import fashion
from deepcut_lib.graphs import cc_graph
from deepcut_lib.kless import ALPHA_CENTRED, STARTS, centre_vectors, picture_vector
from deepcut_lib.local_search import improve, inside
from deepcut_lib.metrics import cluster_scores

STEPS = (6.0, 8.0, 10.0, 12.0)
"""Alphas, rising: many clusters first, few in the end."""


def longer(values: Tensor, columns: int, epochs: int, learning_rate: float) -> np.ndarray:
    """The network with other settings."""
    model = DeepCut(
        columns, "cc", alpha=ALPHA_CENTRED, epochs=epochs, learning_rate=learning_rate, n_init=STARTS
    )
    return model.fit(values).labels_


def annealed(values: Tensor, columns: int, alphas: Sequence[float], starts: int = 4) -> np.ndarray:
    """One network carried from alpha to alpha, 100 epochs each; the best of some starts."""
    affinity, best = cc_graph(values, alphas[-1]).affinity, None
    for seed in range(starts):
        weights = None
        for alpha in alphas:
            model = DeepCut(
                columns,
                "cc",
                alpha=alpha,
                epochs=100,
                learning_rate=5e-3,
                initial_weights=weights,
                random_state=seed,
            ).fit(values)
            weights = model.weights_
        if best is None or inside(affinity, model.labels_) > inside(affinity, best):
            best = model.labels_
    assert best is not None
    return best


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="How near the network comes to the optimum of Eq. 10.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=600, help="for the bound (default: 600)")
    options = parser.parse_args()
    backbone = load_backbone("effnet_lite0", device="cpu")
    samples = list(fashion(options.folder))
    values = centre_vectors(torch.stack([picture_vector(sample.image, backbone) for sample in samples]))
    classes = [sample.label for sample in samples]
    affinity = cc_graph(values, ALPHA_CENTRED).affinity
    certificate = certify(affinity, seconds=options.seconds)
    print(
        f"{len(samples)} pictures, {backbone.name}, α={ALPHA_CENTRED:g}; upper bound {certificate.bound:,.0f}"
    )
    print("| | inside | short of the bound | clusters | purity | ARI | ARI after local search |")
    print("|---|---|---|---|---|---|---|")
    up, down = STEPS, (40.0, 30.0, 20.0, ALPHA_CENTRED)
    for name, labels in (
        ("10 columns, 100 epochs, as usual", longer(values, 10, 100, 1e-3)),
        ("40 columns", longer(values, 40, 100, 1e-3)),
        ("20 columns, 400 epochs", longer(values, 20, 400, 1e-3)),
        ("20 columns, 400 epochs of 5e-3", longer(values, 20, 400, 5e-3)),
        ("20 columns, 2,000 epochs of 5e-3", longer(values, 20, 2000, 5e-3)),
        (f"20 columns, α falling from {down[0]:g}", annealed(values, 20, down)),
        (f"20 columns, α rising from {up[0]:g}", annealed(values, 20, up)),
        (f"10 columns, α rising from {up[0]:g}", annealed(values, 10, up)),
        ("contraction, local search", contraction(affinity)),
    ):
        scores, reached = cluster_scores(classes, labels), inside(affinity, labels)
        searched = cluster_scores(classes, improve(affinity, labels))
        print(
            f"| {name} | {reached:,.0f} | {certificate.short_of(reached):.3%} | {len(np.unique(labels))} "
            f"| {scores.purity:.3f} | {scores.ari:.3f} | {searched.ari:.3f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
