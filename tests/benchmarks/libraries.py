"""Our best recipe against other libraries' on the digits autoencoder: `python tests/benchmarks/libraries.py`.

Each library runs as its own documentation has it, bare, without our record: torch alone takes its gradients. All start
at one point, on one thread, seconds are of the process; everyone has three learning rates (ours three first dampings)
and shows the best of each time. What is not installed says so.
"""

from __future__ import annotations

import argparse
import copy
import math
from collections.abc import Callable, Iterator
from time import process_time
from typing import Any

import torch
from optimizers import PROBLEMS
from torch import Tensor, nn
from torch.nn import functional as F

from ngexplorer.optimizers import make

Steps = Iterator[Tensor]
"""One step each; yields the loss before it."""


def criterion(z: Tensor, y: Tensor, reduction: str = "mean") -> Tensor:
    """Bernoulli cross-entropy, summed over outputs; the mean over cases, or each case's."""
    cases = F.binary_cross_entropy_with_logits(z, y, reduction="none").sum(1)
    return cases.mean() if reduction == "mean" else cases.sum() if reduction == "sum" else cases


def stepping(optimizer: torch.optim.Optimizer, model: nn.Module, x: Tensor) -> Steps:
    while True:
        optimizer.zero_grad()
        loss = criterion(model(x), x)
        loss.backward()
        optimizer.step()
        yield loss.detach()


def torch_adam(model: nn.Module, x: Tensor, rate: float) -> Steps:
    return stepping(torch.optim.Adam(model.parameters(), lr=rate, foreach=True), model, x)


def torch_muon(model: nn.Module, x: Tensor, rate: float) -> Steps:
    """Muon for the weights and, as its documentation has it, Adam for the rest."""
    muon = torch.optim.Muon([p for p in model.parameters() if p.ndim == 2], lr=rate)
    adam = torch.optim.Adam([p for p in model.parameters() if p.ndim != 2], lr=rate)
    while True:
        for optimizer in (muon, adam):
            optimizer.zero_grad()
        loss = criterion(model(x), x)
        loss.backward()
        for optimizer in (muon, adam):
            optimizer.step()
        yield loss.detach()


def from_pytorch_optimizer(name: str, **settings: Any) -> Callable[[nn.Module, Tensor, float], Steps]:
    def begin(model: nn.Module, x: Tensor, rate: float) -> Steps:
        import pytorch_optimizer

        kind = getattr(pytorch_optimizer, name)
        return stepping(kind(model.parameters(), lr=rate, **settings), model, x)

    return begin


def singd_kfac(model: nn.Module, x: Tensor, rate: float) -> Steps:
    """The inverse-free K-FAC of Lin et al. (2023), by its authors."""
    from singd.optim.optimizer import SINGD

    settings = {"kfac_like": True, "alpha1": 0.0, "T": 1, "lr_cov": 0.05, "normalize_lr_cov": True, "damping": 1e-3}
    return stepping(SINGD(model, lr=rate, momentum=0.9, **settings), model, x)


def asdl(kind: str, **settings: Any) -> Callable[[nn.Module, Tensor, float], Steps]:
    """A preconditioner of ASDL (Osawa et al. 2023) before SGD with momentum."""

    def begin(model: nn.Module, x: Tensor, rate: float) -> Steps:
        import asdl

        config = asdl.PreconditioningConfig(data_size=len(x), damping=1e-2, ema_decay=0.95, curvature_upd_interval=1)
        maker = getattr(asdl, kind)(model, config, **settings)
        optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
        while True:
            optimizer.zero_grad()
            outputs = maker.setup_model_call(model, x)
            maker.setup_loss_call(criterion, outputs, x, reduction="mean")
            _, loss = maker.forward_and_backward()
            optimizer.step()
            yield loss.detach()

    return begin


RATES = (0.003, 0.01, 0.03)
OTHERS: dict[str, tuple[Callable[[nn.Module, Tensor, float], Steps], tuple[float, ...]]] = {
    "torch.optim.Adam": (torch_adam, RATES),
    "torch.optim.Muon": (torch_muon, RATES),
    "pytorch_optimizer.SOAP": (from_pytorch_optimizer("SOAP", weight_decay=0.0), RATES),
    "pytorch_optimizer.ScalableShampoo": (from_pytorch_optimizer("ScalableShampoo"), RATES),
    "pytorch_optimizer.Kron": (from_pytorch_optimizer("Kron", weight_decay=0.0), RATES),
    "singd, K-FAC without inverses": (singd_kfac, (0.001, 0.01, 0.1)),
    # Its sampled Fisher knows no Bernoulli labels, so it is the empirical one.
    "asdl, K-FAC": (asdl("KfacGradientMaker", fisher_type="fisher_emp"), (0.001, 0.01, 0.1)),
    "asdl, Shampoo": (asdl("ShampooGradientMaker"), RATES),
}


def marks_of(steps: Steps, loss_now: Callable[[], float], marks: tuple[float, ...]) -> list[float]:
    """The loss when each mark's seconds of the process are over; the look at it is not timed."""
    seconds, losses = 0.0, []
    for mark in marks:
        while seconds < mark:
            began = process_time()
            loss = next(steps)
            seconds += process_time() - began
            if not math.isfinite(float(loss)):
                return [*losses, *[math.nan] * (len(marks) - len(losses))]
        losses.append(loss_now())
    return losses


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", help=f"of {', '.join(OTHERS)}")
    options = parser.parse_args()
    torch.set_num_threads(1)
    build, marks = PROBLEMS["digits-autoencoder"]
    objective = build("cpu")
    x = objective.inputs
    print(f"| method | {' | '.join(f'{mark:g} s' for mark in marks)} |")
    print("|---|" + "---|" * len(marks), flush=True)

    def show(name: str, found: list[list[float]]) -> None:
        best = [min((row[i] for row in found if math.isfinite(row[i])), default=math.nan) for i in range(len(marks))]
        print(f"| {name} | {' | '.join(f'{loss:.4g}' for loss in best)} |", flush=True)

    found = []
    for initial in (0.1, 1.0, 10.0):
        stepper = make("kfac", damping={"initial": initial}).start(objective)
        rows = iter(lambda stepper=stepper: torch.tensor(stepper.step().loss_before), None)
        found.append(marks_of(rows, lambda stepper=stepper: float(stepper.point.value), marks))
    show("ours, K-FAC", found)
    for name, (begin, rates) in OTHERS.items():
        if options.only and name not in options.only:
            continue
        try:
            found = []
            for rate in rates:
                model = copy.deepcopy(objective.model)
                nn.utils.vector_to_parameters(objective.initial_parameters.clone(), model.parameters())
                for parameter in model.parameters():
                    parameter.requires_grad_()
                with torch.no_grad():
                    start = float(criterion(model(x), x))
                assert abs(start - float(objective.value(objective.initial_parameters))) < 1e-3
                found.append(
                    marks_of(begin(model, x, rate), lambda model=model: float(criterion(model(x), x).detach()), marks)
                )
        except Exception as error:  # what is missing or does not take this model says why
            print(f"| {name} | {type(error).__name__}: {str(error).splitlines()[0][:90]} |", flush=True)
            continue
        show(name, found)


if __name__ == "__main__":
    main()
