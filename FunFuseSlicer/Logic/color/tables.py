"""Color maps by name that are there without Slicer, too: the command line has few of Slicer's."""

from typing import Optional

import numpy as np

from .colorize import jet_table

# In it, at the default Ω, lesions are found no less often than in the PET alone in gray; for Jet, the map of
# the paper, that could not be shown (docs/display.md).
DEFAULT_MAP = "Inferno"

# 65 colors each, in between linear; within three levels of 255 of Slicer's own. Inferno: S. van der Walt
# and N. Smith, CC0. Cividis: Nuñez, Anderton and Renslow, PLoS ONE 13, e0199239, 2018, for people who confuse
# red and green.
_COLORS = {
    "Inferno": (
        "00000402010a04031207051b0b072410092d150b371a0c40210c4a270b532e0a5a3609603c0965430a684a0c6b500e6c"
        "57106d5d126e63146e6a176e70196e761b6d7d1e6d83206b89226a9024689627669c2964a32b61a92e5faf315cb53458"
        "bb3755c13a51c63e4dcc4149d14644d64a40db4f3bdf5437e35932e75f2deb6528ee6b23f1711ef47819f67f14f8860f"
        "f98d0afa9407fb9c06fca309fcab0ffcb217fbba1ffac228f9ca32f7d23df5d949f3e156f2e865f1ef75f3f586f6fa96"
        "fcffa4"
    ),
    "Cividis": (
        "00224e00255400285b002b62002e6a0030700433711135701a386f213b6e273e6e2d416d32436d36466c3b496c3f4c6c"
        "434e6c47516c4b546c4f576c52596d565c6d5a5f6e5d626e61656f646770686a716b6d726f7073727374757676797877"
        "7c7b78807e788481798784788b87788f8a78938d789790779b93769f9676a39a75a79d74aba072afa371b3a670b7aa6e"
        "bbad6cbfb06bc3b469c8b766ccba64d0be61d4c15fd9c55cddc958e1cc55e6d051ead44cefd748f4db42f8df3cfde334"
        "fee838"
    ),
}


NAMES = ("Jet", *_COLORS)


def named_table(name: str) -> Optional[np.ndarray]:
    """A color map as (n, 3) in [0, 1], its name in any case; None where it is none of :data:`NAMES`."""
    known = {each.lower(): each for each in NAMES}.get(name.lower())
    if known is None:
        return None
    if known == "Jet":
        return jet_table()
    return np.frombuffer(bytes.fromhex(_COLORS[known]), np.uint8).reshape(-1, 3) / 255.0
