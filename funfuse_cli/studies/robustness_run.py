"""Runs one case of the study "robustness" as a user would, and says what came of it and what is wrong."""

import contextlib
import io
import json
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional, Tuple
from unittest import mock

import numpy as np
import SimpleITK as sitk

from FunFuseSlicer.Logic.errors import FunFuseError
from FunFuseSlicer.Logic.volumes.geometry import Volume, volume_from_sitk

from ..workflow.output_folder import VOLUME_ROLES
from .robustness_cases import Case
from .robustness_pairs import write_pair

# |C1 + C2 - F| may not exceed this.
COMPLETENESS = 1e-5
BYSTANDER = "notes of the user.txt"


@dataclass(frozen=True)
class Outcome:
    """What came of one case in one way.

    :param kind: "result", the class of an error, or "crash".
    :param sentence: what the user saw: the error, or the notes of a result; paths shortened to names.
    :param problems: what is not as it must be; empty when all is well.
    """

    case: Case
    way: str
    kind: str
    sentence: str
    problems: Tuple[str, ...]


def run_case(case: Case, way: str, folder: Path) -> Outcome:
    """Run a case.

    :param way: "files" for the command line, "nodes" for ``FunFuseSlicerLogic.process``.
    :param folder: an empty folder for its files.
    """
    error, sentence, problems = (_run_files if way == "files" else _run_nodes)(case, folder)
    sentence = shortened(sentence, folder)
    kind = "result" if error is None else type(error).__name__
    if error is not None and not isinstance(error, FunFuseError):
        problems.append(f"{kind} instead of a sentence: {error}")
        kind = "crash"
    expected = "result" if case.expected is None else case.expected.__name__
    if kind not in ("crash", expected):
        problems.append(f"{expected} expected")
    for words in case.says:
        if not any(word in sentence for word in words.split("|")):
            problems.append(f'"{words}" is not said')
    return Outcome(case, way, kind, sentence, tuple(problems))


def shortened(sentence: str, folder: Path) -> str:
    """Paths inside the folder are told from there, others by their last part, and long names are cut."""
    words = []
    for word in sentence.split(" "):
        for inside in (folder.resolve(), folder):
            word = word.replace(f"{inside}{os.sep}", "")
        if word.startswith((os.sep, f"..{os.sep}", f".{os.sep}")):
            word = word.rsplit(os.sep, 1)[-1]
        words.append(word if len(word) < 80 else f"{word[:20]}…{word[-8:]}")
    return " ".join(words)


# --- The command line -------------------------------------------------------------------------------------


def _run_files(case: Case, folder: Path):
    from ..__main__ import EXIT_CODES, main
    from ..commands import fuse

    paths = case.write(folder) if case.write else write_pair(folder, case.pair())
    out = paths.pop("out", folder / "out")
    before = _prepare(out)
    arguments = [f"--{role}={path}" for role, path in paths.items()] + [f"--out={out}", *case.arguments]
    arguments += [] if case.register else ["--no-register"]
    errors: List[BaseException] = []
    real = fuse.main

    def watched(arguments):
        try:
            return real(arguments)
        except Exception as error:
            errors.append(error)
            raise

    fault = case.fault(out) if case.fault else contextlib.nullcontext()
    with _captured() as lines, fault, mock.patch.object(fuse, "main", watched):
        try:
            code = main(["fuse", *arguments])
        except Exception as error:  # nothing may pass main
            errors, code = [error], 1
    problems = []
    error = errors[0] if errors else None
    if error is None:
        problems += [] if code == 0 else [f"exit code {code}"]
        problems += [f"on standard error: {line}" for line in lines]
        notes = json.loads((out / "report.json").read_text(encoding="utf-8"))["notes"] if code == 0 else []
        return None, " ".join(notes), problems + _check_files(paths["mri"], out, before)
    if isinstance(error, FunFuseError):
        expected = {number for kind, number in EXIT_CODES.items() if isinstance(error, kind)}
        problems += [] if code in expected else [f"exit code {code}"]
        problems += [] if lines == [f"error: {error}"] else [f"on standard error: {lines}"]
    if _listing(out) != before:
        problems.append("the output folder was changed")
    return error, str(error), problems


def _prepare(out: Path) -> Dict[str, bytes]:
    """An output folder with a file in it, where there can be one."""
    with contextlib.suppress(OSError):
        out.mkdir(parents=True)
        (out / BYSTANDER).write_text("stays", encoding="utf-8")
    return _listing(out)


def _listing(out: Path) -> Dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(out.iterdir())} if os.path.isdir(out) else {}


@contextlib.contextmanager
def _captured():
    """Standard output is hushed; gives a list that then has the lines of standard error, without bars.

    Libraries write to the file descriptor, Python to its own object: both are caught.
    """
    lines: List[str] = []
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace", buffering=1) as file:
        sys.stderr.flush()
        saved = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            with contextlib.redirect_stderr(file), contextlib.redirect_stdout(io.StringIO()):
                yield lines
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            file.flush()
            file.seek(0)
            text = file.read().replace("\r", "\n").splitlines()
            lines += [line for line in text if line.strip() and "|" not in line]


def _check_files(mri_path: Path, out: Path, before: Dict[str, bytes]) -> List[str]:
    if not (out / "report.json").is_file():
        return ["no report"]
    from ..workflow.files import read_volume

    expected = {f"{role}.nrrd" for role in VOLUME_ROLES} | {"scene.mrb", "preview.png", "report.json"}
    found = set(_listing(out)) - set(before) - {"pet_to_mri.tfm"}
    problems = [] if found == expected else [f"files {sorted(found ^ expected)}"]
    if (out / BYSTANDER).read_text(encoding="utf-8") != "stays":
        problems.append("a file of the user was changed")
    volumes = {}
    for role in VOLUME_ROLES:
        image = sitk.ReadImage(str(out / f"{role}.nrrd"))
        volumes[role] = volume_from_sitk(image, role)
    return problems + check_volumes(volumes, read_volume(mri_path))


def check_volumes(volumes: Dict[str, Volume], mri: Volume) -> List[str]:
    """What is wrong with a set of results, by role."""
    problems = []
    for role, volume in volumes.items():
        place = Volume(volume.array[..., 0] if volume.array.ndim == 4 else volume.array, volume.ijk_to_ras)
        if not place.same_grid(mri):
            problems.append(f"{role} does not lie on the grid of the MRI")
        if not np.isfinite(volume.array).all():
            problems.append(f"{role} is not finite")
    parts = volumes["mri_part"].array + volumes["pet_part"].array
    error = float(np.abs(parts - volumes["fused"].array).max())
    if not error <= COMPLETENESS:
        problems.append(f"the parts miss the fused image by {error:.1e}")
    if not volumes["fused"].array.any() or not volumes["colored"].array.any():
        problems.append("the result is empty")
    return problems


# --- Nodes ------------------------------------------------------------------------------------------------


def _run_nodes(case: Case, folder: Path):
    from FunFuseSlicer.Logic.scene import inputs

    from ..headless.boot import boot

    slicer = boot()
    slicer.mrmlScene.Clear(False)
    pair = case.pair()
    mri, pet = inputs.add_volume_node(pair.mri), inputs.add_volume_node(pair.pet)
    mask = inputs.add_volume_node(pair.mask) if pair.mask is not None else None
    mri, pet = case.nodes(mri, pet) if case.nodes else (mri, pet)
    before = snapshot()
    try:
        with case.fault(folder) if case.fault else contextlib.nullcontext():
            run = process(mri, pet, case.options, {} if case.register else None, mask)
    except Exception as error:
        problems = [] if snapshot() == before else ["the scene was changed"]
        return error, str(error), problems
    kept = {node_id: facts for node_id, facts in snapshot().items() if node_id in before}
    problems = [] if _only_volumes(kept) == _only_volumes(before) else ["an input was changed"]
    volumes = {}
    for role in VOLUME_ROLES:
        node = getattr(run.nodes, role)
        volumes[role] = Volume(slicer.util.arrayFromVolume(node), inputs.ijk_to_world(node), role)
    grid = Volume(slicer.util.arrayFromVolume(mri), inputs.ijk_to_world(mri))
    notes = " ".join(run.notes)
    error = run.fusion.slices.completeness
    problems += [] if error <= COMPLETENESS else [f"completeness {error:.1e}"]
    return None, notes, problems + check_volumes(volumes, grid)


def process(mri, pet, options: Dict[str, object], register: Optional[Dict[str, object]], mask=None):
    """One run of the module's logic on nodes.

    :param options: of :class:`FusionOptions`; ``register`` of :class:`RegistrationOptions`, None for none.
    """
    from FunFuseSlicer.Logic.fusion.pipeline import FusionOptions
    from FunFuseSlicer.Logic.registration import RegistrationOptions

    from ..extension import load_module

    registration = None if register is None else RegistrationOptions(**register)
    logic = load_module().FunFuseSlicerLogic()
    return logic.process(mri, pet, FusionOptions(**options), registration, mask)


def snapshot() -> Dict[str, tuple]:
    """Every node of the scene by its ID: class, name, parent transform, layers, voxels."""
    import slicer

    found = {}
    for index in range(slicer.mrmlScene.GetNumberOfNodes()):
        node = slicer.mrmlScene.GetNthNode(index)
        parent = node.GetTransformNodeID() if node.IsA("vtkMRMLTransformableNode") else None
        layers = voxels = None
        if node.IsA("vtkMRMLSliceCompositeNode"):
            layers = node.GetBackgroundVolumeID(), node.GetForegroundVolumeID()
        if node.IsA("vtkMRMLVolumeNode") and node.GetImageData() is not None:
            voxels = slicer.util.arrayFromVolume(node).tobytes()
        found[node.GetID()] = (node.GetClassName(), node.GetName(), parent, layers, voxels)
    return found


def _only_volumes(nodes: Dict[str, tuple]) -> Dict[str, tuple]:
    """A result changes the layers of the views, as it shall."""
    return {node_id: facts for node_id, facts in nodes.items() if facts[-1] is not None}
