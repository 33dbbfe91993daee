"""The limits of the page."""

import pytest

from pnpvideo.errors import OptionError
from pnpvideo.ui.limits import Limits


@pytest.mark.parametrize("name", ["upload", "queue", "sessions"])
def test_a_limit_of_nothing_is_refused(name: str) -> None:
    assert getattr(Limits(), name) > 0
    with pytest.raises(OptionError, match=f"{name} is 0; accepted is a whole number of at least 1"):
        Limits(**{name: 0})
