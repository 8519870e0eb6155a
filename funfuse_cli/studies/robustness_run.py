"""Runs one case of the study "robustness" as a user would, and says what came of it and what is wrong."""

import contextlib
import json
import os
from pathlib import Path
from typing import Dict, List, Optional
from unittest import mock

import numpy as np
import SimpleITK as sitk

from FunFuseSlicer.Logic.errors import FunFuseError
from FunFuseSlicer.Logic.volumes.geometry import Volume, volume_from_sitk

from ..reading.reader import read_volume
from ..workflow.output_folder import VOLUME_ROLES
from .odd_inputs.cases import Case
from .odd_inputs.pairs import phantom, write_pair
from .odd_inputs.watch import overheard, snapshot

# |C1 + C2 - F| may not exceed this.
COMPLETENESS = 1e-5
BYSTANDER = "notes of the user.txt"


def run_case(case: Case, way: str, folder: Path) -> Dict[str, str]:
    """Run a case, and tell what came of it.

    :param way: "files" for the command line, "nodes" for ``FunFuseSlicerLogic.process``.
    :param folder: an empty folder for its files.
    :return: ``kind`` is "result", the class of an error, or "crash"; ``sentence`` what the user saw, the
        error or the notes of a result, paths shortened; ``problems`` what is not as it must be.
    """
    error, notes, problems = (_run_files if way == "files" else _run_nodes)(case, folder)
    sentence = shortened(" ".join(notes) if error is None else str(error), folder)
    kind = "result" if error is None else type(error).__name__
    if error is not None and not isinstance(error, FunFuseError):
        problems.append(f"{kind} instead of a sentence: {error}")
        kind = "crash"
    expected, _, said = case.must.partition(": ")
    problems += [] if kind in ("crash", expected) else [f"{expected} expected"]
    for words in filter(None, said.split("; ")):
        problems += [] if any(word in sentence for word in words.split("|")) else [f'"{words}" is not said']
    problems = "; ".join(problems)
    return dict(input=case.name, made=case.made, way=way, kind=kind, sentence=sentence, problems=problems)


def shortened(sentence: str, folder: Path) -> str:
    """Paths inside the folder are told from there, others by their last part, and long names are cut."""
    for inside in (folder.resolve(), folder):
        sentence = sentence.replace(f"{inside}{os.sep}", "")
    starts = (os.sep, f"..{os.sep}", f".{os.sep}")
    words = [w.rsplit(os.sep, 1)[-1] if w.startswith(starts) else w for w in sentence.split(" ")]
    return " ".join(word if len(word) < 80 else f"{word[:20]}…{word[-8:]}" for word in words)


def check_volumes(volumes: Dict[str, Volume], mri: Volume) -> List[str]:
    """What is wrong with a set of results, by role."""
    problems = []
    for role, volume in volumes.items():
        place = Volume(volume.array[..., 0] if volume.array.ndim == 4 else volume.array, volume.ijk_to_ras)
        problems += [] if place.same_grid(mri) else [f"{role} does not lie on the grid of the MRI"]
        problems += [] if np.isfinite(volume.array).all() else [f"{role} is not finite"]
    parts = volumes["mri_part"].array + volumes["pet_part"].array
    error = float(np.abs(parts - volumes["fused"].array).max())
    problems += [] if error <= COMPLETENESS else [f"the parts miss the fused image by {error:.1e}"]
    there = volumes["fused"].array.any() and volumes["colored"].array.any()
    return problems if there else [*problems, "the result is empty"]


# --- Both give the error or None, the notes of a result, and what is wrong --------------------------------


def _run_files(case: Case, folder: Path):
    from ..__main__ import EXIT_CODES, main
    from ..commands import fuse

    paths = write_pair(folder, phantom() if case.files else case.pair())
    paths.update(case.files(folder) if case.files else {})
    out = paths.pop("out", folder / "out")
    with contextlib.suppress(OSError):
        out.mkdir(parents=True)
        (out / BYSTANDER).write_text("stays", encoding="utf-8")
    before, errors, real = _listing(out), [], fuse.main

    def watched(arguments):
        try:
            return real(arguments)
        except Exception as error:
            errors.append(error)
            raise

    arguments = [f"--{role}={path}" for role, path in paths.items()] + [f"--out={out}", *case.arguments]
    arguments += [] if case.register else ["--no-register"]
    fault = case.fault(out) if case.fault else contextlib.nullcontext()
    with overheard() as lines, fault, mock.patch.object(fuse, "main", watched):
        try:
            code = main(["fuse", *arguments])
        except Exception as error:  # nothing may pass main
            errors, code = [error], 1
    error, *_ = [*errors, None]
    codes = [number for kind, number in EXIT_CODES.items() if isinstance(error, kind)]
    told = [f"error: {error}"] if isinstance(error, FunFuseError) else lines if error else []
    problems = [] if code in (codes if error else [0]) else [f"exit code {code}"]
    problems += [] if lines == told else [f"on standard error: {lines}"]
    after = _listing(out)
    if error is not None:
        return error, [], problems + ([] if after == before else ["the output folder was changed"])
    expected = {*(f"{role}.nrrd" for role in VOLUME_ROLES), "scene.mrb", "preview.png"}
    expected |= {"report.html", "report.json"}
    wrong = (set(after) - set(before) - {"pet_to_mri.tfm"}) ^ expected
    if wrong or code != 0:
        return None, [], problems + [f"files {sorted(wrong)}"]
    problems += [] if after[BYSTANDER] == b"stays" else ["a file of the user was changed"]
    images = {role: sitk.ReadImage(str(out / f"{role}.nrrd")) for role in VOLUME_ROLES}
    volumes = {role: volume_from_sitk(image, role) for role, image in images.items()}
    problems += check_volumes(volumes, read_volume(paths["mri"]))
    return None, json.loads(after["report.json"])["notes"], problems


def _listing(out: Path) -> Dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(out.iterdir())} if os.path.isdir(out) else {}


def _run_nodes(case: Case, folder: Path):
    from FunFuseSlicer.Logic.scene.inputs import ijk_to_world

    from ..headless.boot import boot

    slicer = boot()
    slicer.mrmlScene.Clear(False)
    mri, pet, mask = add_nodes(case, case.pair())
    before = snapshot()
    try:
        with case.fault(folder) if case.fault else contextlib.nullcontext():
            run = process(mri, pet, case.options, {} if case.register else None, mask)
    except Exception as error:
        return error, [], [] if snapshot() == before else ["the scene was changed"]
    # A result changes the layers of the views, as it shall.
    inputs, after = {node_id: facts for node_id, facts in before.items() if facts[-1] is not None}, snapshot()
    kept = all(after.get(node_id) == facts for node_id, facts in inputs.items())
    error = run.fusion.slices.completeness
    problems = [] if kept else ["an input was changed"]
    problems += [] if error <= COMPLETENESS else [f"completeness {error:.1e}"]
    nodes = {"mri": mri, **{role: getattr(run.nodes, role) for role in VOLUME_ROLES}}
    volumes = {r: Volume(slicer.util.arrayFromVolume(n), ijk_to_world(n)) for r, n in nodes.items()}
    return None, run.notes, problems + check_volumes(volumes, volumes.pop("mri"))


def add_nodes(case: Case, pair):
    """The nodes of MRI, PET and mask, or None for one that there is not."""
    from FunFuseSlicer.Logic.scene.inputs import add_volume_node

    mri, pet, mask = (v and add_volume_node(v) for v in (pair.mri, pair.pet, pair.mask))
    return (*(case.nodes(mri, pet) if case.nodes else (mri, pet)), mask)


def process(mri, pet, options: Dict[str, object], register: Optional[Dict[str, object]], mask=None):
    """One run of the module's logic on nodes.

    :param options: of :class:`FusionOptions`; ``register`` of :class:`RegistrationOptions`, None for none.
    """
    from FunFuseSlicer.Logic.fusion.pipeline import FusionOptions
    from FunFuseSlicer.Logic.registration import RegistrationOptions

    from ..extension import load_module

    registration = None if register is None else RegistrationOptions(**register)
    return load_module().FunFuseSlicerLogic().process(mri, pet, FusionOptions(**options), registration, mask)
