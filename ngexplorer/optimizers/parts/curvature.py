"""Curvature: what B is in (B + λI) d = −g."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from ngexplorer import curvature as matrices
from ngexplorer.objectives import Point
from ngexplorer.optimizers.parts.base import Part

Form = Annotated[
    Literal["whole", "layers", "diagonal"],
    Meta(description="The whole matrix, its blocks of layers, or its diagonal alone"),
]

Refresh = Annotated[
    int, Meta(ge=1, le=10_000, description="Steps that a matrix serves for before it is looked at anew")
]


class Identity(Part, frozen=True, kw_only=True, tag="identity"):
    """B = I: the Euclidean metric, so that −B⁻¹∇h is steepest descent."""

    title: ClassVar[str] = "Identity"


class DiagonalEmpiricalFisher(Part, frozen=True, kw_only=True, tag="diagonal-empirical-fisher"):
    """B = v^ξ + ε with v a running average, or the sum, of the squared gradient.

    Adam, RMSProp and AdaGrad are this with exponent ξ = ½ (Martens 2020, §11): a diagonal of the *empirical* Fisher,
    roughly, since the average is over gradients of the mean and not over cases.
    """

    title: ClassVar[str] = "Diagonal empirical Fisher"

    accumulation: Annotated[
        Literal["average", "average from zero", "sum"],
        Meta(
            description="v: a running average (bias-corrected, or biased towards its start at 0), or the sum of all g²"
        ),
    ] = "average"
    decay: Annotated[float, Meta(ge=0, lt=1, description="β₂ of v ← β₂v + (1 − β₂)g²; a sum has none")] = 0.999
    exponent: Annotated[float, Meta(ge=0, le=1, description="ξ: ½ in Adam, 1 would be the diagonal itself")] = 0.5
    epsilon: Annotated[float, Meta(gt=0, le=1, description="ε added to v^ξ")] = 1e-8


class LimitedMemory(Part, frozen=True, kw_only=True, tag="limited-memory"):
    """B⁻¹ from the last steps s and the gradient's changes y along them: L-BFGS (Nocedal 1980).

    A pair with sᵀy ≤ 1e-10 is left out, so that B stays positive definite.
    """

    title: ClassVar[str] = "Limited-memory BFGS"
    least: ClassVar[float] = 1e-10

    pairs: Annotated[int, Meta(ge=1, le=1000, description="How many of the last steps are remembered")] = 10


class Matrix(Part, frozen=True, kw_only=True):
    """A curvature matrix of the objective, in its whole or in part."""

    kind: ClassVar[type[matrices.Curvature]]

    form: Form = "whole"
    refresh: Refresh = 1
    decay: Annotated[
        float,
        Meta(
            ge=0,
            lt=1,
            description="ε of a running average of the matrices looked at, min(1 − 1/k, ε) of the k-th; 0: each alone",
        ),
    ] = 0.0

    def at(self, point: Point, seed: int) -> matrices.Curvature:
        """The matrix at a point; `seed` draws the labels, where some are drawn."""
        whole = self.whole(point, seed)
        if self.form == "whole":
            return whole
        return matrices.LayerDiagonal(whole) if self.form == "layers" else matrices.Diagonal(whole)

    def whole(self, point: Point, seed: int) -> matrices.Curvature:
        return self.kind(point.objective, point)


class Hessian(Matrix, frozen=True, kw_only=True, tag="hessian"):
    """B = ∇²h, exact."""

    title: ClassVar[str] = "Hessian"
    kind: ClassVar[type[matrices.Curvature]] = matrices.Hessian


class GaussNewton(Matrix, frozen=True, kw_only=True, tag="gauss-newton"):
    """B = E[Jᵀ H_L J], the generalized Gauss-Newton matrix."""

    title: ClassVar[str] = "Gauss-Newton"
    kind: ClassVar[type[matrices.Curvature]] = matrices.GaussNewton


class Fisher(Matrix, frozen=True, kw_only=True, tag="fisher"):
    """B = E[Jᵀ F_R J], the exact Fisher information with labels from the model."""

    title: ClassVar[str] = "Fisher"
    kind: ClassVar[type[matrices.Curvature]] = matrices.Fisher


class MonteCarloFisher(Matrix, frozen=True, kw_only=True, tag="monte-carlo-fisher"):
    """B = the Fisher estimated with labels drawn from the model, anew at every step."""

    title: ClassVar[str] = "Monte Carlo Fisher"
    kind: ClassVar[type[matrices.Curvature]] = matrices.MonteCarloFisher

    samples: Annotated[int, Meta(ge=1, le=1000, description="Labels drawn for every case")] = 1

    def whole(self, point: Point, seed: int) -> matrices.Curvature:
        return matrices.MonteCarloFisher(point.objective, point, self.samples, seed)


class EmpiricalFisher(Matrix, frozen=True, kw_only=True, tag="empirical-fisher"):
    """B = E[∇L ∇Lᵀ] with the training labels: not the Fisher (Martens 2020, §11)."""

    title: ClassVar[str] = "Empirical Fisher"
    kind: ClassVar[type[matrices.Curvature]] = matrices.EmpiricalFisher


class Kronecker(Part, frozen=True, kw_only=True):
    """A matrix of Kronecker products, one for each layer, from running averages of their factors."""

    kind: ClassVar[type[matrices.KFAC]]

    labels: Annotated[
        Literal["sampled", "exact", "training"],
        Meta(
            description="Labels of the gradients' factor: drawn from the model, all of them in expectation, the data's"
        ),
    ] = "sampled"
    sharing: Annotated[
        Literal["expand", "reduce"], Meta(description="How the positions of a convolution's weight are put together")
    ] = "expand"
    decay: Annotated[float, Meta(ge=0, lt=1, description="ε of the running averages: min(1 − 1/k, ε)")] = 0.95


class KFAC(Kronecker, frozen=True, kw_only=True, tag="kfac"):
    """B = K-FAC: a Kronecker product for each layer, of running averages (Martens and Grosse 2015).

    γ² = λ + η unless `adapt` chooses it: on the digits autoencoder that is behind for the first 600 gradients and ahead
    from then on, so that it is a choice.
    """

    title: ClassVar[str] = "K-FAC"
    kind: ClassVar[type[matrices.KFAC]] = matrices.KFAC

    refresh: Annotated[
        int, Meta(ge=1, le=10_000, description="Steps that the inverses of the factors serve for, T₃")
    ] = 1
    adapt: Annotated[
        int,
        Meta(
            title="Choose γ",
            ge=0,
            le=10_000,
            description="Steps between two choices of γ, T₂: of γω, γ and γ/ω, ω = √(19/20)^T₂, the one whose step has "
            "the lowest M(δ). 0: γ² = λ + η at every step",
        ),
    ] = 0


class EKFAC(Kronecker, frozen=True, kw_only=True, tag="ekfac"):
    """B = EKFAC: K-FAC's eigenbasis with the gradients' second moments in it (George et al. 2018)."""

    title: ClassVar[str] = "EKFAC"
    kind: ClassVar[type[matrices.KFAC]] = matrices.EKFAC

    refresh: Annotated[int, Meta(ge=1, le=10_000, description="Steps that the eigenbasis serves for, T₃")] = 1
    scalings: Annotated[
        int,
        Meta(
            ge=1,
            le=10_000,
            description="Steps that the gradients' second moments in the basis serve for; a new basis has new ones",
        ),
    ] = 1


class Torch(Part, frozen=True, kw_only=True, tag="torch"):
    """Whatever a torch.optim.Optimizer makes of the gradient: what you use today, to race against. Its learning rate is
    the one above. The class is imported when the run starts, never before."""

    title: ClassVar[str] = "torch.optim"

    path: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z_][\w]*(\.[A-Za-z_][\w]*)+$",
            max_length=200,
            description="Where the class is imported from, such as torch.optim.Muon or pytorch_optimizer.SOAP",
        ),
    ] = "torch.optim.AdamW"
    settings: Annotated[
        str, Meta(max_length=1000, description="Its other arguments, such as momentum=0.9, nesterov=True")
    ] = ""


class Own(Part, frozen=True, kw_only=True, tag="own"):
    """Whatever a class of your own makes of a point: a step is the learning rate times what its `step(point)` returns.
    Its code runs when the race takes its first step."""

    title: ClassVar[str] = "Own method"

    file: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z_][A-Za-z0-9_-]*$",
            max_length=200,
            description="Name of a Python file in the folder of your own optimizers, without .py",
        ),
    ] = "my_method"
    settings: Annotated[str, Meta(max_length=1000, description="Arguments of the class, such as decay=0.9")] = ""


Curvature = (
    Identity
    | DiagonalEmpiricalFisher
    | LimitedMemory
    | Hessian
    | GaussNewton
    | Fisher
    | MonteCarloFisher
    | EmpiricalFisher
    | KFAC
    | EKFAC
    | Torch
    | Own
)
