"""Softmax: r(· | z) is categorical; z are logits, probabilities or log-probabilities (three splits of one network)."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from ngexplorer.objectives.losses.base import CaseMap, Loss
from ngexplorer.objectives.losses.diagonal import DiagonalLoss
from ngexplorer.objectives.traits import Traits


class Categorical(Loss, frozen=True, kw_only=True):
    """L = −log p_y, where p is the prediction. Targets are class indices, (N,), int64."""

    convex: ClassVar[bool] = True
    metric_name: ClassVar[str] = "accuracy"

    def outputs(self, traits: Traits) -> int:
        if traits.classes is None:
            raise ValueError(f"{self.title}: {self.refusal(traits)}")
        return traits.classes

    def refusal(self, traits: Traits) -> str | None:
        return None if traits.targets == "classes" else f"needs classes; these targets are {traits.described}"

    def encode(self, targets: Tensor, traits: Traits, like: Tensor) -> Tensor:
        return targets.to(device=like.device, dtype=torch.int64)

    def check(self, y: Tensor, z: Tensor) -> None:
        if y.shape != z.shape[:1] or y.dtype != torch.int64:
            raise ValueError(
                f"targets: shape {tuple(y.shape)}, {y.dtype}; "
                f"{self.title} takes class indices, ({len(z)},), torch.int64"
            )
        if bool(((y < 0) | (y >= z.shape[1])).any()):
            raise ValueError(
                f"targets: classes from {int(y.min())} to {int(y.max())}; "
                f"{z.shape[1]} outputs take 0 to {z.shape[1] - 1}"
            )

    def sample(self, z: Tensor, generator: torch.Generator) -> Tensor:
        # The first of C exponential clocks with rates p to ring. Not torch.multinomial, which stops the process of a
        # GPU where a diverged z is NaN.
        p = self.prediction(z.detach())
        return (p / torch.empty_like(p).exponential_(generator=generator)).argmax(1)

    def metric(self, z: Tensor, y: Tensor) -> Tensor:
        """Accuracy of deciding for the largest output."""
        return (z.argmax(1) == y).to(z.dtype).mean()


class SoftmaxCrossEntropy(Categorical, frozen=True, kw_only=True, tag="softmax-cross-entropy"):
    """L = log Σ_c e^{z_c} − z_y, with H_L = F_R = diag(p) − ppᵀ, whose null vector is 1.

    Targets are class indices, (N,), int64.
    """

    title: ClassVar[str] = "Softmax cross-entropy"
    natural: ClassVar[bool] = True

    def per_case(self, z: Tensor, y: Tensor) -> Tensor:
        return -at_label(log_softmax(z), y)

    def gradient(self, z: Tensor, y: Tensor) -> Tensor:
        p = softmax(z)
        return p.scatter_add(1, y[:, None], torch.full_like(z[:, :1], -1.0))

    def fisher(self, z: Tensor) -> Tensor:
        p = softmax(z)
        return torch.diag_embed(p) - p[:, :, None] * p[:, None, :]

    def fisher_map(self, z: Tensor) -> CaseMap:
        """u ↦ p∘u − p (pᵀu)."""
        p = softmax(z)

        def times(u: Tensor) -> Tensor:
            weight = p if u.ndim == 2 else p[:, None]
            weighted = weight * u
            return weighted.addcmul(weight, weighted.sum(-1, keepdim=True), value=-1)

        return times

    def fisher_root(self, z: Tensor) -> Tensor:
        """(diag(√p) − p√pᵀ) Q, (N, C, C − 1): it maps √p to 0, so √p is left out by an orthonormal basis Q of what
        is orthogonal to √p, the last columns of the reflection I − vvᵀ/(1 + √p₁) with v = √p + e₁."""
        if z.shape[1] == 1:
            return torch.zeros_like(z)[:, :, None]
        p = softmax(z)
        root = p.sqrt()
        whole = torch.diag_embed(root) - p[:, :, None] * root[:, None, :]
        share = root[:, 1:] / (1 + root[:, :1])
        return whole[:, :, 1:] - whole[:, :, :1] * share[:, None, :]

    def whitened_gradient(self, z: Tensor, y: Tensor) -> Tensor:
        """Qᵀ(√p − e_y/√p_y), (N, C − 1)."""
        if z.shape[1] == 1:
            return torch.zeros_like(z)
        log_p = log_softmax(z)
        root = torch.exp(0.5 * log_p)
        r = root.scatter_add(1, y[:, None], -torch.exp(-0.5 * log_p.gather(1, y[:, None])))
        # r is orthogonal to √p, so that vᵀr is its first entry.
        return r[:, 1:] - r[:, :1] * root[:, 1:] / (1 + root[:, :1])

    def prediction(self, z: Tensor) -> Tensor:
        return softmax(z)


class SoftmaxProbabilities(Categorical, DiagonalLoss, frozen=True, kw_only=True, tag="softmax-probabilities"):
    """L = −log z_y: outputs are probabilities that sum to 1, as after a softmax layer.

    F_R = diag(1/p) and H_L = e_y e_yᵀ/p_y², p = z: G is then the empirical Fisher matrix. L is infinite
    where z_y ≤ 0. The score's mean under r is 1, not 0: L also sees changes of Σ_c z_c, which the
    network never makes.
    """

    title: ClassVar[str] = "Softmax, probabilities"
    natural: ClassVar[bool] = False

    def link(self) -> nn.Module:
        return nn.Softmax(dim=1)

    def per_case(self, z: Tensor, y: Tensor) -> Tensor:
        return -at_label(z, y).clamp(min=0).log()

    def gradient(self, z: Tensor, y: Tensor) -> Tensor:
        return only_at_label(-1 / at_label(z, y), y, z)

    def hessian_diagonal(self, z: Tensor, y: Tensor) -> Tensor:
        return only_at_label(at_label(z, y).square().reciprocal(), y, z)

    def fisher_diagonal(self, z: Tensor) -> Tensor:
        return 1 / z

    def prediction(self, z: Tensor) -> Tensor:
        return z


class SoftmaxLogProbabilities(Categorical, DiagonalLoss, frozen=True, kw_only=True, tag="softmax-log-probabilities"):
    """L = −z_y: outputs are log-probabilities, as after a log-softmax layer.

    F_R = diag(p), p = e^z, and H_L = 0: G is 0. As L is linear, even
    E_{y ~ r}[H_L] is not F_R: r is a density only on the surface Σ_c e^{z_c} = 1, to which the network keeps.
    """

    title: ClassVar[str] = "Softmax, log-probabilities"
    natural: ClassVar[bool] = False

    def link(self) -> nn.Module:
        return nn.LogSoftmax(dim=1)

    def per_case(self, z: Tensor, y: Tensor) -> Tensor:
        return -at_label(z, y)

    def gradient(self, z: Tensor, y: Tensor) -> Tensor:
        return only_at_label(torch.full_like(z[:, 0], -1.0), y, z)

    def hessian_diagonal(self, z: Tensor, y: Tensor) -> Tensor:
        return torch.zeros_like(z)

    def fisher_diagonal(self, z: Tensor) -> Tensor:
        return z.exp()

    def prediction(self, z: Tensor) -> Tensor:
        return z.exp()


def softmax(z: Tensor) -> Tensor:
    """p of each case, (N, C), a class after the other in memory: along short rows torch takes eight times as long."""
    return torch.softmax(z.T.contiguous(), 0).T


def log_softmax(z: Tensor) -> Tensor:
    """log p of each case, (N, C), in memory like `softmax`."""
    return torch.log_softmax(z.T.contiguous(), 0).T


def at_label(z: Tensor, y: Tensor) -> Tensor:
    """z_y of each case, (N,)."""
    return z.gather(1, y[:, None])[:, 0]


def only_at_label(values: Tensor, y: Tensor, like: Tensor) -> Tensor:
    """values, (N,), in the place of each case's label and 0 elsewhere, (N, C)."""
    return torch.zeros_like(like).scatter(1, y[:, None], values[:, None])
