"""What a CUDA device reaches: ``python -m benchmarks.gpu``.

Pictures a second from normalised pixels to labels, with the embedded network and with a ViT-S/8 of random
weights, over the size of the batch; the share of what a matrix product reaches on the same device; the ratio
to message passing; and whether labels are the CPU's. Pixels lie on the device before the clock starts.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial

import timm
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.pyg_yardstick import fit as fit_by_messages
from deepcut_lib import Backbone, DeepCut, load_backbone
from deepcut_lib.backbones.vit import vit_backbone
from deepcut_lib.network import initial_weights

BATCHES = (1, 4, 16, 64, 256)


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


def roof(device: torch.device, side: int, repeats: int) -> float:
    """Operations a second of a product of two square matrices, in the precision that torch is set to."""
    matrix = torch.randn(side, side, device=device)
    return 2 * side**3 / seconds(lambda: matrix @ matrix, device, repeats)


def report(
    device: torch.device,
    batches: Sequence[int] = BATCHES,
    *,
    sides: tuple[int, int] = (448, 280),
    patches: int = 1225,
    product: int = 8192,
    repeats: int = 5,
) -> None:
    """Print the tables.

    Args:
        device: where all runs.
        batches: numbers of pictures that go through together.
        sides: of the pictures for the two networks, in pixels.
        patches: n of the comparison with message passing.
        product: side of the matrices whose product is the roof.
        repeats: runs of which the median counts.
    """
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{device.type}, no GPU"
    peak = roof(device, product, repeats)
    print(f"{name}; torch {torch.__version__}; a product of {product}² matrices: {peak / 1e12:.3g} TFLOP/s\n")
    print("| network | batch | features ms | clustering ms | pictures/s | share of the roof |")
    print("|---|---|---|---|---|---|")
    model = DeepCut(device=str(device))
    for backbone, side in zip(networks(device), sides, strict=True):
        each = operations(backbone, torch.zeros(1, 3, side, side))
        for batch in batches:
            try:
                pixels = torch.randn(batch, 3, side, side, device=device)
                features = seconds(partial(backbone.extract, pixels), device, repeats)
                clustering = seconds(partial(model.fit_batch, backbone.extract(pixels)), device, repeats)
            except torch.OutOfMemoryError:
                print(f"| {backbone.name} | {batch} | does not fit the memory | | | |")
                break
            share = each * batch / features / peak
            print(
                f"| {backbone.name} | {batch} | {1e3 * features:.1f} | {1e3 * clustering:.1f} "
                f"| {batch / (features + clustering):.1f} | {share:.0%} |",
                flush=True,
            )
        print(f"| {backbone.name}: {each / 1e9:.1f} GFLOP a picture | | | | | |")

    values = torch.rand(patches, 384, generator=torch.Generator().manual_seed(0)).to(device)
    weights = initial_weights(384, 64, 32, 2, torch.Generator().manual_seed(0))
    model = DeepCut(dropout=0.0, initial_weights=weights, device=str(device))
    ours = seconds(lambda: model.fit(values), device, repeats)
    theirs = seconds(lambda: fit_by_messages(values, weights, epochs=10), device, repeats)
    print(f"\nn={patches}: message passing {theirs:.4f} s, DeepCut {ours:.4f} s, {theirs / ours:.0f} times")

    centred = torch.randn(patches, 384, generator=torch.Generator().manual_seed(1))
    centred[: patches // 2, :8] += 2
    here = DeepCut(device=str(device), epochs=30, learning_rate=1e-2).fit(centred)
    cpu = DeepCut(device="cpu", epochs=30, learning_rate=1e-2).fit(centred)
    print(f"labels as on the CPU: {(here.labels_ == cpu.labels_).mean():.2%}")


def main() -> None:
    """Check that there is a device, and report."""
    parser = argparse.ArgumentParser(description="What a CUDA device reaches.")
    parser.add_argument("--batches", type=int, nargs="+", default=BATCHES, help="pictures together")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit(
            "benchmarks.gpu needs a CUDA device, and torch sees none: run it on a machine with an NVIDIA "
            "GPU, its driver, and a torch built for CUDA; on a CPU, run `python -m benchmarks.speed`"
        )
    report(torch.device("cuda"), options.batches)


if __name__ == "__main__":
    main()
