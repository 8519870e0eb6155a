"""What came of all participants: a row for each image, those first that somebody should look at.

The suspicion of an image is the largest of its robust z: how many standard deviations one of its figures is
beyond the median of the cohort of its tracer, on the bad side, with 1.4826 times the median absolute
deviation in the place of the standard deviation (B. Iglewicz, D. Hoaglin, How to Detect and Handle Outliers,
1993, eq. 3.1). The judgement on the registration goes before it.
"""

import csv
import math
from pathlib import Path
from typing import Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from FunFuseSlicer.Logic.registration.judgement import GOOD, JUDGEMENTS, WRONG

from .participants import Participant
from .work import DONE, FAILED, Settings, log_of, read_report

# Figures by which images are compared: the side on which they are suspicious (-1 low, +1 high, 0 both), the
# least spread that counts, and words for it.
FIGURES = {
    "mi_after": (-1, 0.01, "mutual information"),
    "outline": (-1, 0.04, "edge of the brain in the uptake"),
    "rotation_deg": (1, 1.0, "rotation"),
    "shift_mm": (1, 1.0, "shift"),
    "scale_min": (-1, 0.005, "smallest scale"),
    "scale_max": (1, 0.005, "largest scale"),
    "b_P": (0, 0.01, "weight of the PET"),
    "rank_fused": (-1, 0.01, "rank correlation with the PET"),
    "Q_SSIM": (-1, 0.005, "similarity of structure"),
}
# From so many images of one tracer on, there is a cohort to compare with.
FEWEST = 5
CONSISTENT = 1.4826

# An image that was not worked on yet, and a participant that has none.
WAITING, LACKS = "not done yet", "no PET"

COLUMNS = (
    *("rank", "participant", "session", "tracer", "image", "outcome", "judgement", "suspicion", "because"),
    *("mi_before", "mi_after", "outline", "rotation_deg", "shift_mm", "scale_min", "scale_max"),
    *("Q_G", "Q_FMI", "Q_SSIM", "Q_VIFF", "b_P", "rank_fused", "seconds", "notes"),
)

Row = Dict[str, object]


class Oddity(NamedTuple):
    """How odd a figure is in its cohort."""

    z: float
    figure: str


def rows_of(participants: Iterable[Participant], settings: Settings) -> List[Row]:
    """A row for each image, in the order in which a person should look at them.

    First those whose registration is wrong, which have no result, then those with one, by judgement and
    suspicion; then those without any other reason to look at them but a sentence.
    """
    rows = [row for participant in participants for row in _rows(participant, settings)]
    done = [row for row in rows if row["outcome"] == DONE]
    for row, oddity in zip(done, oddities(done)):
        if oddity is not None:
            row["suspicion"], row["because"] = round(max(0.0, oddity.z), 2), FIGURES[oddity.figure][2]
    done.sort(key=lambda row: (-JUDGEMENTS.index(row["judgement"]), -(row["suspicion"] or 0.0), row["image"]))
    refused = [row for row in rows if row["outcome"] != DONE and row["judgement"] == WRONG]
    for rank, row in enumerate(refused + done, 1):
        row["rank"] = rank
    return refused + done + [row for row in rows if row["rank"] == ""]


def oddities(rows: Sequence[Row]) -> List[Optional[Oddity]]:
    """The oddest figure of each row among those of its tracer; None where they are too few to compare."""
    found: List[Optional[Oddity]] = [None] * len(rows)
    for tracer in {row["tracer"] for row in rows}:
        places = [place for place, row in enumerate(rows) if row["tracer"] == tracer]
        if len(places) < FEWEST:
            continue
        for figure, (side, least, _) in FIGURES.items():
            values = np.array([_number(rows[place].get(figure)) for place in places])
            for place, z in zip(places, robust_z(values, least)):
                z = abs(z) if side == 0 else side * z
                if not math.isnan(z) and (found[place] is None or z > found[place].z):
                    found[place] = Oddity(z, figure)
    return found


def robust_z(values: np.ndarray, least: float) -> np.ndarray:
    """Distance from the median in robust standard deviations; NaN where there is no value.

    :param least: the standard deviation is at least that: equal figures make no small difference odd.
    """
    there = values[~np.isnan(values)]
    if not there.size:
        return values
    median = np.median(there)
    spread = CONSISTENT * float(np.median(np.abs(there - median)))
    return (values - median) / max(spread, least)


def write_csv(rows: Sequence[Row], path: Path) -> None:
    """All rows; a cell is empty where there is no value."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _number(value: object) -> float:
    return math.nan if value in (None, "") else float(value)


def _rows(participant: Participant, settings: Settings) -> List[Row]:
    """What the folder of a participant says of its images, or else its log."""
    report = read_report(settings.folder(participant)) or {"images": []}
    known = {image["name"]: image for image in report["images"]}
    log = log_of(participant, settings)
    ended = [line for line in log if line["event"] == "ended"]
    sentence = ended[-1]["sentence"] if ended and ended[-1]["outcome"] == FAILED else ""
    seconds = {
        image["name"]: image["seconds"]["total"] for line in ended for image in line["images"] if image
    }
    if not participant.images:
        return [_row(participant, outcome=LACKS, notes="There is no PET image.")]
    rows = []
    for image in participant.images:
        own = {"session": image.session, "tracer": image.tracer, "image": image.name}
        record = known.get(image.name)
        if sentence or record is None:
            outcome = FAILED if sentence else WAITING
            rows.append(_row(participant, **own, outcome=outcome, notes=sentence))
        elif record["outcome"] != DONE:
            told = {"judgement": record.get("judgement", ""), "notes": record["sentence"]}
            rows.append(_row(participant, **own, outcome=record["outcome"], **told))
        else:
            registration = record["registration"]
            judgement, words = judgement_of(registration)
            notes = [*words, *record["notes"], *registration.get("notes", [])]
            rows.append(
                _row(
                    participant,
                    **own,
                    **record["figures"],
                    outcome=DONE,
                    judgement=judgement,
                    seconds=seconds.get(image.name),
                    notes=" ".join(dict.fromkeys(notes)),
                )
            )
    return rows


def _row(participant: Participant, **facts: object) -> Row:
    return {**dict.fromkeys(COLUMNS, ""), "participant": participant.name, **facts}


def judgement_of(registration: dict) -> Tuple[str, List[str]]:
    """The word for a registration, and the sentence with it where it is not simply good."""
    word = registration["judgement"] or GOOD  # what was not registered has none
    return word, [] if word == GOOD else [registration["verdict"]]
