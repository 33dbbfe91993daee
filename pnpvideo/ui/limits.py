"""How much those who open the page may ask of the machine."""

from dataclasses import dataclass

from pnpvideo.kinds import Bytes, Whole
from pnpvideo.option import Spec, check_options, option


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The limits of the page. Raises OptionError for a value that is not accepted."""

    upload: int = option(
        500 * 2**20,
        Spec(kind=Bytes(1), section="usual", variable=False, help="Largest file that is accepted, such as 500M."),
    )
    queue: int = option(
        8, Spec(kind=Whole(1), section="usual", variable=False, help="Runs that may wait; more are refused.")
    )
    sessions: int = option(
        32, Spec(kind=Whole(1), section="usual", variable=False, help="Pages that may be open; more are refused.")
    )

    def __post_init__(self) -> None:
        check_options(self)
