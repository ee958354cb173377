"""What holds for every data set: its traits are true before it is loaded, it splits cleanly, and it repeats."""

from itertools import pairwise

import msgspec
import pytest
import torch

from ngexplorer.objectives.datasets import (
    MNIST,
    XOR,
    AnyDataSet,
    Blobs,
    BreastCancer,
    Circles,
    Counts,
    Curves,
    Diabetes,
    Digits,
    Heteroscedastic,
    Iris,
    LinearRegression,
    NoisyLabels,
    Sine,
    Spirals,
    TeacherStudent,
    TwoMoons,
    Wine,
)
from ngexplorer.settings import SettingError, convert, members, tags

pytestmark = pytest.mark.usefixtures("mnist_stand_in")

SIZES = {Digits: 1797, MNIST: 200, Iris: 150, Wine: 178, BreastCancer: 569, Diabetes: 442}
EVERY = [
    Digits(),
    Digits(standardize=False),
    MNIST(size=200),
    MNIST(size=200, standardize=False),
    Iris(),
    Wine(),
    BreastCancer(),
    Diabetes(),
    Diabetes(standardize=False, standardize_targets=False),
    TwoMoons(size=101),
    TwoMoons(size=101, standardize=True),
    Circles(size=101),
    Spirals(size=101, arms=5),
    XOR(size=101),
    Blobs(size=101, classes=10, features=7),
    NoisyLabels(size=101),
    Sine(size=101),
    Heteroscedastic(size=101),
    Counts(size=101),
    LinearRegression(size=101),
    TeacherStudent(size=101, features=4, outputs=3),
    Curves(size=101),
]


def everything(loaded):
    """Training and validation cases together."""
    inputs, targets = loaded.validation
    return torch.cat((loaded.inputs, inputs)), torch.cat((loaded.targets, targets))


def rows(inputs):
    return sorted(map(tuple, inputs.tolist()))


def test_the_names_are_those_a_person_knows():
    assert tags(AnyDataSet) == [
        *("digits", "mnist", "iris", "wine", "breast-cancer", "diabetes"),
        *("two-moons", "circles", "spirals", "xor", "blobs", "noisy-labels"),
        *("sine", "heteroscedastic", "counts", "linear-regression", "teacher-student", "curves"),
    ]
    assert {type(data) for data in EVERY} == set(members(AnyDataSet))


@pytest.mark.parametrize("data", EVERY, ids=repr)
def test_the_cases_are_what_the_traits_say(data):
    traits, loaded = data.traits, data.load()
    inputs, targets = everything(loaded)
    size = SIZES.get(type(data), 101)
    assert inputs.shape == (size, traits.features)
    assert len(loaded.validation[0]) == len(loaded.validation[1]) == round(0.2 * size)
    assert inputs.dtype == torch.float64
    assert inputs.isfinite().all()
    assert traits.image is None or traits.image[0] * traits.image[1] == traits.features
    if traits.unit_inputs:
        assert inputs.min() == 0
        assert 0.9 < inputs.max() <= 1
    if traits.targets == "classes":
        assert targets.dtype == torch.int64
        assert targets.shape == (size,)
        assert targets.unique().tolist() == list(range(traits.classes))
        return
    assert targets.shape == (size, traits.columns)
    assert targets.dtype == torch.float64
    assert targets.isfinite().all()
    if traits.targets == "counts":
        assert torch.equal(targets, targets.round().abs())
    if traits.targets == "unit":
        assert targets.min() >= 0
        assert targets.max() <= 1


@pytest.mark.parametrize("data", [d for d in EVERY if not isinstance(d, LinearRegression)], ids=repr)
def test_a_split_keeps_every_case_once(data):
    if hasattr(data, "standardize"):
        data = msgspec.structs.replace(data, standardize=False)
    whole = msgspec.structs.replace(data, validation=0.0).load()
    assert whole.validation is None
    assert rows(everything(data.load())[0]) == rows(whole.inputs)


@pytest.mark.parametrize("data", EVERY, ids=repr)
def test_it_repeats_bit_for_bit_from_its_seed_and_another_seed_differs(data):
    torch_state = torch.get_rng_state()
    first, again, other = (msgspec.structs.replace(data, split_seed=seed).load() for seed in (1, 1, 2))
    assert torch.equal(first.inputs, again.inputs)
    assert torch.equal(first.targets, again.targets)
    assert torch.equal(first.validation[0], again.validation[0])
    assert torch.equal(first.validation[1], again.validation[1])
    assert not torch.equal(first.inputs, other.inputs)
    assert torch.equal(torch_state, torch.get_rng_state())


@pytest.mark.parametrize(
    "data", [MNIST(size=203), TwoMoons(size=101), Circles(size=101), Spirals(size=101, arms=6), XOR(size=101), Blobs()]
)
def test_classes_are_as_even_as_they_can_be(data):
    counts = everything(data.load())[1].bincount()
    assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize("data", [d for d in EVERY if getattr(d, "standardize", False)], ids=repr)
def test_standardized_training_cases_have_mean_zero_and_variance_one(data):
    inputs = data.load().inputs
    varying = inputs.var(0) > 0
    assert inputs.mean(0).abs().max() < 1e-12
    torch.testing.assert_close(inputs.var(0, correction=0)[varying], torch.ones(int(varying.sum())).double())
    assert (inputs[:, ~varying] == 0).all()


@pytest.mark.parametrize("kind", members(AnyDataSet))
def test_settings_go_to_plain_values_and_back_and_own_knobs_come_first(kind):
    data = kind()
    assert convert(msgspec.to_builtins(data), AnyDataSet) == data
    common = [n for n in kind.__struct_fields__ if n in ("validation", "split_seed")]
    places = [kind.__struct_fields__.index(n) for n in common]
    assert all(b == a + 1 for a, b in pairwise(places))
    own = set(kind.__struct_fields__) - {*common, "standardize"}
    assert all(kind.__struct_fields__.index(name) < places[0] for name in own)


@pytest.mark.parametrize("kind", [k for k in members(AnyDataSet) if "size" in k.__struct_fields__])
@pytest.mark.parametrize("size", [0, -5, 3, 10**7, 12.5, "many"])
def test_a_wrong_size_is_refused_in_one_line(kind, size):
    raw = {"name": kind.__struct_config__.tag, "size": size}
    with pytest.raises(SettingError, match=r"^data\.size: .+ is not accepted; a whole number( .+)? is needed$"):
        convert(raw, AnyDataSet, "data")


@pytest.mark.parametrize(
    ("name", "setting", "value"),
    [
        ("digits", "validation", 0.95),
        ("iris", "validation", -0.1),
        ("wine", "standardize", "yes"),
        ("diabetes", "split_seed", -1),
        ("two-moons", "noise", float("nan")),
        ("circles", "inner_radius", 1.0),
        ("spirals", "arms", 7),
        ("spirals", "arms", 1),
        ("spirals", "turns", 0.0),
        ("xor", "noise", -0.1),
        ("blobs", "classes", 11),
        ("blobs", "features", 1),
        ("noisy-labels", "wrong", 1.1),
        ("sine", "frequency", 0),
        ("heteroscedastic", "noise", 0),
        ("counts", "rate", 0),
        ("linear-regression", "condition", 0.5),
        ("linear-regression", "features", 1),
        ("teacher-student", "hidden", 0),
        ("curves", "thickness", 0.5),
    ],
)
def test_settings_out_of_range_are_refused(name, setting, value):
    with pytest.raises(SettingError, match=rf"^data\.{setting}: .* is not accepted; .* is needed"):
        convert({"name": name, setting: value}, AnyDataSet, "data")


def test_a_wrong_spectrum_is_told_what_there_is():
    with pytest.raises(SettingError, match=r"did you mean 'two-level'\?"):
        convert({"name": "linear-regression", "spectrum": "twolevel"}, AnyDataSet, "data")
    with pytest.raises(SettingError, match="there is no setting named 'standardize' here"):
        convert({"name": "linear-regression", "standardize": True}, AnyDataSet, "data")


@pytest.mark.parametrize("kind", [TwoMoons, LinearRegression])
def test_a_split_that_leaves_nothing_to_train_on_is_refused(kind):
    with pytest.raises(SettingError, match=r"data.validation: 0.9 of 4 cases leaves none to train on"):
        kind(size=4, validation=0.9).load()
