"""From settings to an objective: which data, model and loss go together, and putting them together."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from ngexplorer.objectives.datasets import AnyDataSet, DataSet
from ngexplorer.objectives.landscapes import AnyLandscape, Landscape
from ngexplorer.objectives.losses import AnyLoss, Loss
from ngexplorer.objectives.models import AnyModel, LandscapeModel, Model
from ngexplorer.objectives.objective import Objective
from ngexplorer.settings import SettingError

AnyData = AnyDataSet | AnyLandscape

DTYPES = {"float32": torch.float32, "float64": torch.float64}


def model_refusal(data: DataSet, model: Model) -> str | None:
    """Why this model cannot be used with this data, or None if it can."""
    if data.landscape and not isinstance(model, LandscapeModel):
        return f"{data.title} is a test function of two parameters and brings its own network"
    if not data.landscape and isinstance(model, LandscapeModel):
        return f"only a test function such as Rosenbrock has a network of its own; {data.title} needs one"
    reason = model.refusal(data.traits)
    return f"{model.title} {reason} ({data.title})" if reason else None


def loss_refusal(data: DataSet, model: Model, loss: Loss) -> str | None:
    """Why this loss cannot be used with this data and model, or None if it can."""
    if isinstance(data, Landscape):
        same = type(loss) is type(data.loss)
        return None if same else f"{data.title} is made for {data.loss.title}, not for {loss.title}"
    reason = loss.refusal(model.asked(data.traits))
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
    (found,) = assemble_each(data, model, loss, [seed], weight_decay=weight_decay, device=device, dtype=dtype)
    return found


def assemble_each(
    data: AnyData,
    model: AnyModel,
    loss: AnyLoss,
    seeds: Sequence[int],
    *,
    weight_decay: float = 0.0,
    device: str = "cpu",
    dtype: str = "float64",
) -> list[Objective]:
    """The same objective once for each seed that draws its weights, all on the same cases in memory. Raises
    SettingError as `assemble` does."""
    check(data, model, loss, device)
    cases = data.load()
    traits = data.traits
    asked = model.asked(traits)
    like = torch.empty(0, dtype=DTYPES[dtype], device=device)

    def network(seed: int) -> nn.Module:
        if isinstance(data, Landscape):
            return data.network(loss).to(like)
        drawn = model.build(traits, loss.outputs(asked), torch.Generator().manual_seed(seed))
        return linked(drawn, loss).to(like)

    def prepared(pair: tuple[torch.Tensor, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        inputs, targets = pair
        return inputs.to(like), loss.encode(targets if asked is traits else inputs, asked, like)

    validation = prepared(cases.validation) if cases.validation else None
    training = prepared((cases.inputs, cases.targets))
    return [Objective(network(seed), loss, *training, weight_decay, validation) for seed in seeds]


def linked(network: nn.Module, loss: Loss) -> nn.Module:
    """The network, followed by the map from any numbers to this loss's outputs where it needs one."""
    link = loss.link()
    if link is None:
        return network
    return nn.Sequential(*(network if type(network) is nn.Sequential else (network,)), link)


def check(data: AnyData, model: AnyModel, loss: AnyLoss, device: str) -> None:
    """Raise SettingError unless these go together on this machine."""
    if reason := model_refusal(data, model):
        raise SettingError("model", reason)
    if reason := loss_refusal(data, model, loss):
        raise SettingError("loss", reason)
    if device not in devices():
        raise SettingError("device", f"'{device}' is not on this machine (there are: {', '.join(devices())})")
