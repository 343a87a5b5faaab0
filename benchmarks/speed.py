"""How much faster than message passing, and how long a picture takes: ``python -m benchmarks.speed``.

Times on one machine are comparable only within one run; the ratio is what counts.
"""

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.pyg_yardstick import fit as fit_by_messages
from deepcut_lib import DeepCut, load_backbone, segment
from deepcut_lib.network import initial_weights

PICTURE = Path(__file__).parent.parent / "data" / "images" / "photo_cat.jpg"


def median_seconds(work: Callable[[], object], repeats: int) -> float:
    """Median time of several runs, after one that does not count."""
    work()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def main() -> None:
    """Print the table."""
    # Positive, so that the graph is complete: message passing pays for each edge, the dense form does not
    features = torch.rand(1225, 384, generator=torch.Generator().manual_seed(0))
    weights = initial_weights(384, 64, 32, 2, torch.Generator().manual_seed(0))
    model = DeepCut(dropout=0.0, initial_weights=weights, device="cpu")
    ours = median_seconds(lambda: model.fit(features), 15)
    started = time.perf_counter()
    _, losses = fit_by_messages(features, weights, epochs=10)
    theirs = time.perf_counter() - started
    difference = max(abs(a - b) for a, b in zip(losses, model.losses_, strict=True))
    print(
        f"{torch.get_num_threads()} threads; n=1225, d=384, K=2, 10 epochs; random positive features, seed 0"
    )
    print(f"message passing over the edge list (PyG)  {theirs:8.3f} s")
    print(f"DeepCut, dense                            {ours:8.3f} s   {theirs / ours:.0f} times faster")
    print(f"largest difference of a loss              {difference:8.1e}")

    products = median_seconds(lambda: features @ (features.T @ (features @ features.T)), 15)
    print(f"two products of n×n×d, the floor          {products:8.3f} s\n")

    backbone = load_backbone("effnet_lite0", device="cpu")
    for name, options in (
        ("", {}),
        (", bilateral solver", {"refine": True}),
        (", two-stage", {"two_stage": True}),
    ):
        seconds = median_seconds(lambda options=options: segment(PICTURE, backbone=backbone, **options), 9)
        print(f"whole way, effnet_lite0, 448 px{name:20} {seconds:8.3f} s a picture")
    seconds = median_seconds(lambda: backbone(PICTURE, cls=False), 9)
    print(f"of which features {seconds:34.3f} s")


if __name__ == "__main__":
    main()
