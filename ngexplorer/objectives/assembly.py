"""From settings to an objective: which data, model and loss go together, and putting them together."""

from __future__ import annotations

import torch

from ngexplorer.objectives.datasets import BreastCancer, DataSet, Digits, TwoMoons
from ngexplorer.objectives.landscapes import Landscape, Rosenbrock
from ngexplorer.objectives.losses import AnyLoss, Loss
from ngexplorer.objectives.models import MLP, LandscapeModel, Linear, Model
from ngexplorer.objectives.objective import Objective
from ngexplorer.settings import SettingError

AnyData = Digits | BreastCancer | TwoMoons | Rosenbrock
AnyModel = MLP | Linear | LandscapeModel

DTYPES = {"float32": torch.float32, "float64": torch.float64}


def model_refusal(data: type[DataSet], model: type[Model]) -> str | None:
    """Why this model cannot be used with this data, or None if it can."""
    if data.landscape and model is not LandscapeModel:
        return f"{data.title} is a test function of two parameters and brings its own residuals"
    if not data.landscape and model is LandscapeModel:
        return f"only a test function such as Rosenbrock has residuals of its own; {data.title} needs a network"
    return None


def loss_refusal(data: type[DataSet], loss: Loss) -> str | None:
    """Why this loss cannot be used with this data, or None if it can."""
    reason = loss.refusal(data.classes)
    return f"{loss.title} {reason} ({data.title})" if reason else None


def devices() -> list[str]:
    """The devices of this machine."""
    cuda = [f"cuda:{i}" for i in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    return ["cpu", *(["cuda"] if cuda else []), *(cuda if len(cuda) > 1 else [])]


def assemble(
    data: AnyData,
    model: AnyModel,
    loss: AnyLoss,
    *,
    weight_decay: float = 0.0,
    seed: int = 0,
    device: str = "cpu",
    dtype: str = "float64",
) -> Objective:
    """The objective these settings describe, its weights drawn from `seed`.

    Raises SettingError for parts that do not go together or a device that is not there.
    """
    check(data, model, loss, device)
    cases = data.load()
    if isinstance(data, Landscape):
        network = data.network()
    else:
        outputs = loss.outputs(cases.classes, cases.columns)
        network = model.build(cases.inputs.shape[1], outputs, torch.Generator().manual_seed(seed))
    like = torch.empty(0, dtype=DTYPES[dtype], device=device)
    network = network.to(like)

    def prepared(pair: tuple[torch.Tensor, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        return pair[0].to(like), loss.encode(pair[1], cases.classes, like)

    validation = prepared(cases.validation) if cases.validation else None
    return Objective(network, loss, *prepared((cases.inputs, cases.targets)), weight_decay, validation)


def check(data: AnyData, model: AnyModel, loss: AnyLoss, device: str) -> None:
    """Raise SettingError unless these go together on this machine."""
    if reason := model_refusal(type(data), type(model)):
        raise SettingError("model", reason)
    if reason := loss_refusal(type(data), loss):
        raise SettingError("loss", reason)
    if device not in devices():
        raise SettingError("device", f"'{device}' is not on this machine (there are: {', '.join(devices())})")
