"""Table 1 of the paper, as printed: means over its 100 test pairs."""

from typing import Dict, Optional

CITATION = (
    "N. Kumar, N. Hoffmann, M. Oelschlägel, E. Koch, M. Kirsch, S. Gumhold: Structural Similarity based "
    "Anatomical and Functional Brain Imaging Fusion. 2019, Table 1"
)
PROPOSED = "Proposed"

_COLUMNS = ("GF", "NSCT-PCDC", "LP-SR", "NSCT-RPCNN", "NSST-PAPCNN", "LP-CNN", PROPOSED)
# The last metric is called Q_VIF there; "seconds" is the row "Time (s)".
_ROWS = {
    "Q_IE": (0.8169, 0.8080, 0.8092, 0.8132, 0.8102, 0.8076, 0.8104),
    "Q_G": (0.7555, 0.5457, 0.6501, 0.6702, 0.6685, 0.5665, 0.5707),
    "Q_FMI": (0.9224, 0.8754, 0.8969, 0.8941, 0.8997, 0.8958, 0.8885),
    "Q_SSIM": (0.8260, 0.7992, 0.7837, 0.8492, 0.8318, 0.7176, 0.8610),
    "Q_VIFF": (0.2776, 0.3415, 0.5990, 0.5430, 0.6001, 0.5326, 0.6005),
    "seconds": (13.43, 221.07, 75.69, 775.31, 521.36, 481.73, 0.37),
}

# By method of the paper.
TABLE: Dict[str, Dict[str, float]] = {
    method: {name: values[column] for name, values in _ROWS.items()} for column, method in enumerate(_COLUMNS)
}

# What the paper's methods are called here, where the name alone does not tell.
_ALIASES = {"GF": ("guidedfilter", "guidedfiltering"), "LP-CNN": ("laplaciancnn",), "LP-SR": ("laplaciansr",)}


def here(method: str, names) -> Optional[str]:
    """Which of our methods is the paper's ``method``; None when none is.

    :param names: of our methods, however they are written ("lp_sr" is "LP-SR").
    """
    wanted = {_plain(method), *_ALIASES.get(method, ())}
    return next((name for name in names if _plain(name) in wanted), None)


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())
