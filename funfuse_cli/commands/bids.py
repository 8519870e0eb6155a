"""``funfuse bids``: a whole cohort, as a BIDS App."""

import argparse
import copy
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Dict, List, Optional, Tuple

from FunFuseSlicer.Logic.errors import InputError
from FunFuseSlicer.Logic.output_folder import Claim, all_or_nothing, check_writable
from FunFuseSlicer.Logic.volumes.units import KINDS

from ..installation import command
from ..paths import input_path, output_path
from ..workflow.output_folder import OUTPUTS
from ..workflow.progress import bar, count
from . import fuse

EXAMPLE = f"{command('bids')} DATA_SET RESULTS participant"
LEVELS = ("participant", "group")
# Of fuse, what is not the same for all images, or is decided here.
NOT_OF_FUSE = ("mri", "pet", "out", "mask", "transform", "overwrite", "no_scene", "help")
NOT_OF_FUSE += ("format", "dicom", "dicom_mri", "subtract")
# A region is one person's; --tracer says here which images are meant, and each shows its own.
NOT_OF_FUSE += ("reference", "reference_space", "reference_at", "tracer")
ANATOMIES = ("T1w", "T2w", "FLAIR")


def main(arguments: List[str]) -> int:
    """Work on what is missing, or gather what is there; 1 when an image has no result."""
    if not arguments:
        print(f"{EXAMPLE}\n{command('bids --help')} tells all options.", file=sys.stderr)
        return 2
    its, of_fuse = _parsers()
    options = its.parse_intermixed_args(arguments)
    data_set, output, level = _places(its, options)
    from ..cohort import data_set as bids
    from ..cohort.derivatives import RAW
    from ..cohort.pairs_table import read_pairs
    from ..cohort.participants import Choice, with_transforms
    from ..cohort.work import Settings

    choice = Choice(options.participant_label, options.session_label, options.tracer, options.anat)
    source = options.pairs or data_set
    participants = (read_pairs if options.pairs else bids.read_data_set)(source.absolute(), choice)
    if options.transforms is not None:
        participants = with_transforms(participants, options.transforms.absolute())
    root = source.absolute().parent if options.pairs else source.absolute()
    if output.absolute() == root:
        raise InputError(f"{output} holds the images: give another folder for the results.")
    prefix = "" if options.pairs else RAW
    given = _for_fuse(options, of_fuse)
    settings = Settings(str(output.absolute()), str(root), given, options.overwrite, prefix)
    if level == "group":
        return _group(participants, settings)
    return _participants(participants, settings, options, None if options.pairs else root)


def _parsers() -> Tuple[argparse.ArgumentParser, Dict[str, argparse.Action]]:
    """The command's options, and those among them that are of ``fuse``."""
    result = argparse.ArgumentParser(
        prog="funfuse bids",
        usage="funfuse bids BIDS_DIR OUTPUT_DIR {participant,group} [options]\n"
        "       funfuse bids OUTPUT_DIR {participant,group} --pairs TABLE.csv [options]",
        description="Register and fuse the PET images of a whole BIDS data set. Killed at any moment and "
        "started again, it does what is missing. For research use, not for diagnosis.",
        epilog="participant works on the images; group writes group.csv and group.html about all of them, "
        "with those first that somebody should look at.",
        allow_abbrev=False,
    )
    result.add_argument("places", nargs="+", metavar="BIDS_DIR OUTPUT_DIR LEVEL", help=argparse.SUPPRESS)
    which = result.add_argument_group("which images")
    which.add_argument(
        "--pairs",
        type=input_path,
        metavar="TABLE",
        help="instead of a BIDS data set: a CSV file with the columns id, mri, pet and, where wanted, mask, "
        "transform, session, tracer; paths count from its folder",
    )
    for name, what in (("participant", "participants"), ("session", "sessions")):
        which.add_argument(
            f"--{name}-label",
            nargs="+",
            default=(),
            metavar="LABEL",
            help=f"these {what} alone (default: all)",
        )
    which.add_argument(
        "--tracer", nargs="+", default=(), metavar="TRC", help="these tracers alone (default: all)"
    )
    which.add_argument(
        "--anat",
        nargs="+",
        choices=ANATOMIES,
        default=ANATOMIES[:1],
        metavar="SUFFIX",
        help=f"the MRI to take, of {', '.join(ANATOMIES)}, the one to prefer first (default {ANATOMIES[0]})",
    )
    which.add_argument(
        "--transforms",
        type=input_path,
        metavar="DIR",
        help="transforms that were corrected by hand, under the names of the results "
        "(sub-…_from-pet_to-T1w_mode-image_xfm.txt): used instead of registering",
    )
    how = result.add_argument_group("how the work is done")
    how.add_argument(
        "--n-procs",
        type=int,
        metavar="N",
        help="participants at a time (default: as many as cores, or as the cluster allows)",
    )
    how.add_argument(
        "--slurm",
        nargs="*",
        metavar="OPTION=VALUE",
        help="as jobs of Slurm, with options of submitit: slurm_partition=short timeout_min=60 mem_gb=4",
    )
    how.add_argument("--limit", type=int, metavar="N", help="work on so many participants at most")
    how.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    how.add_argument(
        "--overwrite",
        action="store_true",
        help="replace results that were changed by hand, too; never the images",
    )
    of_fuse = {}
    group = result.add_argument_group("as in fuse")
    for action in fuse.parser()._actions:
        if action.dest in NOT_OF_FUSE or not action.option_strings:
            continue
        action = copy.copy(action)
        if action.dest == "outputs":
            action.choices = tuple(name for name in OUTPUTS if name != "scene")
            action.default = None
            action.help = f"write these: {', '.join(action.choices)} (default: all)"
        else:
            action.type = None  # fuse itself turns words into values
            if action.dest == "units":
                action.choices, action.help = KINDS, f"turn each PET into {', '.join(KINDS)}, by its side car"
        of_fuse[action.dest] = group._add_action(action)
    return result, of_fuse


def _places(its: argparse.ArgumentParser, options: argparse.Namespace) -> Tuple[Optional[Path], Path, str]:
    """Folder of the data set, folder of the results, and level."""
    *folders, level = options.places
    wanted = 1 if options.pairs else 2
    if level not in LEVELS or len(folders) != wanted:
        names = "OUTPUT_DIR" if options.pairs else "BIDS_DIR OUTPUT_DIR"
        its.error(f"give {names} and then participant or group")
    if options.n_procs is not None and options.n_procs < 1 or options.limit is not None and options.limit < 1:
        its.error("--n-procs and --limit must be at least 1")
    return None if options.pairs else input_path(folders[0]), output_path(folders[-1]), level


def _for_fuse(options: argparse.Namespace, of_fuse: Dict[str, argparse.Action]) -> Tuple[str, ...]:
    """The arguments for ``fuse``, which is asked whether it understands them."""
    given: List[str] = ["--outputs", *(options.outputs or of_fuse["outputs"].choices)]
    for dest, action in of_fuse.items():
        value = getattr(options, dest)
        if dest == "outputs" or value == action.default:
            continue
        words = [] if action.nargs == 0 else value if isinstance(value, list) else [value]
        given += (
            [action.option_strings[0], *words]
            if len(words) != 1
            else [f"{action.option_strings[0]}={words[0]}"]
        )
    fuse.check(given)
    return tuple(given)


def _participants(participants, settings, options: argparse.Namespace, data_set: Optional[Path]) -> int:
    from ..cohort.derivatives import describe
    from ..cohort.work import process

    with_images = [one for one in participants if one.images]
    for one in participants:
        if not one.images:
            print(f"{one.name}: there is no PET image.")
    before, waiting = _before(with_images, settings)
    chosen = waiting[: options.limit]
    print(
        f"{count(len(with_images), 'participant')} with PET, {len(before)} done before, "
        f"{len(chosen)} to do now" + (f", {len(waiting) - len(chosen)} later" if chosen != waiting else "")
    )
    if options.dry_run:
        for one in chosen:
            for image in one.images:
                with_what = settings.short(image.mri) if image.mri else "no MRI"
                print(f"  {image.name}: {settings.short(image.pet)} on {with_what}")
        return 0
    outcomes = list(before)
    if chosen:
        engine = _engine(options, settings)
        check_writable(settings.output, "OUTPUT_DIR")
        describe(Path(settings.output), data_set)
        work = partial(process, settings=settings, fuse=partial(fuse.main, dated=False))
        outcomes += _work(engine.run(work, chosen), chosen, settings)
    return _tell(outcomes, settings)


def _before(participants, settings):
    """The outcomes of those that are done, and those that are not."""
    from ..cohort.work import finished

    with ThreadPoolExecutor() as pool:  # checksums let go of Python
        found = list(pool.map(partial(finished, settings=settings), participants))
    return (
        [outcome for outcome in found if outcome is not None],
        [one for one, outcome in zip(participants, found) if outcome is None],
    )


def _engine(options: argparse.Namespace, settings):
    from ..cohort import engines
    from ..cohort.derivatives import LOGS
    from ..cohort.work import log_of

    def begun(one) -> bool:
        return [line["event"] for line in log_of(one, settings)][-1:] == ["began"]

    if options.slurm is None:
        return engines.Local(options.n_procs or engines.cores(), begun, fuse.prepare)
    parameters = {}
    for text in options.slurm:
        name, equals, value = text.partition("=")
        if not equals:
            raise InputError(f'--slurm: "{text}" is no OPTION=VALUE.')
        parameters[name] = int(value) if value.isdigit() else value
    return engines.Cluster(Path(settings.output) / LOGS / "slurm", parameters, options.n_procs)


def _work(results, chosen, settings) -> list:
    """Take what comes, and show how far it is; a participant whose process was lost has failed."""
    from ..cohort.work import lost

    outcomes, shown = [], bar(len(chosen), "Participants", "participant")
    try:
        for one, result in results:
            if isinstance(result, Exception):
                result = lost(one, settings, str(result))
            outcomes.append(result)
            lacking = sum(bool(outcome.complaints()) for outcome in outcomes)
            shown.set_note(f"{lacking} without result" if lacking else "")
            shown.update(1)
    finally:
        results.close()
        shown.close()
    return outcomes


def _tell(outcomes, settings) -> int:
    complaints = [sentence for outcome in outcomes for sentence in outcome.complaints()]
    for sentence in complaints:
        print(f"  {sentence}")
    whole = sum(not outcome.complaints() for outcome in outcomes)
    print(f"{count(whole, 'participant')} complete, {len(outcomes) - whole} with images that have no result")
    print(f"results     {settings.output}")
    return 1 if complaints else 0


def _group(participants, settings) -> int:
    from ..cohort.group import DONE, LACKS, rows_of, write_csv
    from ..cohort.group_page import write_page

    rows = rows_of(participants, settings)
    if not any(row["outcome"] == DONE for row in rows):
        raise InputError(
            f"{settings.output} has no results of these participants: run the level participant first."
        )
    claim = Claim(["group.csv", "group.html"], (), settings.overwrite, "OUTPUT_DIR")
    with all_or_nothing(settings.output, claim) as folder:
        write_csv(rows, folder / "group.csv")
        write_page(rows, settings, folder / "group.html")
    without = [row for row in rows if row["outcome"] not in (DONE, LACKS)]
    for row in without:
        print(f"  {row['image']}: {row['outcome']}. {row['notes']}")
    done = sum(row["outcome"] == DONE for row in rows)
    print(f"{count(done, 'image')} with result, {len(without)} without")
    print(f"results     {Path(settings.output) / 'group.html'}")
    return 1 if without else 0
