"""The catalog: recipes by name with settings changed, what differs from them, and what does not go together."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ngexplorer.optimizers import RECIPES, Optimizer, make, parts
from ngexplorer.optimizers.catalog import TITLES, settings_of
from ngexplorer.settings import SettingError


def test_every_recipe_has_a_title_and_begins_as_itself():
    assert list(TITLES) == list(RECIPES)
    for name, recipe in RECIPES.items():
        assert recipe.name == name
        assert make(name) == recipe
        assert settings_of(recipe) == {}


@pytest.mark.parametrize(
    ("given_part", "expected"),
    [
        ("constant", parts.ConstantDamping()),
        ({"initial": 0.1}, parts.LevenbergMarquardt(initial=0.1)),
        ({"name": "constant", "value": 0.1}, parts.ConstantDamping(value=0.1)),
        ({"name": "levenberg-marquardt", "factor": 0.5}, parts.LevenbergMarquardt(factor=0.5)),
        (parts.ConstantDamping(value=3.0), parts.ConstantDamping(value=3.0)),
        (parts.LevenbergMarquardt(initial=9.0), parts.LevenbergMarquardt(initial=9.0)),
        ("levenberg-marquardt", parts.LevenbergMarquardt()),
        ("none", parts.Undamped()),
    ],
)
def test_a_part_is_given_by_name_by_settings_or_as_itself(given_part, expected):
    assert make("natural-gradient", damping=given_part).damping == expected


def test_numbers_are_overridden_and_whole_numbers_are_numbers():
    assert make("adam", learning_rate=0.5).learning_rate == 0.5
    assert make("adam", learning_rate=1).learning_rate == 1.0
    assert isinstance(make("adam", learning_rate=1).learning_rate, float)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("newtin", {}, r"^optimizer: there is no optimizer named 'newtin'; did you mean 'newton'\? \(there are: "),
        (["newton"], {}, "^optimizer: there is no optimizer named"),
        (None, {}, "^optimizer: there is no optimizer named 'None'"),
        ("newton", {"learning_rate": 0.0}, "^learning_rate: 0.0 is not accepted; a number > 0 is needed"),
        ("newton", {"learning_rate": float("nan")}, "^learning_rate: nan is not accepted"),
        ("newton", {"learning_rate": float("inf")}, "^learning_rate: inf is not accepted"),
        ("newton", {"learning_rate": "1"}, "^learning_rate: '1' is not accepted; a number is needed"),
        ("newton", {"learnin_rate": 1.0}, "^there is no setting named 'learnin_rate' here .*learning_rate"),
        ("newton", {"damping": "constnat"}, "^damping.name: there is no damping named 'constnat'; did you mean"),
        ("newton", {"damping": {"value": 1.0}}, "^damping: there is no setting named 'value' here .*initial"),
        ("newton", {"damping": {"factor": 1.0}}, "^damping.factor: 1.0 is not accepted; a number < 1 is needed"),
        (
            "newton",
            {"damping": {"model": "damp"}},
            "^damping.model: there is no model named 'damp'; did you mean 'damped'",
        ),
        ("newton", {"damping": 3}, "^damping: 3 is not accepted; a table of settings is needed"),
        ("newton", {"damping": None}, "^damping: None is not accepted; a table of settings is needed"),
        ("newton", {"solver": "lu"}, r"^solver.name: there is no solver named 'lu' \(there are: auto, cholesky"),
        ("newton", {"solver": {"iterations": 3}}, "^solver: there is no setting named 'iterations' here"),
        (
            "newton",
            {"solver": {"name": "conjugate-gradient", "iterations": 0}},
            "iterations: 0 is not accepted; a whole",
        ),
        ("adam", {"curvature": {"decay": 1.0}}, "^curvature.decay: 1.0 is not accepted; a number < 1 is needed"),
        ("adam", {"momentum": {"coefficient": 0.5}}, "^momentum: there is no setting named 'coefficient' here .*decay"),
        # What does not go together
        ("newton", {"curvature": "identity"}, "^damping: Identity has no matrix to damp; only 'none' goes with it"),
        ("gradient-descent", {"damping": "constant"}, "^damping: Identity has no matrix to damp"),
        ("adam", {"damping": "levenberg-marquardt"}, "^damping: Diagonal empirical Fisher has no matrix to damp"),
        ("adam", {"solver": "cholesky"}, "^solver: Diagonal empirical Fisher needs none; only 'auto' goes with it"),
        ("heavy-ball", {"solver": "conjugate-gradient"}, "^solver: Identity needs none; only 'auto' goes with it"),
        (
            "newton",
            {"damping": "trust-region", "step": "model-minimum"},
            "^step: Trust region has found the model's min",
        ),
        ("newton", {"damping": "cubic", "momentum": "heavy-ball"}, "^damping: Cubic regularization bounds the step"),
        ("kfac", {"damping": "trust-region"}, "^damping: Trust region needs a matrix that can be decomposed"),
        ("kfac", {"momentum": "nesterov"}, "^momentum: the minimum of the quadratic model has heavy-ball momentum"),
        ("l-bfgs", {"step": "model-minimum"}, "^step: Limited-memory BFGS has no quadratic model to minimize"),
        (
            "newton",
            {"damping": "trust-region", "solver": "cholesky"},
            "^solver: Trust region has to find λ too, which one linear system does not; 'auto', 'eigendecomposition'",
        ),
        ("newton", {"damping": "trust-region", "solver": "sample-space"}, "^solver: Trust region has to find λ too"),
        (
            "newton",
            {"damping": "trust-region", "solver": {"name": "eigendecomposition", "eigenvalues": "absolute"}},
            "^solver: Trust region has to find λ too",
        ),
        (
            "newton",
            {"damping": "trust-region", "solver": {"name": "conjugate-gradient", "preconditioned": True}},
            "^solver: inside a trust region conjugate gradient is Steihaug's, from 0 and as it is",
        ),
        ("newton", {"damping": "cubic", "solver": "conjugate-gradient"}, r"^solver: Cubic .*'auto' and 'eigendec"),
        ("newton", {"correction": "geodesic"}, "^correction: the geodesics are those of the Fisher metric; Hessian"),
        ("heavy-ball", {"step": "wolfe"}, "^step: Strong Wolfe line search goes along the direction alone"),
    ],
)
def test_what_cannot_be_is_said_in_one_line_with_what_can(name, settings, message):
    with pytest.raises(SettingError, match=message) as caught:
        make(name, **settings)
    assert "\n" not in str(caught.value)


def test_a_composition_of_ones_own_is_checked_like_a_recipe():
    with pytest.raises(ValueError, match="has no matrix to damp"):
        Optimizer(damping=parts.ConstantDamping())
    with pytest.raises(ValueError, match="needs none"):
        Optimizer(solver=parts.Cholesky())
    assert Optimizer().name == "custom"
    assert not Optimizer().second_order
    assert Optimizer(curvature=parts.Fisher()).second_order


positive = st.floats(1e-6, 1e3, exclude_min=True)
share = st.floats(0, 0.99)
dampings = st.one_of(
    st.builds(parts.Undamped),
    st.builds(parts.ConstantDamping, value=positive),
    st.builds(
        parts.LevenbergMarquardt,
        initial=positive,
        factor=st.floats(0.01, 0.99),
        model=st.sampled_from(["undamped", "damped"]),
    ),
)
solvers = st.one_of(
    st.builds(parts.Auto),
    st.builds(parts.Cholesky),
    st.builds(parts.ConjugateGradient, tolerance=st.floats(1e-12, 0.5), iterations=st.integers(1, 1000)),
)
momenta = st.one_of(
    st.builds(parts.NoMomentum),
    st.builds(parts.HeavyBall, coefficient=share),
    st.builds(parts.GradientAverage, decay=share),
)
first_order = st.builds(
    Optimizer,
    name=st.sampled_from(list(RECIPES)),
    learning_rate=positive,
    curvature=st.one_of(st.builds(parts.Identity), st.builds(parts.DiagonalEmpiricalFisher, decay=share)),
    momentum=momenta,
)
second_order = st.builds(
    Optimizer,
    name=st.sampled_from(list(RECIPES)),
    learning_rate=positive,
    curvature=st.sampled_from([parts.Hessian(), parts.GaussNewton(), parts.Fisher()]),
    solver=solvers,
    damping=dampings,
    momentum=momenta,
)


@settings(max_examples=300)
@given(optimizer=st.one_of(first_order, second_order))
def test_what_differs_from_its_recipe_makes_an_optimizer_again(optimizer):
    changed = settings_of(optimizer)
    assert make(optimizer.name, **changed) == optimizer
    recipe = msgspec.to_builtins(RECIPES[optimizer.name])
    assert all(recipe[name] != value for name, value in changed.items())
