"""Whatever tensors are handed over and however torch is set: the float32 result, without a warning."""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from deepcut_lib import clustering, load_backbone, segmentation
from deepcut_lib.clustering import DeepCut
from deepcut_lib.features import PatchFeatures, log_bin, normalize
from deepcut_lib.graphs import Graph, cc_graph, ncut_graph
from deepcut_lib.kless import cluster_images, cluster_vectors
from deepcut_lib.losses import cc_loss, ncut_loss
from deepcut_lib.network import NAMES, Networks, initial_weights
from deepcut_lib.parts import MODES, find_parts, label_agreement, segment_parts
from deepcut_lib.recipe import Recipe
from deepcut_lib.segmentation import cut
from deepcut_lib.trained import TrainedDeepCut, train_on_features, train_once
from deepcut_lib.video.carried import CarriedDeepCut
from tests.conftest import patch_features


@contextmanager
def double_by_default() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


STATES: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "inference_mode": torch.inference_mode,
    "no_grad": torch.no_grad,
    "float64 by default": double_by_default,
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
}


def read_only(x: Tensor) -> np.ndarray:
    array = x.numpy().copy()
    array.flags.writeable = False
    return array


GIVEN: dict[str, Callable[[Tensor], Tensor | np.ndarray]] = {
    "bfloat16": lambda x: x.to(torch.bfloat16),
    "float16": lambda x: x.half(),
    "float64": lambda x: x.double(),
    "with a gradient": lambda x: x.clone().requires_grad_(),
    "not contiguous": lambda x: x.T.contiguous().T,
    "negative bit": lambda x: torch.complex(x, -x).conj().imag,
    "other byte order": lambda x: x.numpy().astype(">f4"),
    "columns first": lambda x: np.asfortranarray(x.numpy()),
    "every second": lambda x: x.repeat_interleave(2, 0)[::2],
    "read-only array": read_only,
    "backwards array": lambda x: x.numpy()[::-1].copy()[::-1],
    "float64 array": lambda x: x.numpy().astype(float),
    "list": lambda x: x.tolist(),  # type: ignore[return-value]
}


@pytest.fixture
def rounded(blobs: Tensor) -> Tensor:
    """Features that bfloat16 holds exactly."""
    return blobs.to(torch.bfloat16).float()


@pytest.mark.parametrize("objective", ["ncut", "cc"])
@pytest.mark.parametrize("given", GIVEN)
def test_any_features(rounded: Tensor, given: str, objective: str) -> None:
    expected = DeepCut(3, objective, n_init=2).fit(rounded)
    found = DeepCut(3, objective, n_init=2).fit(GIVEN[given](rounded))
    assert np.array_equal(found.assignments_, expected.assignments_)
    assert np.array_equal(found.predict(GIVEN[given](rounded)), expected.predict(rounded))
    assert found.assignments_.dtype == np.float32


@pytest.mark.parametrize("state", STATES)
def test_any_state_of_torch(rounded: Tensor, state: str) -> None:
    def everything() -> list[np.ndarray]:
        features = [patch_features(normalize(rounded.clone()), (10, 12)) for _ in range(2)]
        found = cut(features, recipe=Recipe(n_clusters=3, n_init=2, centred=True), two_stage=True)
        model = DeepCut(3, n_init=2).fit(rounded.clone())
        jointly = DeepCut(3, n_init=2).fit_jointly([rounded.clone(), rounded.clone() + 1])
        foregrounds = [one.foreground for one in found]
        parts = find_parts(features, foregrounds, 2, epochs=3)
        clusters = cluster_vectors(rounded.clone(), epochs=3, n_init=2)
        return [
            found[1].labels,
            found[1].losses,
            model.assignments_,
            model.predict(rounded.clone()),
            jointly.losses_,
            parts[0].labels,
            clusters.labels,
        ]

    expected = everything()
    with STATES[state]():
        found = everything()
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        assert np.array_equal(one, other)


def test_features_made_in_inference_mode_are_used_outside(rounded: Tensor) -> None:
    with torch.inference_mode():
        features = patch_features(rounded.clone(), (10, 12))
    assert np.array_equal(cut([features])[0].labels, cut([patch_features(rounded, (10, 12))])[0].labels)


def test_features_with_a_gradient_or_another_type_become_plain_float32(rounded: Tensor) -> None:
    for values in (rounded.double(), rounded.clone().requires_grad_(), rounded.to(torch.bfloat16)):
        features = patch_features(values, (10, 12))
        assert features.values.dtype == torch.float32
        assert not features.values.requires_grad
        assert np.array_equal(cut([features])[0].labels, cut([patch_features(rounded, (10, 12))])[0].labels)


@pytest.mark.parametrize("given", ["read-only array", "backwards array", "list", "every second", "bfloat16"])
def test_features_and_vectors_may_be_arrays(rounded: Tensor, given: str) -> None:
    values = GIVEN[given](rounded)
    found = cut([patch_features(values, (10, 12))])[0]  # type: ignore[arg-type]
    assert np.array_equal(found.labels, cut([patch_features(rounded, (10, 12))])[0].labels)
    clusters, expected = (cluster_vectors(x, epochs=3, n_init=2) for x in (values, rounded))
    assert np.array_equal(clusters.labels, expected.labels)


@pytest.mark.parametrize(
    "given", [given for given in GIVEN if "bfloat16" not in given and given != "float16"]
)
def test_any_initial_weights(rounded: Tensor, given: str) -> None:
    weights = DeepCut(3).fit(rounded).weights_
    theirs = {name: GIVEN[given](tensor) if tensor.ndim == 2 else tensor for name, tensor in weights.items()}
    plain, other = (DeepCut(3, initial_weights=start).fit(rounded) for start in (weights, theirs))
    assert np.array_equal(plain.assignments_, other.assignments_)
    with pytest.raises(ValueError, match="initial weight mlp1_bias holds no finite numbers"):
        DeepCut(3, initial_weights={**weights, "mlp1_bias": torch.full((32,), torch.nan)}).fit(rounded)


@pytest.mark.parametrize("largest", [1e18, -3.4e38, 1e300, 3e38])
@pytest.mark.parametrize("as_tensor", [True, False])
def test_features_that_overflow_are_refused(blobs: Tensor, largest: float, as_tensor: bool) -> None:
    values = blobs.double().numpy()
    fitted = DeepCut().fit(values)
    values[3, 5] = largest
    given: Any = torch.from_numpy(values) if as_tensor else values
    tasks: list[Callable[[], object]] = [
        lambda: DeepCut().fit(given),
        lambda: fitted.predict(given),
        lambda: DeepCut().fit_jointly([blobs, given]),
        lambda: cut([patch_features(given, (10, 12))], centred=True),
        lambda: cluster_vectors(given),
        lambda: find_parts([patch_features(given, (10, 12))], [np.ones((10, 12), bool)]),
    ]
    for task in tasks:
        with pytest.raises(ValueError, match=re.escape(f"{abs(largest):.2g} in magnitude, so that")):
            task()


def test_nan_is_refused_whatever_comes_before_the_network(blobs: Tensor) -> None:
    blobs[5, 5] = torch.nan
    for task in (lambda: patch_features(blobs, (10, 12)), lambda: cluster_vectors(blobs)):
        with pytest.raises(ValueError, match="NaN"):
            task()


@pytest.mark.parametrize("factor", [1e-30, 1e-6, 1e6, 1e12])
def test_large_and_small_features_that_do_not_overflow(blobs: Tensor, factor: float) -> None:
    found = DeepCut(3).fit(blobs * factor)
    assert np.isfinite(found.assignments_).all()
    assert np.isfinite(found.losses_).all()


def test_a_step_that_is_too_large_is_said(blobs: Tensor) -> None:
    with pytest.raises(ValueError, match="learning_rate 1e\\+30; take a smaller one"):
        DeepCut(learning_rate=1e30).fit(blobs)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("n_clusters", [0, -1, 2.0, True, "2", None, 10**12]),
        ("epochs", [0, -3, 1.5, np.float64(3), 10**20]),
        ("n_init", [0, np.int64(-1), 10**9]),
        ("hidden_channels", [0, 2.5, 10**12]),
        ("learning_rate", [0, -1e-3, float("nan"), float("inf"), "1e-3", 10**400]),
        ("dropout", [1, -0.1, float("nan"), None]),
        ("random_state", [-1, 2**63, 10**20, True]),
    ],
)
def test_parameters_are_checked_where_they_enter(blobs: Tensor, name: str, values: list[object]) -> None:
    for value in values:
        with pytest.raises(ValueError, match=name):
            DeepCut(**{name: value}).fit(blobs)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=name):  # though there is no use for the number of clusters
            DeepCut(**{"objective": "cc", name: value}).fit(blobs)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("task", "options"),
    [
        (cluster_images, {"alpha": 0.5}),
        (cluster_images, {"alpha": "3"}),
        (cluster_images, {"max_clusters": 0}),
        (cluster_images, {"epochs": 0}),
        (cluster_images, {"random_state": -1}),
        (segment_parts, {"k": 2.5}),
        (segment_parts, {"epochs": -1}),
        (segment_parts, {"learning_rate": float("nan")}),
        (train_once, {"k": 0}),
        (train_once, {"n_clusters": 10**12}),
        (train_once, {"part_epochs": 0}),
        (train_once, {"random_state": 10**20}),
    ],
)
def test_sets_are_not_begun_with_a_bad_number(
    task: Callable[..., object], options: dict[str, Any], photograph: np.ndarray
) -> None:
    backbone = load_backbone("pixels")
    backbone.extractor = None  # type: ignore[assignment]
    with pytest.raises(ValueError, match=next(iter(options))):
        task([photograph, photograph], backbone=backbone, **options)


def test_alpha_counts_only_for_cc(blobs: Tensor) -> None:
    for alpha in (0.0, -1.0, float("nan"), float("inf")):
        DeepCut(alpha=alpha).fit(blobs)
        with pytest.raises(ValueError, match="alpha must be positive and finite"):
            DeepCut(objective="cc", alpha=alpha).fit(blobs)


def test_numbers_of_numpy_are_numbers(blobs: Tensor) -> None:
    plain = DeepCut(3, epochs=5, n_init=2, random_state=7, learning_rate=1e-2).fit(blobs)
    theirs = DeepCut(
        np.int32(3),
        epochs=np.int64(5),
        n_init=np.uint8(2),
        random_state=np.int64(7),
        learning_rate=np.float64(1e-2),
        alpha=np.float32(3),
    ).fit(blobs)
    assert np.array_equal(plain.assignments_, theirs.assignments_)


def test_the_limit_of_memory_holds_everywhere(rounded: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above `MOST_EXACT`, and where it is asked for, nothing stores W."""
    features = [patch_features(rounded, (10, 12))]
    chosen = {"recipe": Recipe(n_clusters=3, n_init=2, centred=True)}
    expected = [cut(features, **options)[0].labels for options in ({}, chosen)]  # type: ignore[arg-type]
    trained = TrainedDeepCut_on(features)
    labels = trained.segment_features(features[0]).labels

    def stored(self: Graph) -> Tensor:
        raise AssertionError("W was stored")

    monkeypatch.setattr(Graph, "affinity", property(stored))
    cut(features, objective="cc", memory="matrix-free")
    for options, before in zip(({}, chosen), expected, strict=True):
        found = cut(features, memory="matrix-free", **options)[0]  # type: ignore[arg-type]
        assert np.array_equal(found.labels, before)
    with pytest.raises(AssertionError, match="W was stored"):
        cut(features)
    monkeypatch.setattr(clustering, "MOST_EXACT", 10)
    for options, before in zip(({}, chosen), expected, strict=True):
        assert np.array_equal(cut(features, **options)[0].labels, before)  # type: ignore[arg-type]
    assert np.array_equal(trained.segment_features(features[0]).labels, labels)


class LargestTensor(TorchDispatchMode):
    """Remembers how many numbers the largest tensor has that is made inside."""

    numbers = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for made in result if isinstance(result, tuple | list) else (result,):
            if isinstance(made, Tensor):
                self.numbers = max(self.numbers, made.numel())
        return result


@pytest.mark.parametrize("limited", [True, False])
def test_no_task_makes_n_squared_numbers(
    limited: bool, generator: torch.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    n = 1200
    features = [patch_features(torch.randn(n, 8, generator=generator), (30, 40))]
    trained = TrainedDeepCut_on(features)
    if limited:
        monkeypatch.setattr(clustering, "MOST_EXACT", 10)
        monkeypatch.setattr(clustering, "LANDMARKS", 20)
    tasks: list[Callable[[], object]] = [
        lambda: cut(features, recipe=Recipe(n_clusters=3, n_init=2), two_stage=True, epochs=1),
        lambda: cut(features, objective="cc", n_init=2, epochs=1),
        lambda: find_parts(features, [np.ones((30, 40), bool)], 2, mode="sequential", epochs=1),
        lambda: find_parts(features, [np.ones((30, 40), bool)], 2, epochs=1),
        lambda: cluster_vectors(features[0].values, epochs=1, n_init=1),
        lambda: trained.segment_features(features[0]).labels,
    ]
    for i, task in enumerate(tasks):
        with LargestTensor() as largest:
            task()
        assert (largest.numbers < n * n) == limited, i


def TrainedDeepCut_on(features: list[PatchFeatures]) -> TrainedDeepCut:
    class Described:
        foreground_recipe = Recipe(n_clusters=3)
        name = "described"
        device = "that of the features counts"

    return train_on_features(features, Described())  # type: ignore[arg-type]


def test_w_is_not_built_where_nothing_is_chosen(rounded: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deepcut_lib.segmentation.normalized_cut", None)
    cut([patch_features(rounded, (10, 12))])
    cut([patch_features(rounded, (10, 12))], objective="cc", n_clusters=4)


@pytest.mark.parametrize("dense", [True, False])
@pytest.mark.parametrize("signed", [True, False])
def test_nothing_mixes_devices(dense: bool, signed: bool) -> None:
    """Tensors that only pretend to be on a GPU find what was made on the CPU by mistake."""
    generator = torch.Generator().manual_seed(0)
    start = initial_weights(16, 8, 4, 3, generator)
    with FakeTensorMode():
        start = {name: torch.empty(tensor.shape, device="cuda") for name, tensor in start.items()}
        features = torch.empty(2, 30, 16, device="cuda")
        graph = cc_graph(features, 3.0, dense=dense) if signed else ncut_graph(features, dense=dense)
        networks = Networks([start, start], batch=2, dropout=0.25)
        propagated = graph.propagate(graph.features)
        for generators in (None, [generator, generator]):
            assignment = networks(propagated, generators)
            loss = (cc_loss if signed else ncut_loss)(graph, assignment)
            assert loss.device.type == "cuda"
        assert normalize(features[0]).device.type == "cuda"
        assert graph.negative_share().device.type == "cuda"


@pytest.fixture
def pretended_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Tensors without numbers, also on "cuda", which fail where two devices meet or NumPy is given theirs.

    There are no gradients and no sizes that depend on numbers.
    """

    def array(self: Tensor) -> np.ndarray:
        assert self.device.type == "cpu", "NumPy was given a tensor of the GPU"
        kind = {torch.int64: int, torch.bool: bool}.get(self.dtype, np.float32)
        return np.full(tuple(self.shape), kind is bool, kind)

    def step(networks: Networks, _: object, graph: Graph, near: Tensor, loss: Any, generators: Any) -> Tensor:
        return loss(graph, networks(near, generators)).detach()

    def to(self: Networks, device: torch.device) -> Networks:
        for name in NAMES:
            setattr(self, name, nn.Parameter(getattr(self, name).detach().to(device)))
        return self

    for name, value in {"__bool__": True, "__int__": 0, "__float__": 1.0}.items():
        monkeypatch.setattr(Tensor, name, lambda self, value=value: value)
    monkeypatch.setattr(Tensor, "numpy", array)
    monkeypatch.setattr(FakeTensor, "tolist", lambda self: array(self.cpu()).tolist())
    monkeypatch.setattr(Networks, "to", to)
    monkeypatch.setattr(clustering, "_step", step)
    monkeypatch.setattr(segmentation, "normalized_cut", lambda graph, labels: 0.0)
    with FakeTensorMode(allow_non_fake_inputs=True):
        yield


def test_no_task_mixes_devices(pretended_gpu: None, monkeypatch: pytest.MonkeyPatch) -> None:
    # The GPU that is pretended gives every patch the same cluster, which a joint fit would not accept
    monkeypatch.setattr(DeepCut, "_must_part", lambda self, features: False)
    features = [patch_features(torch.empty(120, 16, device="cuda"), (10, 12)) for _ in range(2)]
    foreground = np.zeros((10, 12), bool)
    foreground[2:8, 3:9] = True
    cut(features, recipe=Recipe(n_clusters=3, n_init=2, centred=True), memory="matrix-free")
    cut(features, objective="cc", two_stage=True)
    for mode in MODES:
        parts = find_parts(features, [foreground, foreground], 2, mode=mode, epochs=2)
    assert label_agreement(parts).matches > 0
    assert log_bin(features[0]).values.device.type == "cuda"
    trained = TrainedDeepCut_on(features)
    assert trained.segment_features(features[0]).labels.shape == (10, 12)
    carried, black = CarriedDeepCut(Recipe(n_clusters=3)), Image.new("RGB", (12, 10))
    carried.follow(features[0], black)
    assert carried._past is not None
    carried._past = carried._past.on(torch.device("cpu"))  # as `load` takes it up
    assert carried.follow(features[1], black).segmentation.labels.shape == (10, 12)
    with pytest.raises(RuntimeError, match="device"):
        ncut_graph(features[0].values).matmul(torch.empty(120, 2))


@pytest.mark.parametrize("task", ["parts", "cut", "kless", "trained"])
def test_tasks_run_where_their_features_are(
    rounded: Tensor, task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    resolve = clustering.resolve_device

    def resolved(device: object) -> torch.device:
        asked.append(str(device))
        return resolve(str(device))

    monkeypatch.setattr(clustering, "resolve_device", resolved)
    features = [patch_features(rounded, (10, 12))]
    if task == "parts":
        find_parts(features, [np.ones((10, 12), bool)], 2, epochs=2)
    elif task == "cut":
        cut(features)
    elif task == "kless":
        cluster_vectors(rounded, epochs=2, n_init=1)
    else:
        TrainedDeepCut_on(features)
    assert set(asked) == {"cpu"}


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("rule", ["border", "union"])
def test_starts_are_compared_in_float32(half: torch.dtype, rule: str, generator: torch.Generator) -> None:
    features = [patch_features(torch.randn(400, 24, generator=generator), (20, 20)) for _ in range(4)]
    recipe = Recipe(n_clusters=3, n_init=4, centred=True, rule=rule, learning_rate=5e-3)
    expected = [found.labels for found in cut(features, recipe=recipe)]
    with torch.autocast("cpu", dtype=half):
        found = [found.labels for found in cut(features, recipe=recipe)]
    assert all(np.array_equal(one, other) for one, other in zip(found, expected, strict=True))
