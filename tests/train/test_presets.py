import pytest

from uformer.errors import OptionError
from uformer.train.presets import PRESETS, rows
from uformer.train.recipe import override
from uformer.train.recipes import find


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("small", [False, True])
def test_the_networks_of_a_preset_differ_in_what_is_compared(preset: str, small: bool) -> None:
    networks = [override(find("pairs"), settings).network for settings in rows(preset, small=small).values()]
    assert len(set(networks)) == len(networks) >= 2
    assert all((network.embed_dim == 8) == small for network in networks)
    if preset == "shift":
        assert min(networks[0].depths) > 1


def test_an_unknown_one_lists_the_known() -> None:
    with pytest.raises(OptionError, match="unknown comparison 'heads'; choose one of skips, feed-forward"):
        rows("heads", small=True)
