import dataclasses

import pytest
import yaml

from uformer.config import variant
from uformer.errors import OptionError
from uformer.train.recipe import Recipe, changed_network_fields, differences, override
from uformer.train.recipes import RECIPES, denoise

RECIPE = Recipe(name="x", network=variant("uformer_t"), steps=10)


@pytest.mark.parametrize(
    ("setting", "field", "value"),
    [
        ("batch=16", "batch", 16),
        ("steps=1e5", "steps", 100_000),
        ("lr=3e-4", "lr", 3e-4),
        ("minutes=90", "minutes", 90.0),
        ("augment=false", "augment", False),
        ("betas=0.8,0.95", "betas", (0.8, 0.95)),
        ("optimizer=muon", "optimizer", "muon"),
        ("clock=cpu", "clock", "cpu"),
        ("charbonnier-eps = 0.01", "charbonnier_eps", 0.01),
    ],
)
def test_settings_are_typed(setting: str, field: str, value: object) -> None:
    found = getattr(override(RECIPE, [setting]), field)
    assert found == value
    assert type(found) is type(value)


def test_settings_of_the_network() -> None:
    found = override(
        RECIPE,
        ["network.window_size=4", "network.skip=cross", "network.depths=1, 1, 1", "network.num_heads=1,2,2"],
    ).network
    assert (found.window_size, found.skip, found.depths, found.num_heads) == (
        4,
        "cross",
        (1, 1, 1),
        (1, 2, 2),
    )
    assert found.embed_dim == 16


def test_a_network_by_name_comes_first_and_leaves_training_to_the_recipe() -> None:
    recipe = denoise()
    found = override(recipe, ["network.window_size=4", "network=uformer_16_cross"]).network
    expected = dataclasses.replace(
        variant("uformer_16_cross"), window_size=4, bottleneck_shift=False, drop_path_rate=0.0
    )
    assert found == expected


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("bacth=16", "unknown setting 'bacth'; did you mean 'batch'?"),
        ("window_size=4", "unknown setting 'window_size'; did you mean 'network.window_size'?"),
        ("network.windowsize=4", "did you mean 'network.window_size'?"),
        ("name=y", "unknown setting 'name'"),
        ("batch", "--set batch: expected KEY=VALUE"),
        ("batch=many", "batch: 'many' is not a whole number"),
        ("batch=1.5", "batch: '1.5' is not a whole number"),
        ("lr=nan", "lr: 'nan' is not a number"),
        ("augment=maybe", "augment: 'maybe' is not true or false"),
        ("optimizer=sgd", "optimizer: 'sgd' is not one of adamw, muon"),
        ("betas=0.9", "betas: '0.9' is not a list of 2 numbers separated by commas"),
        ("network=uformer_x", "unknown network 'uformer_x'"),
        ("network.skip=sum", "network.skip: 'sum' is not one of concat, cross, concat_cross"),
        ("network.num_heads=3,3", "num_heads: 2 values for 9 stages"),
        ("batch=0", "batch: 0 must be at least 1"),
        ("lr=0", "lr: 0.0 must be more than 0"),
        ("lr=1e-7", "lr_min: 1e-06 must be at most lr"),
        ("accumulate=5", r"accumulate: 5 must be a divisor of batch \(32\)"),
        ("ema=1", "ema: 1.0 must be in"),
        ("mirrored=1.5", "mirrored: 1.5 must be a share between 0 and 1"),
        ("structured=-0.1", "structured: -0.1 must be a share between 0 and 1"),
        ("dry=2", "dry: 2.0 must be a share between 0 and 1"),
        ("drawn=0.7", "drawn: 0.7 must be at most 1 together with gray"),
        ("workers=-2", "workers: -2 must be at least 0"),
        ("batch=1e20", "batch: 100000000000000000000 must be at most 1,048,576"),
        ("seed=9223372036854775808", r"seed: 9223372036854775808 must be below 2\^63"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_in_one_line(setting: str, said: str) -> None:
    recipe = dataclasses.replace(RECIPE, gray=0.5)
    with pytest.raises(OptionError, match=said) as caught:
        override(recipe, [setting])
    assert "\n" not in str(caught.value)


def test_what_settings_say_of_the_network() -> None:
    assert changed_network_fields(["batch=3", "network.skip=cross"]) == {"skip"}
    assert changed_network_fields(["network=uformer_b"]) == {"all"}


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_survives_a_file(name: str) -> None:
    recipe = RECIPES[name]()
    assert Recipe.from_values(yaml.safe_load(yaml.safe_dump(recipe.to_values()))) == recipe


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"bacth": 3}, "unknown setting 'bacth'; did you mean 'batch'"),
        ({"batch": "many"}, "batch: 'many' is not a whole number"),
        ({"network": {"window_size": "x"}}, "network: .*window_size"),
        ({"network": 3}, "no field network"),
    ],
)
def test_a_file_that_is_no_recipe_is_refused(change: dict[str, object], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        Recipe.from_values({**RECIPE.to_values(), **change})


def test_a_file_without_steps_is_refused() -> None:
    values = RECIPE.to_values()
    del values["steps"]
    with pytest.raises(OptionError, match="it lacks steps"):
        Recipe.from_values(values)


def test_differences_name_the_fields() -> None:
    other = override(RECIPE, ["batch=16", "network.window_size=4"])
    assert differences(RECIPE, other) == ["batch: 32, now 16", "network.window_size: 8, now 4"]
    assert differences(RECIPE, RECIPE) == []


def test_text_of_yaml_that_looks_like_no_number() -> None:
    values = yaml.safe_load("lr: 2e-4")
    assert values == {"lr": "2e-4"}  # YAML 1.1 reads it as text
    assert Recipe.from_values(RECIPE.to_values() | values).lr == 2e-4


def test_a_whole_number_is_not_rounded() -> None:
    assert override(RECIPE, ["seed=9007199254740993"]).seed == 2**53 + 1  # no float holds this number


def test_noise_in_counts_is_a_setting_as_photon_transfer_prints_it() -> None:
    text = "poisson:gain=2.1,read=3.9,offset=100"
    assert override(denoise(), [f"noise={text}"]).noise == text
    for setting, message in (("noise=poisson", "must have the form"), ("noise=gauss:gain=1", "gauss:gain=1")):
        with pytest.raises(OptionError, match=message):
            override(denoise(), [setting])
    with pytest.raises(OptionError, match="noise: .* must be empty unless degradation is noise"):
        override(RECIPES["derain"](), [f"noise={text}"])
