"""An experiment is a TOML file and back; one that cannot be is refused in a line: what, where, what is right."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ngexplorer import resource_files
from ngexplorer.objectives.datasets import BreastCancer, Digits, TwoMoons
from ngexplorer.objectives.landscapes import Rosenbrock, Saddle
from ngexplorer.objectives.losses import BernoulliLogits, Quadratic, SoftmaxCrossEntropy, SquaredError
from ngexplorer.objectives.models import MLP, LandscapeModel, Linear
from ngexplorer.optimizers import make
from ngexplorer.runs.experiment import Contender, Experiment, parse, read, to_toml, write
from ngexplorer.runs.export import write_csv
from ngexplorer.settings import SettingError

SHIPPED = resource_files.experiment_names()

WHOLE = """
title = "A race"
seed = 1
steps = 5

[data]
name = "two-moons"
size = 20

[model]
name = "mlp"
hidden = [3]

[loss]
name = "bernoulli-logits"

[[runs]]
optimizer = "newton"
label = "mine"
colour = "#56B4E9"
damping = { initial = 0.5 }

[[runs]]
optimizer = "adam"
enabled = false
"""


def test_there_are_experiments():
    assert {"digits", "breast-cancer", "two-moons", "rosenbrock"} <= set(SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_experiments_are_read_and_written_again(name):
    experiment = read(resource_files.EXPERIMENTS / f"{name}.toml")
    experiment.check()
    assert parse(to_toml(experiment), "again") == experiment
    assert experiment.title != "Untitled"
    assert sum(run.enabled for run in experiment.runs) >= 3


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_experiments_race(name):
    race = read(resource_files.EXPERIMENTS / f"{name}.toml").race()
    for _ in range(2 * len(race.runs)):
        race.advance()
    assert all(run.live and run.step >= 1 for run in race.runs)
    assert not any(run.history.events for run in race.runs)


# What an experiment says, in the words of TOML's own reader

text = st.text(st.characters(blacklist_categories=("Cs",)), max_size=20)
contenders = st.builds(
    Contender,
    optimizer=st.one_of(
        st.builds(
            lambda name, rate, initial: make(name, learning_rate=rate, damping={"initial": initial}),
            st.sampled_from(["newton", "gauss-newton", "natural-gradient"]),
            st.floats(1e-6, 10),
            st.floats(1e-6, 10),
        ),
        st.builds(lambda mu: make("heavy-ball", momentum={"coefficient": mu}), st.floats(0, 0.99)),
        st.builds(
            lambda name: make("natural-gradient", solver=name), st.sampled_from(["cholesky", "conjugate-gradient"])
        ),
        st.builds(lambda damping: make("newton", damping=damping), st.sampled_from(["none", "constant"])),
    ),
    label=text,
    colour=st.one_of(st.none(), st.from_regex(r"\A#[0-9A-Fa-f]{6}\Z")),
    enabled=st.booleans(),
)
parts = st.one_of(
    st.tuples(
        st.builds(TwoMoons, size=st.integers(4, 1000), noise=st.floats(0, 5), split_seed=st.integers(0, 2**32 - 1)),
        st.one_of(
            st.builds(MLP, hidden=st.lists(st.integers(1, 99), min_size=1, max_size=4).map(tuple)),
            st.builds(MLP, activation=st.sampled_from(["tanh", "relu", "sigmoid", "softplus"])),
            st.builds(Linear, bias=st.booleans()),
        ),
        st.sampled_from([BernoulliLogits(), SoftmaxCrossEntropy(), SquaredError(variance=0.25)]),
    ),
    st.tuples(
        st.one_of(st.builds(Digits, standardize=st.booleans()), st.builds(BreastCancer, validation=st.floats(0, 0.9))),
        st.builds(Linear),
        st.builds(SquaredError, variance=st.floats(1e-3, 1e3)),
    ),
    st.tuples(
        st.builds(Rosenbrock, x=st.floats(-1e6, 1e6), y=st.floats(-1e6, 1e6)),
        st.builds(LandscapeModel),
        st.builds(SquaredError),
    ),
)
experiments = st.builds(
    lambda parts, **rest: Experiment(data=parts[0], model=parts[1], loss=parts[2], **rest),
    parts=parts,
    title=text,
    seed=st.integers(0, 2**32 - 1),
    steps=st.integers(1, 10_000_000),
    turns=st.sampled_from(["steps", "seconds"]),
    dtype=st.sampled_from(["float32", "float64"]),
    weight_decay=st.floats(0, 1e6),
    runs=st.lists(contenders, min_size=1, max_size=4).map(tuple),
)


@given(experiment=experiments)
def test_whatever_an_experiment_says_toml_says_it_again(experiment):
    assert parse(to_toml(experiment), "again") == experiment


def test_a_file_holds_of_each_optimizer_only_what_differs_from_its_recipe(tmp_path):
    experiment = parse(WHOLE, "here")
    write(experiment, tmp_path / "a.toml")
    text = (tmp_path / "a.toml").read_text(encoding="utf-8")
    assert "damping = {initial = 0.5}" in text
    assert "factor" not in text
    assert "solver" not in text
    assert read(tmp_path / "a.toml") == experiment


def test_runs_that_are_switched_off_do_not_race():
    race = parse(WHOLE, "here").race()
    assert [(run.label, run.optimizer.name, run.steps) for run in race.runs] == [("mine", "newton", 5)]
    assert race.runs[0].history.seed == 1


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["", ""], ["Newton", "Newton 2"]),
        (["a", "a", "a"], ["a", "a 2", "a 3"]),
        (["a", "a", "a 2"], ["a", "a 2", "a 2 2"]),
        (["a 2", "a", "a"], ["a 2", "a", "a 3"]),
        (["Newton", ""], ["Newton", "Newton 2"]),
    ],
)
def test_no_two_runs_have_the_same_label(labels, expected):
    experiment = msgspec.structs.replace(
        parse(WHOLE, ""), runs=tuple(Contender(optimizer=make("newton"), label=label) for label in labels)
    )
    assert experiment.labels() == expected


# What cannot be

NO_RUNS = WHOLE[: WHOLE.index("[[runs]]")]

BAD = {
    "empty": ("", "", "the file is empty; an experiment has [data], [model], [loss] and [[runs]]"),
    "blank": (WHOLE, "\n \n", "the file is empty"),
    "broken": ('title = "A race"', 'title = "A race', "not TOML: "),
    "twice": ("seed = 1", "seed = 1\nseed = 2", "not TOML: Cannot overwrite a value"),
    "a comment only": (WHOLE, "# nothing", "runs: there are none; an experiment has at least one [[runs]]"),
    "no runs": (WHOLE, NO_RUNS, "runs: there are none; an experiment has at least one [[runs]] with an optimizer"),
    "runs not a list": (WHOLE, "runs = 3\n" + NO_RUNS, "runs: a list of tables is needed: [[runs]]"),
    "one run as a table": (WHOLE, NO_RUNS + '[runs]\noptimizer = "adam"', "runs: a list of tables is needed"),
    "runs of names": (WHOLE, 'runs = ["adam"]\n' + NO_RUNS, "runs: a list of tables is needed"),
    "too many runs": (
        WHOLE,
        NO_RUNS + '[[runs]]\noptimizer = "adam"\n' * 65,
        "runs: ",
        "a list of length ≤ 64 is needed",
    ),
    # names
    "data": ('"two-moons"', '"two-mons"', "data.name: there is no data named 'two-mons'; did you mean 'two-moons'?"),
    "model": (
        '"mlp"',
        '"mpl"',
        "model.name: there is no model named 'mpl'; did you mean 'mlp'? (there are: mlp, linear",
    ),
    "loss": ('"bernoulli-logits"', '"hinge"', "loss.name: there is no loss named 'hinge' (there are: squared-error"),
    "optimizer": (
        '"newton"',
        '"newtin"',
        "runs[0].optimizer: there is no optimizer named 'newtin'; did you mean 'newton'?",
    ),
    "optimizer as a list": ('"newton"', '["newton"]', "runs[0].optimizer: a name in quotes is needed"),
    "optimizer as a table": (
        '"newton"',
        '{ name = "newton", learning_rate = 0.5 }',
        'runs[0].optimizer: a name in quotes is needed (optimizer = "newton"), its settings as keys of [[runs]]',
    ),
    "optimizer over two lines": (
        '"newton"',
        '"new\\nton"',
        r"runs[0].optimizer: there is no optimizer named 'new\nton'",
    ),
    "activation": ("hidden = [3]", 'activation = "gelo"', "model.activation: there is no activation named 'gelo'"),
    "part": (
        "{ initial = 0.5 }",
        '"lm"',
        "runs[0].damping.name: there is no damping named 'lm' (there are: none, const",
    ),
    "turns": ("seed = 1", 'turns = "time"', "turns: there is no turns named 'time'"),
    "dtype": ("seed = 1", 'dtype = "float16"', "dtype: there is no dtype named 'float16'; did you mean 'float64'?"),
    # out of range
    "steps": ("steps = 5", "steps = 0", "steps: 0 is not accepted; a whole number ≥ 1 is needed"),
    "seed": ("seed = 1", "seed = -1", "seed: -1 is not accepted; a whole number ≥ 0 is needed"),
    "decay": ("seed = 1", "weight_decay = -0.1", "weight_decay: -0.1 is not accepted; a number ≥ 0 is needed"),
    "not a number": ("seed = 1", "weight_decay = nan", "weight_decay: nan is not accepted; a number ≥ 0 is needed"),
    "infinite": ("seed = 1", "weight_decay = inf", "weight_decay: inf is not accepted; a number ≤ 1000000 is needed"),
    "size": ("size = 20", "size = 1", "data.size: 1 is not accepted; a whole number ≥ 4 is needed"),
    "width": ("[3]", "[3, 0]", "model.hidden[1]: 0 is not accepted; a whole number ≥ 1 is needed"),
    "no width": ("[3]", "[]", "model.hidden: [] is not accepted; a list of length ≥ 1 is needed"),
    "damping": ("initial = 0.5", "initial = 0", "runs[0].damping.initial: 0 is not accepted; a number > 0 is needed"),
    "colour": ("#56B4E9", "red", "runs[0].colour: 'red' is not accepted; text such as #56B4E9 is needed"),
    # types
    "steps as text": ("steps = 5", 'steps = "5"', "steps: '5' is not accepted; a whole number is needed"),
    "steps as a fraction": ("steps = 5", "steps = 5.5", "steps: 5.5 is not accepted; a whole number is needed"),
    "steps as a switch": ("steps = 5", "steps = true", "steps: True is not accepted; a whole number is needed"),
    "title as a date": ('"A race"', "2026-01-01", "title: ", "text is needed"),
    "data as text": (
        WHOLE,
        'data = "digits"' + WHOLE.replace('[data]\nname = "two-moons"\nsize = 20', ""),
        "data: 'digits' is not accepted; a table of settings is needed",
    ),
    "width as a number": ("[3]", "3", "model.hidden: 3 is not accepted; a list is needed"),
    "label as a number": ('"mine"', "3", "runs[0].label: 3 is not accepted; text is needed"),
    "switch as text": ("false", '"off"', "runs[1].enabled: 'off' is not accepted; true or false is needed"),
    "damping as a number": (
        "{ initial = 0.5 }",
        "0.5",
        "runs[0].damping: 0.5 is not accepted; a table of settings is needed",
    ),
    # missing
    "no data": ('[data]\nname = "two-moons"\nsize = 20', "", "'data' is missing"),
    "no loss": ('[loss]\nname = "bernoulli-logits"', "", "'loss' is missing"),
    "no name": ('name = "mlp"', "", "model: 'name' is missing"),
    "no optimizer": ('optimizer = "newton"', "", "runs[0]: 'optimizer' is missing"),
    # unknown keys
    "key": ("seed = 1", "sed = 1", "there is no setting named 'sed' here (there are: title, "),
    "key of the data": (
        "size = 20",
        "sise = 20",
        "data: there is no setting named 'sise' here (there are: ",
    ),
    "key of a run": (
        'label = "mine"',
        'lable = "mine"',
        "runs[0]: there is no setting named 'lable' here (there are: optimizer, label, colour, ",
    ),
    "key of a part": (
        "initial",
        "inital",
        "runs[0].damping: there is no setting named 'inital' here (there are: initial",
    ),
    "name of a run": ('label = "mine"', 'name = "mine"', "runs[0].name: a run is named by its label"),
    # what does not go together
    "damping of adam": (
        "enabled = false",
        'damping = "constant"',
        "runs[1]: damping: Diagonal empirical Fisher has no matrix",
    ),
    "solver of adam": (
        "enabled = false",
        'solver = "cholesky"',
        "runs[1]: solver: Diagonal empirical Fisher needs none",
    ),
}


@pytest.mark.parametrize("case", BAD.values(), ids=BAD)
def test_what_cannot_be_read_is_said_in_one_line(case):
    old, new, *expected = case
    assert old in WHOLE
    with pytest.raises(SettingError) as caught:
        parse(WHOLE.replace(old, new, 1) if old else "", "the-file.toml")
    message = str(caught.value)
    assert message.startswith("the-file.toml: ")
    assert "\n" not in message
    assert len(message) < 600
    for part in expected:
        assert part in message


TOGETHER = {
    "bernoulli on digits": (
        Digits(),
        MLP(),
        BernoulliLogits(),
        "loss: Bernoulli, logits needs two classes; there are 10",
    ),
    "softmax on rosenbrock": (
        Rosenbrock(),
        LandscapeModel(),
        SoftmaxCrossEntropy(),
        "loss: Rosenbrock is made for Squared error",
    ),
    "mlp on rosenbrock": (
        Rosenbrock(),
        MLP(),
        SquaredError(),
        "model: Rosenbrock is a test function of two parameters",
    ),
    "landscape on digits": (
        Digits(),
        LandscapeModel(),
        SquaredError(),
        "model: only a test function such as Rosenbrock",
    ),
}


@pytest.mark.parametrize("case", TOGETHER.values(), ids=TOGETHER)
def test_what_does_not_go_together_is_refused_before_anything_is_loaded(case, monkeypatch):
    data, model, loss, expected = case
    monkeypatch.setattr(type(data), "load", lambda self: pytest.fail("it was loaded"))
    experiment = Experiment(data=data, model=model, loss=loss, runs=(Contender(optimizer=make("adam")),))
    for ask in (experiment.check, experiment.race):
        with pytest.raises(SettingError) as caught:
            ask()
        assert str(caught.value).startswith(expected)


def test_a_natural_gradient_is_refused_where_there_is_no_fisher_matrix():
    saddle = {"data": Saddle(), "model": LandscapeModel(), "loss": Quadratic()}
    natural, newton = (Contender(optimizer=make(name)) for name in ("natural-gradient", "newton"))
    Experiment(**saddle, runs=(newton,)).check()
    Experiment(**saddle, runs=(newton, msgspec.structs.replace(natural, enabled=False))).check()
    with pytest.raises(SettingError, match=r"^runs\[1\].optimizer.curvature: .* so there is no Fisher matrix"):
        Experiment(**saddle, runs=(newton, natural)).check()


def test_a_device_that_is_not_here_and_a_race_of_nobody_are_refused():
    experiment = parse(WHOLE, "")
    with pytest.raises(SettingError, match=r"^device: 'tpu' is not on this machine \(there are: cpu"):
        msgspec.structs.replace(experiment, device="tpu").race()
    with pytest.raises(SettingError, match=r"^runs: no optimizer is switched on; a race needs at least one"):
        msgspec.structs.replace(experiment, runs=experiment.runs[1:]).race()


def test_a_file_that_cannot_be_read_is_named_with_the_reason(tmp_path):
    (tmp_path / "latin.toml").write_bytes('title = "é"'.encode("latin-1"))
    (tmp_path / "empty.toml").write_text("")
    (tmp_path / "folder.toml").mkdir()
    for name, reason in [
        ("missing.toml", "cannot be read: No such file or directory"),
        ("folder.toml", "cannot be read: Is a directory"),
        ("latin.toml", "cannot be read: not a UTF-8 text"),
        ("empty.toml", "the file is empty"),
    ]:
        with pytest.raises(SettingError) as caught:
            read(tmp_path / name)
        assert str(caught.value).startswith(f"{tmp_path / name}: {reason}")


def test_a_file_with_a_byte_order_mark_is_read(tmp_path):
    (tmp_path / "a.toml").write_text(WHOLE, encoding="utf-8-sig")
    assert read(tmp_path / "a.toml") == parse(WHOLE, "")


def test_an_unwritable_experiment_is_named(tmp_path):
    with pytest.raises(OSError, match=r"cannot write .*a\.toml: No such file or directory"):
        write(parse(WHOLE, ""), tmp_path / "missing" / "a.toml")


def test_several_seeds_are_runs_of_their_own_that_share_the_cases_and_not_the_start(tmp_path):
    experiment = parse(WHOLE.replace("steps = 5", "steps = 5\nseeds = 3"), "here")
    assert experiment.entries == [(0, 1), (0, 2), (0, 3)], "the other optimizer is switched off"
    assert parse(to_toml(experiment), "again") == experiment
    race = experiment.race()
    race.begin()
    assert [run.history.seed for run in race.runs] == [1, 2, 3]
    assert len({float(run.history["loss"][0]) for run in race.runs}) == 3
    assert len({run.objective.inputs.data_ptr() for run in race.runs}) == 1
    alone = msgspec.structs.replace(experiment, seed=3, seeds=1).race()
    alone.begin()
    assert alone.runs[0].history["loss"][0] == race.runs[2].history["loss"][0]
    while race.advance() is not None:
        pass
    write_csv([run.history for run in race.runs], tmp_path / "seeds.csv")
    lines = (tmp_path / "seeds.csv").read_text().splitlines()
    assert [line.split(",")[:4] for line in lines[1::6]] == [["mine", "newton", str(seed), "0"] for seed in (1, 2, 3)]


def test_seeds_may_be_listed(tmp_path):
    experiment = parse(WHOLE.replace("steps = 5", "steps = 5\nseeds = [8, 3]"), "here")
    assert experiment.entries == [(0, 8), (0, 3)]
    assert parse(to_toml(experiment), "again") == experiment
    race = experiment.race()
    race.begin()
    first = [float(run.history["loss"][0]) for run in race.runs]
    for seed, loss in zip((8, 3), first, strict=True):
        alone = msgspec.structs.replace(experiment, seeds=1, seed=seed)
        assert float(alone.objective().value(alone.objective().initial_parameters)) == loss
    assert float(experiment.objective().value(experiment.objective().initial_parameters)) == first[0]


@pytest.mark.parametrize(
    ("seeds", "said"),
    [
        ("0", "seeds: 0 is not accepted; a whole number ≥ 1 is needed"),
        ("65", "seeds: 65 is not accepted; a whole number ≤ 64 is needed"),
        ("1.5", "seeds: 1.5 is not accepted; a whole number or a list is needed"),
        ("'many'", "seeds: 'many' is not accepted; a whole number or a list is needed"),
        ("[]", "seeds: [] is not accepted; a list of length ≥ 1 is needed"),
        ("[3, -5]", "seeds[1]: -5 is not accepted; a whole number ≥ 0 is needed"),
        ("[3, 'x']", "seeds[1]: 'x' is not accepted; a whole number is needed"),
        ("[3, 5, 3]", "seeds[2]: 3 stands there twice; each seed is needed once"),
    ],
)
def test_seeds_that_cannot_be_are_refused(seeds, said):
    with pytest.raises(SettingError) as refused:
        parse(WHOLE.replace("steps = 5", f"steps = 5\nseeds = {seeds}"), "here").check()
    assert str(refused.value).removeprefix("here: ") == said


def test_of_two_optimizers_of_one_recipe_the_second_is_named_by_what_differs():
    def labels(*optimizers):
        return msgspec.structs.replace(
            parse(WHOLE, "here"), runs=tuple(Contender(optimizer=one) for one in optimizers)
        ).labels()

    assert labels(make("adam"), make("adam"), make("adam", learning_rate=0.5)) == [
        "Adam",
        "Adam 2",
        "Adam, learning rate 0.5",
    ]
    assert labels(make("adam", learning_rate=0.5)) == ["Adam"]
