"""The optimisation (§3): networks fitted to one graph at a time, or to many of one grid together."""

import numbers
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from typing import Any, Literal, Self, TypeAlias, TypedDict, get_args

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClusterMixin, clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor

from deepcut_lib.devices import resolve_device, without_autocast
from deepcut_lib.features import float32, spread
from deepcut_lib.graphs import Graph, cc_graph, ncut_graph
from deepcut_lib.landmarks import LANDMARKS
from deepcut_lib.losses import cc_loss, ncut_loss, prior_term, soft_ncut_loss
from deepcut_lib.network import Networks, Weights, check_weights, initial_weights
from deepcut_lib.parameters import check_positive, check_whole
from deepcut_lib.prior import checked_prior

Loss: TypeAlias = Callable[[Graph, Tensor], Tensor]

Objective: TypeAlias = Literal["ncut", "cc", "soft_ncut"] | Loss

OBJECTIVES: dict[str, Loss] = {"ncut": ncut_loss, "cc": cc_loss, "soft_ncut": soft_ncut_loss}
"""The losses that have names."""

Memory: TypeAlias = Literal["auto", "dense", "matrix-free", "landmarks"]

MOST_EXACT = 4096
"""``memory="auto"`` stores W of up to so many patches; of more, products go through `LANDMARKS` groups."""

BATCH_BYTES = {"cpu": 8 * 2**20, "cuda": 2 * 2**30, "mps": 512 * 2**20}
"""Affinities solved together. On a CPU they should stay in the cache; on a GPU many pictures fill it."""

JOINT_PATCHES = 1024
"""Patches of a mini-batch of `DeepCut.fit_jointly`."""

FEW_CLUSTERS = 4
"""With more, a joint fit of Eq. 9 begins with an epoch of the soft N-cut: to give every patch the same S, 1/K
for each cluster, is a minimum of Eq. 9 then, from which no step leads (measured from K = 6 on)."""


MOST = {"n_clusters": 4096, "epochs": 10**6, "hidden_channels": 4096, "mlp_channels": 4096, "n_init": 1024}
"""The largest numbers that `DeepCut` takes: a slip beyond is told, instead of filling the memory."""

LARGEST_SEED = 2**63 - 2**32
"""torch's generators take seeds below 2⁶³; the starts take the seed plus their number."""


ONE_PATCH = "1 sample (patch) cannot be cut: give a larger picture or a smaller stride"


@contextmanager
def _outside_modes() -> Iterator[None]:
    """Leave the caller's inference mode, in which nothing can be optimised, and autocast."""
    with torch.inference_mode(False), without_autocast():
        yield


class Form(TypedDict):
    """How a graph keeps W, as `ncut_graph` and `cc_graph` take it."""

    dense: bool
    landmarks: int


def graph_form(n: int, memory: Memory = "auto") -> Form:
    """What a `memory` of `DeepCut` means for n patches."""
    if memory == "auto":
        memory = "dense" if n <= MOST_EXACT else "landmarks"
    return {"dense": memory == "dense", "landmarks": LANDMARKS if memory == "landmarks" else 0}


class DeepCut(ClusterMixin, BaseEstimator):
    """Clustering of patch features by a graph neural network, optimised for each picture (§3).

    Args:
        n_clusters: K; with ``objective="cc"`` the most clusters that can be found (the published code: 10).
        objective: ``"ncut"`` (Eq. 9), ``"cc"`` (Eq. 10), ``"soft_ncut"`` (not the paper's, see
            `soft_ncut_loss`), or a callable ``(graph, S) -> loss`` that takes the `Graph` of Eq. 6 and S,
            n×K, and returns a scalar tensor.
        alpha: the k sensitivity of ``"cc"`` (Eq. 7), positive: the larger, the fewer clusters.
        epochs: steps of AdamW. The paper: 10 for foreground and background, 100 for parts.
        learning_rate: of AdamW, with torch's default weight decay.
        hidden_channels: width of the graph convolution.
        mlp_channels: width of the MLP's hidden layer.
        dropout: share of the MLP's hidden values set to zero in training.
        initial_weights: six arrays to start from (`network.NAMES`, in torch's (out, in) order) instead of
            random ones.
        n_init: random starts, of which the one with the least final loss is kept. They share the passes over
            W and cost little. The published code has one.
        device: "auto", "cpu", "cuda", "mps" or a `torch.device`.
        random_state: seed of the starts (start r uses the seed plus r) and of the dropout; a RandomState or
            None as everywhere in scikit-learn. An integer gives the same labels each time.
        memory: "dense" stores W, n² numbers; "matrix-free" makes its rows as they are used, with memory
            linear in n; "landmarks" approximates its products through `LANDMARKS` groups of patches, with
            time linear in n too; "auto" is dense up to `MOST_EXACT` patches, and landmarks beyond.
        prior_weight: μ: how much `prior_term` counts beside the objective. Above 0 each fit takes a prior,
            and cluster 0 is background.

    Attributes:
        labels_: (n,) cluster of each patch.
        assignments_: (n, K) float32, S after the last step, without dropout.
        losses_: (epochs,) loss of each epoch, before its step.
        n_clusters_found_: how many clusters have patches.
        start_labels_: (n_init, n) the clusters that each start found, for choosing by another measure.
        start_assignments_: (n_init, n, K) their S.
        weights_: the fitted network's six tensors, by name.
        n_features_in_: d.
    """

    def __init__(
        self,
        n_clusters: int = 2,
        objective: Objective = "ncut",
        alpha: float = 3.0,
        epochs: int = 10,
        learning_rate: float = 1e-3,
        hidden_channels: int = 64,
        mlp_channels: int = 32,
        dropout: float = 0.25,
        initial_weights: Weights | None = None,
        n_init: int = 1,
        device: str | torch.device = "auto",
        random_state: int | np.random.RandomState | None = 0,
        memory: Memory = "auto",
        prior_weight: float = 0.0,
    ) -> None:
        self.n_clusters = n_clusters
        self.objective = objective
        self.alpha = alpha
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.hidden_channels = hidden_channels
        self.mlp_channels = mlp_channels
        self.dropout = dropout
        self.initial_weights = initial_weights
        self.n_init = n_init
        self.device = device
        self.random_state = random_state
        self.memory = memory
        self.prior_weight = prior_weight

    @_outside_modes()
    def fit(self, X: Any, y: object = None, *, prior: Any = None) -> Self:
        """Cluster one picture's patches.

        Args:
            X: n×d features, an array or a tensor (which may live on the device already).
            y: ignored.
            prior: (n,) each patch's probability of foreground, where `prior_weight` is above 0.

        Raises:
            ValueError: X is not a finite n×d matrix of at least two rows, has fewer rows than clusters, a
                parameter is out of range, or there is a prior without a weight or the other way round.
        """
        rows = self._validate(X, reset=True)
        self._solve([self], rows.unsqueeze(0), None if prior is None else [prior])
        return self

    @_outside_modes()
    def fit_batch(self, features: Tensor, priors: Sequence[Any] | None = None) -> list[Self]:
        """Cluster the patches of several pictures of one grid together, each with networks of its own.

        Args:
            features: B×n×d.
            priors: (n,) of each picture, as for `fit`.

        Returns:
            B fitted copies of this estimator, each as `fit` alone would have made it.
        """
        if features.ndim != 3:
            raise ValueError(f"fit_batch takes B×n×d features, not a tensor of shape {tuple(features.shape)}")
        if not len(features):
            return []
        values = _tracked(float32(features)).to(resolve_device(self.device))
        unfitted = clone(self)
        unfitted._check_shape(values[0], reset=True, least=2)
        fitted = [copy(unfitted) for _ in values]
        self._solve(fitted, values, priors)
        return fitted

    @_outside_modes()
    def fit_jointly(self, pictures: Sequence[Any], priors: Sequence[Any] | None = None) -> Self:
        """Fit one network to the patches of many pictures, so that a label means the same in all (§4).

        Messages run inside each picture, as they do in `predict`; the loss is taken over mini-batches of
        `JOINT_PATCHES` patches drawn from all pictures, whose affinities reach across them. An epoch meets
        every patch once. Eq. 9 with more than `FEW_CLUSTERS` clusters is led in by the soft
        N-cut, whose loss the first of `losses_` then is, unless a prior leads.

        Args:
            pictures: n_i×d features of each picture; the numbers of patches may differ. Whether they are
                centred over each picture or over all is decided before: `segment_parts` says which it takes.
            priors: (n_i,) of each picture, as for `fit`.

        Returns:
            This estimator; `labels_` and `assignments_` hold the patches of all pictures in turn, `losses_`
            the mean over each epoch's mini-batches.

        Raises:
            ValueError: no picture, features that are no finite n×d matrices of one d, fewer patches than
                clusters, a callable objective, or a parameter out of range; or all patches ended in one
                cluster, though they differ and N-cut was asked for more.
        """
        if not len(pictures):
            raise ValueError("fit_jointly needs the features of at least one picture")
        if callable(self.objective):
            raise ValueError(
                f"fit_jointly takes one of the objectives {', '.join(OBJECTIVES)}, not a callable"
            )
        rows = [self._validate(X, reset=i == 0, least=1) for i, X in enumerate(pictures)]
        features = torch.cat(rows)
        self._check_parameters(len(features))
        each_prior = self._checked_priors(priors, rows)
        prior = None if each_prior is None else torch.cat(each_prior).unsqueeze(0)
        generators, starts = self._starts(features.shape[1])
        networks = Networks(starts, batch=1, dropout=self.dropout).to(features.device)
        optimizer = torch.optim.AdamW(networks.parameters(), lr=self.learning_rate, fused=True)
        propagated = torch.cat([self._propagate(x.unsqueeze(0))[0] for x in rows])
        batches = max(round(len(features) / JOINT_PATCHES), 1)
        history = []
        # A prior leads out of equal assignments by itself
        lead_in = self.objective == "ncut" and self.n_clusters > FEW_CLUSTERS and prior is None
        for epoch in range(self.epochs):
            order = torch.randperm(len(features), generator=generators[0]).to(features.device)
            losses = []
            for chosen in order.tensor_split(batches):
                graph, loss = self._problem(features[chosen].unsqueeze(0), _rows(prior, chosen))
                if lead_in and epoch == 0:
                    loss = soft_ncut_loss
                near = propagated[chosen].unsqueeze(0)
                losses.append(_step(networks, optimizer, graph, near, loss, generators))
            history.append(torch.stack(losses).mean(0))
        with torch.no_grad():
            totals = torch.zeros(self.n_init, dtype=torch.float32)
            for chosen in order.tensor_split(batches):
                graph, loss = self._problem(features[chosen].unsqueeze(0), _rows(prior, chosen))
                totals += loss(graph, networks(propagated[chosen].unsqueeze(0)))[0].cpu()
            assignment = networks(propagated.unsqueeze(0))[0]
        start = int(totals.argmin())
        self._keep(assignment[start], torch.stack(history)[:, 0, start], networks.weights(0, start))
        if self.n_clusters_found_ < min(self.n_clusters, 2) and self._must_part(features):
            raise ValueError(
                f"all {len(features)} patches of {len(rows)} pictures ended in one of {self.n_clusters} "
                "clusters; take fewer clusters, a smaller learning rate, or the objective 'soft_ncut'"
            )
        self.start_assignments_ = assignment.cpu().numpy()
        self.start_labels_ = self.start_assignments_.argmax(-1)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Label other features with the fitted network, without training (§4).

        Args:
            X: n×d features of another picture; d as in `fit`.

        Returns:
            (n,) labels that mean the same clusters as `labels_`.
        """
        return self.predict_assignments(X).argmax(axis=1)

    @_outside_modes()
    def predict_assignments(self, X: Any) -> np.ndarray:
        """The assignments S of other features by the fitted network, without training.

        Args:
            X: as for `predict`.

        Returns:
            n×K float32.
        """
        check_is_fitted(self, "weights_")
        features = self._validate(X, reset=False)
        network = Networks([self.weights_], batch=1, dropout=0.0).to(features.device)
        with torch.no_grad():
            assignment = network(self._propagate(features.unsqueeze(0)))
        return assignment[0, 0].cpu().numpy()

    def restore(self, weights: Weights) -> Self:
        """Take up a network that was fitted before, so that `predict` works.

        Args:
            weights: the six tensors of an estimator's `weights_`.

        Raises:
            ValueError: their sizes do not fit each other or `n_clusters`.
        """
        in_channels = weights["gcn_weight"].shape[-1] if "gcn_weight" in weights else 0
        self.weights_ = check_weights(weights, in_channels, self.n_clusters)
        self.n_features_in_ = in_channels
        return self

    def _solve(self, fitted: list[Self], features: Tensor, given_priors: Sequence[Any] | None) -> None:
        """Optimise B×n×d features, as many pictures at a time as fit the memory; fill in the estimators."""
        _, n, in_channels = features.shape
        self._check_parameters(n)
        priors = self._checked_priors(given_priors, features)
        generators, starts = self._starts(in_channels)
        # Drawing the starts has moved the generators: what follows, the dropout, begins here for every chunk
        states = [generator.get_state() for generator in generators]
        # A chunk of B pictures keeps B n×n (or n×m) matrices of four-byte affinities at hand. A picture's R
        # starts do not count: they share its W, and their own numbers, n×(hidden + K), are small beside it
        wide = graph_form(n, self.memory)["landmarks"] or n
        together = max(BATCH_BYTES.get(features.device.type, 0) // (4 * n * wide), 1)
        if callable(self.objective):
            together = 1  # it is written for one graph
        for first in range(0, len(features), together):
            chunk = features[first : first + together]
            for generator, state in zip(generators, states, strict=True):
                generator.set_state(state)  # every picture meets the same dropout
            prior = None if priors is None else torch.stack(priors[first : first + together])
            graph, loss = self._problem(chunk, prior)
            networks = Networks(starts, batch=len(chunk), dropout=self.dropout).to(chunk.device)
            # Â F does not change while the weights do: once for a chunk, not once an epoch
            propagated = graph.propagate(graph.features)
            losses = optimise(networks, graph, propagated, loss, self.epochs, self.learning_rate, generators)
            with torch.no_grad():
                assignment = networks(propagated)  # (B, R, n, K), after the last step and without dropout
                best = [0] * len(chunk)
                if self.n_init > 1:  # the losses of epochs are from before their steps
                    best = loss(graph, assignment).argmin(dim=1).tolist()
            # All pictures' results in one piece: a GPU is waited for once, and not several times for each
            assignment, losses, networks = assignment.cpu(), losses.cpu(), networks.to("cpu")
            for i, start in enumerate(best):
                estimator = fitted[first + i]
                estimator._keep(assignment[i, start], losses[:, i, start], networks.weights(i, start))
                estimator.start_assignments_ = assignment[i].numpy()
                estimator.start_labels_ = estimator.start_assignments_.argmax(-1)

    def _keep(self, assignment: Tensor, losses: Tensor, weights: dict[str, Tensor]) -> None:
        if not (torch.isfinite(assignment).all() and torch.isfinite(losses).all()):
            raise ValueError(
                f"the loss is no finite number with learning_rate {self.learning_rate:g}; take a smaller "
                "one, or divide the features by a constant"
            )
        self.assignments_ = assignment.cpu().numpy()
        self.labels_ = self.assignments_.argmax(axis=1)
        self.losses_ = losses.cpu().numpy()
        self.n_clusters_found_ = len(np.unique(self.labels_))
        self.weights_ = {name: tensor.cpu() for name, tensor in weights.items()}

    def _propagate(self, features: Tensor) -> Tensor:
        """Â F of B×n×d features."""
        graph, _ = self._problem(features, None)
        return graph.propagate(graph.features)

    def _problem(self, features: Tensor, prior: Tensor | None) -> tuple[Graph, Loss]:
        """The graph of B×n×d features, and what of it is minimised; the prior, if any, is B×n."""
        form = graph_form(features.shape[-2], self.memory)
        graph = (
            cc_graph(features, self.alpha, **form) if self.objective == "cc" else ncut_graph(features, **form)
        )
        objective = self.objective
        loss = _on_single_graphs(objective) if callable(objective) else OBJECTIVES[objective]
        if prior is None:
            return graph, loss
        unit = torch.ones((), device=features.device)
        if graph.shift is not None:
            # Eq. 10 grows with n² and with the features' length, the others do not: on one scale μ means one
            unit = (graph.n**2 * self.alpha * graph.shift[..., 0]).clamp(min=torch.finfo(torch.float32).tiny)
        return graph, lambda graph, S: loss(graph, S) / unit + self.prior_weight * prior_term(S, prior)

    def _must_part(self, features: Tensor) -> bool:
        """Whether a single cluster is no answer: not to N-cut alone, of features that differ."""
        asked = self.objective in ("ncut", "soft_ncut") and not self.prior_weight
        return asked and spread(features) > 1e-3

    def _checked_priors(
        self, priors: Sequence[Any] | None, rows: Sequence[Tensor] | Tensor
    ) -> list[Tensor] | None:
        """Priors as the losses take them, where the weight says that there are some."""
        if priors is None and not self.prior_weight:
            return None
        if priors is None:
            raise ValueError("prior_weight is above 0: give each patch's prior probability of foreground")
        if not self.prior_weight:
            raise ValueError("a prior counts for nothing while prior_weight is 0; set it, or give no prior")
        if len(priors) != len(rows):
            raise ValueError(f"{len(priors)} priors for {len(rows)} pictures; give one for each")
        return [
            checked_prior(prior, len(values)).to(values.device)
            for prior, values in zip(priors, rows, strict=True)
        ]

    def _starts(self, in_channels: int) -> tuple[list[torch.Generator], list[Weights]]:
        seed = self.random_state
        if not isinstance(seed, int | np.integer):
            seed = check_random_state(seed).randint(2**31 - 1)
        generators = [torch.Generator().manual_seed(int(seed) + r) for r in range(self.n_init)]
        if self.initial_weights is not None:
            given = check_weights(self.initial_weights, in_channels, self.n_clusters)
            return generators, [given] * self.n_init
        sizes = (in_channels, self.hidden_channels, self.mlp_channels, self.n_clusters)
        return generators, [initial_weights(*sizes, generator) for generator in generators]

    def _validate(self, X: Any, *, reset: bool, least: int | None = None) -> Tensor:
        device = resolve_device(self.device)
        # predict takes a single patch, fit needs two to have anything to cut
        least = least or (2 if reset else 1)
        if isinstance(X, Tensor):
            values = _tracked(float32(X))
            self._check_shape(values, reset=reset, least=least)
            return values.to(device)
        if isinstance(X, np.ndarray) and X.dtype.kind in "fiu":
            X = float32(X).numpy()
            if X.shape[:1] == (1,) and least > 1:
                raise ValueError(ONE_PATCH)
        checked = validate_data(self, X, reset=reset, dtype=np.float32, order="C", ensure_min_samples=least)
        return float32(checked).to(device)

    def _check_shape(self, X: Tensor, *, reset: bool, least: int) -> None:
        """scikit-learn's rules for features that are a tensor."""
        if X.shape[:1] == (1,) and least > 1:
            raise ValueError(ONE_PATCH)
        if X.ndim != 2 or len(X) < least or not X.shape[1]:
            raise ValueError(f"features must be n×d with at least {least} rows, not {tuple(X.shape)}")
        if reset:
            self.n_features_in_ = X.shape[1]
        elif X.shape[1] != self.n_features_in_:
            raise ValueError(
                f"X has {X.shape[1]} features, but the network was fitted to {self.n_features_in_} features"
            )

    def check_parameters(self) -> None:
        """Find what is wrong whatever the features are, before any are computed.

        Raises:
            ValueError: a parameter is out of range, or no number; the message names it.
        """
        if not (callable(self.objective) or self.objective in OBJECTIVES):
            raise ValueError(
                f"objective must be one of {', '.join(OBJECTIVES)} or a callable, not {self.objective!r}"
            )
        if self.memory not in get_args(Memory):
            raise ValueError(f"memory must be one of {', '.join(get_args(Memory))}, not {self.memory!r}")
        for name, most in MOST.items():
            check_whole(name, getattr(self, name), 1, most)
        check_positive("learning_rate", self.learning_rate)
        if self.objective == "cc":
            check_positive("alpha", self.alpha)
        if self.prior_weight != 0:
            check_positive("prior_weight", self.prior_weight)
        if not (isinstance(self.dropout, numbers.Real) and 0 <= self.dropout < 1):
            raise ValueError(f"dropout must lie in [0, 1), not {self.dropout}")
        if isinstance(self.random_state, numbers.Number):
            check_whole("random_state", self.random_state, 0, LARGEST_SEED)

    def _check_parameters(self, n: int) -> None:
        self.check_parameters()
        if n < self.n_clusters and self.objective != "cc":
            raise ValueError(
                f"{n} patches cannot form {self.n_clusters} clusters: give more patches (a larger picture or "
                "a smaller stride) or fewer clusters"
            )


def by_size(labels: np.ndarray) -> np.ndarray:
    """Number clusters 0, 1, … from the largest to the smallest; of equals, the first to appear.

    Args:
        labels: of any shape, which is kept.
    """
    _, first, inverse, counts = np.unique(labels, return_index=True, return_inverse=True, return_counts=True)
    order = np.lexsort((first, -counts))
    return order.argsort()[inverse.reshape(labels.shape)]


def optimise(
    networks: Networks,
    graph: Graph,
    propagated: Tensor,
    loss: Loss,
    epochs: int,
    learning_rate: float,
    generators: list[torch.Generator],
) -> Tensor:
    """Fit networks to graphs by AdamW, in place.

    Args:
        networks: B×R of them.
        graph: B graphs.
        propagated: Â F, (B, n, d).
        loss: maps the graphs and S, (B, R, n, K), to (B, R) losses.
        epochs: number of steps.
        learning_rate: of AdamW.
        generators: R sources of dropout.

    Returns:
        (epochs, B, R) losses, each before its step.
    """
    optimizer = torch.optim.AdamW(networks.parameters(), lr=learning_rate, fused=True)
    steps = [_step(networks, optimizer, graph, propagated, loss, generators) for _ in range(epochs)]
    return torch.stack(steps)


def _step(
    networks: Networks,
    optimizer: torch.optim.Optimizer,
    graph: Graph,
    propagated: Tensor,
    loss: Loss,
    generators: list[torch.Generator],
) -> Tensor:
    with torch.enable_grad():
        losses = loss(graph, networks(propagated, generators))
        optimizer.zero_grad()
        losses.sum().backward()  # the networks share nothing, so the sum's gradient is each one's own
        optimizer.step()
    return losses.detach()


def _tracked(X: Tensor) -> Tensor:
    """A tensor that gradients can be taken with, also if it was made in inference mode."""
    return X.clone() if X.is_inference() else X


def _rows(prior: Tensor | None, chosen: Tensor) -> Tensor | None:
    return None if prior is None else prior[:, chosen]


def _on_single_graphs(objective: Loss) -> Loss:
    """Let an objective written for one graph and one S serve a batch of one graph and R assignments."""

    def batched(graph: Graph, assignment: Tensor) -> Tensor:
        single = Graph(graph.features[0], dense=graph.dense, landmarks=graph.landmarks)
        return torch.stack([objective(single, start) for start in assignment[0]]).unsqueeze(0)

    return batched
