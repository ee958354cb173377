"""Softmax cross-entropy: r(· | z) is categorical with logits z."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from ngexplorer.objectives.losses.base import Loss
from ngexplorer.objectives.traits import Traits


class SoftmaxCrossEntropy(Loss, frozen=True, kw_only=True, tag="softmax-cross-entropy"):
    """L = log Σ_c e^{z_c} − z_y, with H_L = F_R = diag(p) − ppᵀ, whose null vector is 1 (MATH §2: softmax logits).

    Targets are class indices, (N,), int64.
    """

    title: ClassVar[str] = "Softmax cross-entropy"
    natural: ClassVar[bool] = True
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

    def per_case(self, z: Tensor, y: Tensor) -> Tensor:
        return torch.nn.functional.cross_entropy(z, y, reduction="none")

    def gradient(self, z: Tensor, y: Tensor) -> Tensor:
        p = torch.softmax(z, 1)
        return p.scatter_add(1, y[:, None], torch.full_like(z[:, :1], -1.0))

    def hessian(self, z: Tensor, y: Tensor) -> Tensor:
        return self.fisher(z)

    def fisher(self, z: Tensor) -> Tensor:
        p = torch.softmax(z, 1)
        return torch.diag_embed(p) - p[:, :, None] * p[:, None, :]

    def fisher_root(self, z: Tensor) -> Tensor:
        """S = diag(√p) − p √pᵀ: S Sᵀ = diag(p) − ppᵀ since √pᵀ√p = 1."""
        p = torch.softmax(z, 1)
        root = p.sqrt()
        return torch.diag_embed(root) - p[:, :, None] * root[:, None, :]

    def sample(self, z: Tensor, generator: torch.Generator) -> Tensor:
        return torch.multinomial(torch.softmax(z.detach(), 1), 1, generator=generator)[:, 0]

    def prediction(self, z: Tensor) -> Tensor:
        return torch.softmax(z, 1)

    def metric(self, z: Tensor, y: Tensor) -> Tensor:
        """Accuracy of deciding for the largest logit."""
        return (z.argmax(1) == y).to(z.dtype).mean()
