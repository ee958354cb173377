"""Bernoulli, for two classes or several independent yes-or-no outputs: logits (logistic regression), probabilities."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from ngexplorer.objectives.losses.base import check_real_targets, ratio
from ngexplorer.objectives.losses.diagonal import DiagonalLoss
from ngexplorer.objectives.traits import Traits


class Bernoulli(DiagonalLoss, frozen=True, kw_only=True):
    """L = −Σ_c y_c log p_c + (1 − y_c) log(1 − p_c), where p is the prediction. Targets (N, C), 0 to 1."""

    convex: ClassVar[bool] = True
    metric_name: ClassVar[str] = "accuracy"

    def outputs(self, traits: Traits) -> int:
        return traits.columns

    def refusal(self, traits: Traits) -> str | None:
        if traits.targets == "classes":
            return None if traits.classes == 2 else f"needs two classes; there are {traits.classes}"
        return None if traits.targets == "unit" else f"needs yes-or-no targets; these are {traits.described}"

    def encode(self, targets: Tensor, traits: Traits, like: Tensor) -> Tensor:
        y = targets.to(like)
        return y[:, None] if y.ndim == 1 else y

    def check(self, y: Tensor, z: Tensor) -> None:
        check_real_targets(y, z, self.title)
        if bool(((y < 0) | (y > 1)).any()):
            raise ValueError(f"targets: values from {float(y.min())} to {float(y.max())}; {self.title} takes 0 to 1")

    def sample(self, z: Tensor, generator: torch.Generator) -> Tensor:
        # Not torch.bernoulli, which stops the process of a GPU where a diverged z is NaN.
        draws = torch.rand(z.shape, generator=generator, dtype=z.dtype, device=z.device)
        return (draws < self.prediction(z.detach())).to(z)

    def metric(self, z: Tensor, y: Tensor) -> Tensor:
        """Accuracy of deciding 1 where p > ½."""
        return ((self.prediction(z) > 0.5) == (y > 0.5)).to(z.dtype).mean()


class BernoulliLogits(Bernoulli, frozen=True, kw_only=True, tag="bernoulli-logits"):
    """L = Σ_c log(1 + e^{z_c}) − y_c z_c, with H_L = F_R = diag(p(1 − p)), p = σ(z)."""

    title: ClassVar[str] = "Bernoulli, logits"
    natural: ClassVar[bool] = True

    def per_case(self, z: Tensor, y: Tensor) -> Tensor:
        return softplus(z).addcmul(y, z, value=-1).sum(1)

    def gradient(self, z: Tensor, y: Tensor) -> Tensor:
        return torch.sigmoid(z) - y

    def fisher_diagonal(self, z: Tensor) -> Tensor:
        # p or 1 − p, whichever is below ½: 1 − p loses digits where it is small.
        p = torch.sigmoid(-z.abs())
        return p.addcmul(p, p, value=-1)

    def prediction(self, z: Tensor) -> Tensor:
        return torch.sigmoid(z)


class BernoulliProbability(Bernoulli, frozen=True, kw_only=True, tag="bernoulli-probability"):
    """L = −Σ_c y_c log z_c + (1 − y_c) log(1 − z_c): outputs are probabilities, as after a sigmoid layer.

    F_R = diag(1/(p(1 − p))) and H_L = diag(y/p² + (1 − y)/(1 − p)²), p = z, which depends on y. L is infinite
    for z outside [0, 1], and for the label that z = 0 or 1 rules out.
    """

    title: ClassVar[str] = "Bernoulli, probabilities"
    natural: ClassVar[bool] = False

    def link(self) -> nn.Module:
        return nn.Sigmoid()

    def per_case(self, z: Tensor, y: Tensor) -> Tensor:
        value = -torch.xlogy(y, z) - torch.special.xlog1py(1 - y, -z)
        return torch.where((z < 0) | (z > 1), torch.full_like(z, torch.inf), value).sum(1)

    def gradient(self, z: Tensor, y: Tensor) -> Tensor:
        return ratio(1 - y, 1 - z) - ratio(y, z)

    def hessian_diagonal(self, z: Tensor, y: Tensor) -> Tensor:
        return ratio(y, z.square()) + ratio(1 - y, (1 - z).square())

    def fisher_diagonal(self, z: Tensor) -> Tensor:
        return 1 / (z * (1 - z))

    def prediction(self, z: Tensor) -> Tensor:
        return z
