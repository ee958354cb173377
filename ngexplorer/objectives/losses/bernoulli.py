"""Bernoulli with logits: logistic regression, for two classes or several independent yes-or-no outputs."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import softplus

from ngexplorer.objectives.losses.base import Loss, check_real_targets
from ngexplorer.objectives.traits import Traits


class BernoulliLogits(Loss, frozen=True, kw_only=True, tag="bernoulli-logits"):
    """L = Σ_c log(1 + e^{z_c}) − y_c z_c, with H_L = F_R = diag(p(1 − p)), p = σ(z) (MATH §2: Bernoulli logit)."""

    title: ClassVar[str] = "Bernoulli, logits"
    natural: ClassVar[bool] = True
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

    def per_case(self, z: Tensor, y: Tensor) -> Tensor:
        return (softplus(z) - y * z).sum(1)

    def gradient(self, z: Tensor, y: Tensor) -> Tensor:
        return torch.sigmoid(z) - y

    def hessian(self, z: Tensor, y: Tensor) -> Tensor:
        return self.fisher(z)

    def fisher(self, z: Tensor) -> Tensor:
        p = torch.sigmoid(z)
        return torch.diag_embed(p * (1 - p))

    def fisher_root(self, z: Tensor) -> Tensor:
        p = torch.sigmoid(z)
        return torch.diag_embed((p * (1 - p)).sqrt())

    def sample(self, z: Tensor, generator: torch.Generator) -> Tensor:
        return torch.bernoulli(torch.sigmoid(z.detach()), generator=generator)

    def prediction(self, z: Tensor) -> Tensor:
        return torch.sigmoid(z)

    def metric(self, z: Tensor, y: Tensor) -> Tensor:
        """Accuracy of deciding 1 where z > 0."""
        return ((z > 0) == (y > 0.5)).to(z.dtype).mean()
