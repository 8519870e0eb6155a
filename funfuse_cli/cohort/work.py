"""One participant: from its images to a folder of derivatives, once.

All that is in the folder is the same whenever it is made; when that was, and how long it took, is in the log
beside it, a line when the work begins and one when it ends.
"""

import contextlib
import datetime
import io
import json
import os
import shutil
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence, Tuple

import numpy as np

from FunFuseSlicer.Logic.errors import FunFuseError, InputError, RegistrationError
from FunFuseSlicer.Logic.metrics.slices import evaluate_volumes, means
from FunFuseSlicer.Logic.output_folder import REPORT, Claim, all_or_nothing, checksums, sha256_of
from FunFuseSlicer.Logic.registration.interface import ImplausibleRegistration, OutOfTime
from FunFuseSlicer.Logic.registration.judgement import WRONG
from FunFuseSlicer.Logic.registration.plausibility import decompose, stretches
from FunFuseSlicer.Logic.version import VERSION
from FunFuseSlicer.Logic.volumes.geometry import Volume, axial_order

from ..benchmarks.timing import peak_resident_mb
from ..reading.reader import read, read_volume
from ..workflow.output_folder import verify, write_report
from ..workflow.provenance import without_folders
from .alignment import write_alignment
from .derivatives import FIGURES, LOGS, alignment_name, write_images
from .participants import Image, Participant

# What becomes of a participant, and of an image: it is done (before, or now); nothing can be done with it,
# which its folder says and which is not tried again; or it failed, and is tried again.
DONE, REFUSED, FAILED, BEFORE = "done", "refused", "failed", "done before"

# Of the report of a run, what is the same whenever it runs.
KEPT = ("registration", "fusion", "completeness", "reading", "notes", "version")
CHANGING = ("seconds", "device")

# What a report says of the unit of a PET that is not known.
UNKNOWN = "unknown"

# How many slices the metrics are means of, about, and those that the record keeps.
EVALUATED = 8
METRICS = ("Q_G", "Q_FMI", "Q_SSIM", "Q_VIFF", "b_P", "rank_fused")

# The command fuse, which this room, below the commands, is given: arguments -> exit code.
Fuse = Callable[[List[str]], int]


@dataclass(frozen=True)
class Settings:
    """How all participants are treated.

    :param output: the data set of derivatives.
    :param root: of the images: paths are told from there.
    :param arguments: for ``fuse``, of every image.
    :param overwrite: replace files in the folder of a participant that were changed since, too.
    :param prefix: of sources in side cars: what the data set is called there.
    """

    output: str
    root: str
    arguments: Tuple[str, ...] = ()
    overwrite: bool = False
    prefix: str = ""

    def folder(self, participant: Participant) -> Path:
        """Where its results are."""
        return Path(self.output) / participant.name

    def log(self, participant: Participant) -> Path:
        """Where it stands when it was worked on."""
        return Path(self.output) / LOGS / f"{participant.name}.jsonl"

    def short(self, text: str) -> str:
        """A sentence with paths as they are in the data set."""
        return text.replace(f"{Path(self.root)}{os.sep}", "")

    def shown(self, path: str) -> str:
        """A path as in the data set; one elsewhere by its name, since folders are called as patients."""
        inside = Path(path).is_relative_to(self.root)
        return Path(path).relative_to(self.root).as_posix() if inside else Path(path).name

    def facts(self) -> dict:
        """The arguments, without folders, and checksums of the files among them."""
        values = [argument.rpartition("=")[2] for argument in self.arguments]
        files = [value for value in values if os.path.isfile(value)]
        words = without_folders(self.arguments)
        return {"arguments": words, "files": [_checksum(value) for value in files]}


@dataclass(frozen=True)
class Outcome:
    """What became of a participant.

    :param images: of the images, with ``outcome`` and, unless it is done, ``sentence``.
    :param sentence: why it failed as a whole.
    """

    label: str
    kind: str
    images: Tuple[dict, ...] = ()
    sentence: str = ""

    def complaints(self) -> List[str]:
        """A sentence for each thing that has no result."""
        if self.kind == FAILED:
            return [f"sub-{self.label}: {self.sentence}"]
        return [
            f"{image['name']}: {image['sentence']}" for image in self.images if image["outcome"] == REFUSED
        ]


def request(image: Image, settings: Settings) -> dict:
    """All that the results of an image depend on; equal requests have equal results."""
    files = {
        role: {"path": settings.shown(path), "sha256": _checksum(path)}
        for role, path in image.files().items()
    }
    asked = {**asdict(image), **dict.fromkeys(("mri", "pet", "mask", "transform")), **files}
    # As it is read again.
    return json.loads(json.dumps({"version": VERSION, **settings.facts(), "image": asked}))


def finished(participant: Participant, settings: Settings) -> Optional[Outcome]:
    """What became of a participant, if its folder has what would be made now, whole; else None."""
    report, known = read_report(settings.folder(participant)), _known(participant, settings)
    names = [image.name for image in participant.images]
    if report is None or not set(names) <= set(known) or len(report["images"]) != len(known):
        return None
    return Outcome(participant.label, BEFORE, tuple(known[name] for name in names))


def _known(participant: Participant, settings: Settings) -> Dict[str, dict]:
    """The records of images whose results are there, whole, and would be the same now; by name.

    So are those of images that are not asked for now.
    """
    folder = settings.folder(participant)
    report = read_report(folder)
    try:
        differing = set() if report is None else set(verify(folder))
    except InputError:
        return {}
    asked = {image.name: image for image in participant.images}
    known = {}
    for record in [] if report is None else report["images"]:
        name = record["name"]
        is_same = name in asked and record["request"] == request(asked[name], settings)
        if (name in participant.others or is_same) and not differing & set(record["made"]):
            known[name] = record
    return known


def read_report(folder: Path) -> Optional[dict]:
    """The report of a participant; None where there is none."""
    try:
        report = json.loads((folder / REPORT).read_text(encoding="utf-8"))
        return report if isinstance(report.get("images"), list) else None
    except (OSError, ValueError, AttributeError):
        return None


def process(participant: Participant, settings: Settings, fuse: Fuse) -> Outcome:
    """Make the folder of a participant, wholly or not at all, unless it is there.

    Never raises but to be stopped.
    """
    done = finished(participant, settings)
    if done is not None:
        return done
    began = time.perf_counter()
    made: List[dict] = []
    try:
        claim = Claim([REPORT], _inputs(participant), settings.overwrite, "OUTPUT_DIR")
        with all_or_nothing(settings.folder(participant), claim) as new:
            note(participant, settings, "began")
            records = _known(participant, settings)
            for name in [name for record in records.values() for name in record["made"]]:
                (new / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(settings.folder(participant) / name, new / name)
            for image in participant.images:
                if image.name not in records:
                    records[image.name], changing = _image(image, new, settings, fuse)
                    made.append(changing)
            images = [records[name] for name in sorted(records)]
            write_report(new, {"participant": participant.name, "images": images})
        outcome = Outcome(participant.label, DONE, tuple(records[image.name] for image in participant.images))
    except Exception as error:
        outcome = Outcome(participant.label, FAILED, (), settings.short(_told(error)))
    note(
        participant,
        settings,
        "ended",
        outcome=outcome.kind,
        sentence=outcome.sentence,
        seconds=round(time.perf_counter() - began, 2),
        peak_mb=peak_resident_mb(),
        images=made,
    )
    return outcome


def lost(participant: Participant, settings: Settings, sentence: str) -> Outcome:
    """The outcome of a participant whose process came to an end without a word; the log gets its last."""
    note(participant, settings, "ended", outcome=FAILED, sentence=sentence, images=[])
    return Outcome(participant.label, FAILED, (), sentence)


def note(participant: Participant, settings: Settings, event: str, **facts: object) -> None:
    """Add a line to the log of a participant; a log that cannot be written stops nothing."""
    path = settings.log(participant)
    date = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")
    line = json.dumps({"event": event, "date": date, "process": os.getpid(), **facts}, ensure_ascii=False)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


def log_of(participant: Participant, settings: Settings) -> List[dict]:
    """The lines of the log of a participant; one that was cut short is left out."""
    lines = []
    with contextlib.suppress(OSError):
        for line in settings.log(participant).read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(ValueError):
                lines.append(json.loads(line))
    return lines


def _inputs(participant: Participant) -> Sequence[str]:
    return [path for image in participant.images for path in image.files().values()]


def _checksum(path: str) -> Optional[str]:
    """Of a file, or of the files in a folder; None where there is none."""
    try:
        if os.path.isdir(path):
            return ",".join(sha256_of(file) for file in sorted(Path(path).iterdir()) if file.is_file())
        return sha256_of(Path(path))
    except OSError:
        return None


def _told(error: Exception) -> str:
    if isinstance(error, FunFuseError):
        return str(error)
    if isinstance(error, MemoryError):
        return "There is not enough memory: take fewer processes (--n-procs)."
    return f"Something unexpected happened ({type(error).__name__}: {' '.join(str(error).split())})."


def _image(image: Image, new: Path, settings: Settings, fuse: Fuse) -> Tuple[dict, dict]:
    """One image; ``new`` gets its files.

    :return: its record, and what is for the log.
    :raises FunFuseError: for what may go better at another time.
    """
    before = set(checksums(new))
    record, changing = _fused(image, new, settings, fuse)
    made = [name for name in checksums(new) if name not in before]
    return {**record, "request": request(image, settings), "made": made}, changing


def _fused(image: Image, new: Path, settings: Settings, fuse: Fuse) -> Tuple[dict, dict]:
    files = {role: settings.shown(path) for role, path in image.files().items()}
    record = {"name": image.name, "session": image.session, "tracer": image.tracer, "files": files}
    if image.mri is None:
        return {**record, "outcome": REFUSED, "sentence": image.notes[-1]}, {}
    with tempfile.TemporaryDirectory(dir=new) as work:
        pet = _beside_its_facts(image, Path(work))
        result = Path(work) / "result"
        roles = {**image.files(), "pet": pet, "out": str(result)}
        given = [f"--{role}={path}" for role, path in roles.items()]
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                fuse([*given, "--format=nifti", *settings.arguments])
        except OutOfTime:
            raise
        except (InputError, RegistrationError) as error:
            sentence = settings.short(str(error).replace(f"{Path(work)}{os.sep}", ""))
            judgement = {"judgement": WRONG} if isinstance(error, ImplausibleRegistration) else {}
            return {**record, "outcome": REFUSED, "sentence": sentence, **judgement}, {}
        report = json.loads((result / REPORT).read_text(encoding="utf-8"))
        kept = {key: _unchanging(report[key]) for key in KEPT if key in report}
        facts = {
            "Sources": [settings.prefix + path for path in files.values()],
            "SpatialReference": settings.prefix + files["mri"],
            "SourceSHA256": {role: _checksum(path) for role, path in image.files().items()},
            "Parameters": {**kept["fusion"], **settings.facts()},
            "Version": VERSION,
        }
        units, told = report["inputs"].get("pet_unit", UNKNOWN), str(image.facts.get("Units", ""))
        units = told if units == UNKNOWN or units.lower() == told.lower() else units
        mri = read(image.mri, modalities=("MR",)).volume
        pet, fused = (
            read_volume(path) if path.is_file() else None
            for path in (result / "pet_registered.nii.gz", result / "fused.nii.gz")
        )
        figures = {}
        if pet is not None:
            figures = _figures(kept["registration"], mri, pet, fused)
            write_alignment(mri, pet, new / FIGURES / alignment_name(image.name))
        write_images(image, result, new, units, facts)
    notes = [*image.notes, *kept.pop("notes")]
    record.update(outcome=DONE, figures=figures, **kept, notes=notes)
    return record, {"name": image.name, **{key: report.get(key) for key in ("seconds", "provenance")}}


def _beside_its_facts(image: Image, work: Path) -> str:
    """The PET; where it inherits some of its facts, such as units, under its name beside all of them."""
    path = Path(image.pet)
    own = path.with_name(f"{path.name.partition('.')[0]}.json")
    with contextlib.suppress(OSError, ValueError):
        if json.loads(own.read_text(encoding="utf-8")) == image.facts:
            return image.pet
    if not image.facts:
        return image.pet
    link = work / path.name
    try:
        link.symlink_to(path.resolve())
    except OSError:  # Windows without the right to do so
        shutil.copyfile(path, link)
    (work / own.name).write_text(json.dumps(image.facts), encoding="utf-8")
    return str(link)


def _unchanging(facts):
    """Without what differs from run to run, or from computer to computer."""
    if isinstance(facts, dict):
        return {key: _unchanging(value) for key, value in facts.items() if key not in CHANGING}
    return facts


def _figures(registration: dict, mri: Volume, pet: Volume, fused: Optional[Volume]) -> Dict[str, float]:
    """What tells a bad registration from the others, in numbers; without those that are not defined.

    :param pet: on the grid of the MRI, as ``fused``.
    """
    matrix = np.array(registration["matrix"])
    center = mri.ijk_to_ras @ np.append((np.array(mri.dimensions) - 1.0) / 2.0, 1.0)
    parts = decompose(matrix, (np.linalg.inv(matrix) @ center)[:3])
    sizes = stretches(matrix)
    figures = {
        "mi_before": registration.get("similarity_before"),
        "mi_after": registration.get("similarity_after"),
        "outline": (registration.get("evidence") or {}).get("outline"),
        "rotation_deg": parts.angle,
        "shift_mm": float(np.linalg.norm(parts.translation)),
        "scale_min": float(sizes[-1]),
        "scale_max": float(sizes[0]),
    }
    if fused is not None:
        with contextlib.suppress(InputError):  # a volume too small for the metrics
            slices = axial_order(mri.ijk_to_ras)[0][0]
            rows = evaluate_volumes(mri, pet, fused, every=max(1, mri.array.shape[slices] // EVALUATED))
            figures.update({name: value for name, value in means(rows).items() if name in METRICS})
    return {
        name: float(f"{value:.6g}")
        for name, value in figures.items()
        if value is not None and np.isfinite(value)
    }
