"""How much faster than message passing, and how long a picture takes: ``python -m benchmarks.speed``.

Times on one machine are comparable only within one run; the ratio is what counts.
"""

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import timm
import torch
from torch import Tensor

from benchmarks.pyg_yardstick import fit as fit_by_messages
from deepcut_lib import DeepCut, load_backbone, segment
from deepcut_lib.backbones.vit import vit_backbone
from deepcut_lib.images import load_image
from deepcut_lib.network import initial_weights

PAIRS = 5

KEYS_FLOP = 73.5e9
"""Of a ViT-S/8 at 280² up to the keys of its last block, see README.md."""

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


def whole_pictures(weights: dict[str, Tensor]) -> None:
    """A picture at 280² with a ViT-S/8 of random weights, against all blocks and messages over all edges."""
    torch.manual_seed(0)
    network = timm.create_model("vit_small_patch8_224", num_classes=0, dynamic_img_size=True).eval()
    vit = vit_backbone("ViT-S/8", network, stride=None, facet="key", layer=-1, device=torch.device("cpu"))
    picture = load_image(PICTURE).resize((280, 280))
    pixels = torch.rand(1, 3, 280, 280)

    def looked() -> Tensor:
        return vit(picture, size=280, cls=False).values

    def all_blocks() -> None:
        with torch.no_grad():
            network.forward_features(pixels)

    features, forward = median_seconds(looked, 5), median_seconds(all_blocks, 5)
    values = looked()
    cut = median_seconds(lambda: DeepCut(device="cpu", initial_weights=weights).fit(values), 5)
    started = time.perf_counter()
    fit_by_messages(values, weights, epochs=10)
    messages = time.perf_counter() - started
    square = torch.rand(2048, 2048)
    speed = 2 * 2048**3 / median_seconds(lambda: square @ square, 9)
    longer = (forward + messages) / (features + cut)
    print(
        f"whole way, ViT-S/8, 280 px: features {features:.2f} s + clustering {cut:.3f} s; all blocks", end=""
    )
    print(f" {forward:.2f} s + messages {messages:.2f} s, {longer:.1f} times as long")
    print(f"its features take {features / (KEYS_FLOP / speed):.2f} times what their products take alone\n")


def main() -> None:
    """Print the table."""
    # Positive, so that the graph is complete: message passing pays for each edge, the dense form does not
    features = torch.rand(1225, 384, generator=torch.Generator().manual_seed(0))
    weights = initial_weights(384, 64, 32, 2, torch.Generator().manual_seed(0))
    model = DeepCut(dropout=0.0, initial_weights=weights, device="cpu")
    ratios, seconds = [], []
    for _ in range(PAIRS):
        ours = median_seconds(lambda: model.fit(features), 15)
        started = time.perf_counter()
        _, losses = fit_by_messages(features, weights, epochs=10)
        theirs = time.perf_counter() - started
        ratios.append(theirs / ours)
        seconds.append((theirs, ours))
    difference = max(abs(a - b) for a, b in zip(losses, model.losses_, strict=True))
    theirs, ours = (statistics.median(column) for column in zip(*seconds, strict=True))
    print(
        f"{torch.get_num_threads()} threads; n=1225, d=384, K=2, 10 epochs; random positive features, "
        f"seed 0; medians of {PAIRS} pairs"
    )
    print(f"message passing over the edge list (PyG)  {theirs:8.3f} s")
    print(
        f"DeepCut, dense                            {ours:8.3f} s   {statistics.median(ratios):.0f} times "
        f"faster ({min(ratios):.0f} to {max(ratios):.0f})"
    )
    print(f"largest difference of a loss              {difference:8.1e}")

    products = median_seconds(lambda: (features @ features.T) @ features, 15)
    print(f"two products of n×n×d                     {products:8.3f} s\n")
    whole_pictures(weights)

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
