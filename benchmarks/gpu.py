"""What a CUDA device reaches: ``python -m benchmarks.gpu``.

Pictures a second from normalised pixels to labels, with the embedded network and with a ViT-S/8 of random
weights, over the size of the batch and the precision of the products; the share of what a matrix product
reaches on the same device; the ratio to message passing; and whether photographs are cut as on the CPU.
Pixels lie on the device before the clock starts, but for the photographs.
"""

import argparse
import contextlib
import itertools
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import timm
import torch
from PIL import Image
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.pyg_yardstick import fit as fit_by_messages
from deepcut_lib import Backbone, DeepCut, load_backbone
from deepcut_lib.backbones.vit import vit_backbone
from deepcut_lib.images import load_image
from deepcut_lib.network import initial_weights
from deepcut_lib.segmentation import cut

BATCHES = (1, 4, 16, 64, 256)

HALVES = {"float16": torch.float16, "bfloat16": torch.bfloat16}

PRECISIONS = ("default", "TF32", *HALVES)
"""Of products: torch's own, float32 but for convolutions in TF32; all in TF32, as commands have them; the
backbone's by autocast in one of two halves, those of the clustering in float32."""

PICTURES = Path(__file__).parent.parent / "data" / "images"


@contextlib.contextmanager
def set_to(precision: str, device: torch.device) -> Iterator[None]:
    """Run with one of `PRECISIONS`, as a user would ask for it."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if precision == "TF32" else before)
    try:
        with torch.autocast(device.type, HALVES.get(precision), enabled=precision in HALVES):
            yield
    finally:
        torch.set_float32_matmul_precision(before)


def seconds(work: Callable[[], object], device: torch.device, repeats: int) -> float:
    """Median time of several runs, after one that does not count; waits for the device."""

    def finished() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter()

    work()
    times = []
    for _ in range(repeats):
        started = finished()
        work()
        times.append(finished() - started)
    return statistics.median(times)


def networks(device: torch.device) -> list[Backbone]:
    """The embedded network, and the paper's with random weights: speed does not depend on them."""
    torch.manual_seed(0)
    model = timm.create_model("vit_small_patch8_224", num_classes=0)
    random = vit_backbone("ViT-S/8", model, stride=None, facet="key", layer=-1, device=device)
    return [load_backbone("effnet_lite0", device=str(device)), random]


def operations(backbone: Backbone, pixels: Tensor) -> int:
    """Floating-point operations of one picture's features, counted by torch."""
    # The counter knows attention written out, on every device
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        backbone.extract(pixels[:1])
    return int(counter.get_total_flops())


def roof(device: torch.device, side: int, repeats: int, precision: str) -> float:
    """Operations a second of a product of two square matrices."""
    matrix = torch.randn(side, side, device=device).to(HALVES.get(precision, torch.float32))
    with set_to(precision, device):
        return 2 * side**3 / seconds(lambda: matrix @ matrix, device, repeats)


def throughput(
    device: torch.device, batches: Sequence[int], sides: tuple[int, int], product: int, repeats: int
) -> None:
    """One table: a row for each network, precision and batch."""
    roofs = {precision: roof(device, product, repeats, precision) for precision in PRECISIONS}
    reached = ", ".join(f"{precision} {peak / 1e12:.3g}" for precision, peak in roofs.items())
    print(f"a product of {product}² matrices, TFLOP/s: {reached}\n")
    print("| network | products | batch | features ms | clustering ms | pictures/s | share of the roof |")
    print("|---|---|---|---|---|---|---|")
    model = DeepCut(device=str(device))
    for backbone, side in zip(networks(device), sides, strict=True):
        each = operations(backbone, torch.zeros(1, 3, side, side))
        for precision in PRECISIONS:
            for batch in batches:
                row = f"| {backbone.name} | {precision} | {batch} |"
                try:
                    pixels = torch.randn(batch, 3, side, side, device=device)
                    with set_to(precision, device):
                        features = seconds(partial(backbone.extract, pixels), device, repeats)
                        values = backbone.extract(pixels)
                        clustering = seconds(partial(model.fit_batch, values), device, repeats)
                except torch.OutOfMemoryError:
                    print(f"{row} does not fit the memory | | | |")
                    break
                share = each * batch / features / roofs[precision]
                print(
                    f"{row} {1e3 * features:.1f} | {1e3 * clustering:.1f} "
                    f"| {batch / (features + clustering):.1f} | {share:.0%} |",
                    flush=True,
                )
        print(f"| {backbone.name}: {each / 1e9:.1f} GFLOP a picture | | | | | | |")


def against_messages(device: torch.device, patches: int, together: int, repeats: int) -> None:
    """Two lines: clustering a picture, alone and among others, and messages over all its edges."""
    values = torch.rand(patches, 384, generator=torch.Generator().manual_seed(0)).to(device)
    many = values.expand(together, -1, -1).contiguous()
    weights = initial_weights(384, 64, 32, 2, torch.Generator().manual_seed(0))
    model = DeepCut(dropout=0.0, initial_weights=weights, device=str(device))
    ours = seconds(lambda: model.fit(values), device, repeats)
    theirs = seconds(lambda: fit_by_messages(values, weights, epochs=10), device, repeats)
    share = seconds(lambda: model.fit_batch(many), device, repeats) / together
    print(f"\nn={patches}: message passing {theirs:.4f} s, DeepCut {ours:.4f} s, {theirs / ours:.1f} times;")
    print(f"of {together} together, a picture takes {share:.5f} s, {theirs / share:.0f} times")


def photographs(device: torch.device, count: int, together: int) -> None:
    """One table: foreground as on the CPU, and pictures a second, decoded pictures in and masks out."""
    pictures = [load_image(path) for path in sorted(PICTURES.glob("*.jpg"))[:count]]

    def foreground(backbone: Backbone, precision: str) -> list[np.ndarray]:
        found = []
        for first in range(0, len(pictures), together):
            chosen: list[Image.Image] = pictures[first : first + together]
            with set_to(precision, device):
                found += cut(backbone.batch(chosen), recipe=backbone.foreground_recipe)
        return [segmentation.foreground for segmentation in found]

    print(f"\n{len(pictures)} photographs, default settings, {together} together, one thread:")
    print("| network | products | pictures/s | patches cut as on the CPU, % | worst picture |")
    print("|---|---|---|---|---|")
    for name, precision in itertools.product(("effnet_lite0", "tiny_vit"), PRECISIONS):
        if precision == "default":
            backbone = load_backbone(name, device="cpu")
            expected, there = foreground(backbone, precision), backbone.to(device)
        found = foreground(there, precision)
        started = time.perf_counter()
        foreground(there, precision)
        taken = time.perf_counter() - started
        agreed = [100 * (a == b).mean() for a, b in zip(found, expected, strict=True)]
        print(
            f"| {name} | {precision} | {len(pictures) / taken:.1f} | {np.mean(agreed):.2f} "
            f"| {min(agreed):.2f} |",
            flush=True,
        )


def report(
    device: torch.device,
    batches: Sequence[int] = BATCHES,
    *,
    sides: tuple[int, int] = (448, 280),
    patches: int = 1225,
    product: int = 8192,
    pictures: int = 128,
    together: int = 64,
    repeats: int = 5,
) -> None:
    """Print the tables.

    Args:
        device: where all runs.
        batches: numbers of pictures that go through together.
        sides: of the pictures for the two networks, in pixels.
        patches: n of the comparison with message passing.
        product: side of the matrices whose product is the roof.
        pictures: the most photographs that are cut.
        together: of them that go through together.
        repeats: runs of which the median counts.
    """
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{device.type}, no GPU"
    print(f"{name}; torch {torch.__version__}; ", end="")
    throughput(device, batches, sides, product, repeats)
    against_messages(device, patches, together, repeats)
    photographs(device, pictures, together)


def main() -> None:
    """Check that there is a device, and report."""
    parser = argparse.ArgumentParser(description="What a CUDA device reaches.")
    parser.add_argument("--batches", type=int, nargs="+", default=BATCHES, help="pictures together")
    parser.add_argument("--repeats", type=int, default=5, help="runs of which the median counts")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit(
            "benchmarks.gpu needs a CUDA device, and torch sees none: run it on a machine with an NVIDIA "
            "GPU, its driver, and a torch built for CUDA; on a CPU, run `python -m benchmarks.speed`"
        )
    report(torch.device("cuda"), options.batches, repeats=options.repeats)


if __name__ == "__main__":
    main()
