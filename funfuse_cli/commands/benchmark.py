"""``funfuse benchmark``: how fast it is on this computer."""

import argparse
import importlib
import json
from contextlib import ExitStack
from typing import List

from FunFuseSlicer.Logic.output_folder import all_or_nothing, one_file

from ..benchmarks import BENCHMARKS, LARGEST_OF_QUICK, Settings
from ..benchmarks.timing import machine
from ..paths import input_path, output_path
from ..workflow.output_folder import add_overwrite, claim


def main(arguments: List[str]) -> int:
    """Measure, print the times and what is promised, and write JSON and the page's data where asked for."""
    command = parser()
    options = command.parse_args(arguments)
    if options.docs and options.only:
        command.error("--docs needs all measurements: leave out --only")
    # What cannot be written fails now, not after ten minutes.
    with ExitStack() as files:
        if options.json:
            options.json = files.enter_context(one_file(options.json, claim((), options, where="--json")))
        if options.docs:
            planned = claim(("data/speed_*", "images/speed.png"), options, where="--docs")
            options.docs = files.enter_context(all_or_nothing(options.docs, planned))
        return run(settings_of(options), options)


def run(settings: Settings, options) -> int:
    """Measure that much."""
    import torch

    from ..benchmarks import report

    facts = {**machine(), "threads": torch.get_num_threads()}
    print(", ".join(f"{name} {value}" for name, value in facts.items()))
    if facts["cores"] != 2:
        print("The promises below are meant for two cores; on Linux: taskset -c 0,1 python3 funfuse.py ...")
    sections, figures = {}, dict.fromkeys(report.KEYS)
    notes = dict.fromkeys(report.KEYS, report.LEFT_OUT)
    for name in options.only or BENCHMARKS:
        module, text = BENCHMARKS[name]
        print(f"\n{text}", flush=True)
        section = sections[name] = importlib.import_module(module).measure(settings)
        figures.update(section.figures)
        notes.update({key: section.notes.get(key) for key in section.figures}, **section.notes)
        print(report.on_screen(report.times({name: section}).iloc[:, 1:7], ".1f"), flush=True)
    notes = {key: text for key, text in notes.items() if text}
    promises = report.promises(figures, notes)
    print("\nPromised for two cores\n" + report.on_screen(promises, ".4g"))
    if options.json:
        content = {
            **figures,
            "threads": facts["threads"],
            "cpu": facts["processor"],
            "machine": facts,
            "required": promises[["what", "value", "wanted", "kept"]].to_dict("records"),
            "results": {name: section.rows for name, section in sections.items()},
            "notes": notes,
        }
        text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
        options.json.write_text(text + "\n", encoding="utf-8")
    if options.docs:
        times = report.times(sections)
        report.write_data(options.docs / "data", facts, promises, times)
        report.plot_volumes(times, options.docs / "images" / "speed.png")
    return 0


def settings_of(options) -> Settings:
    """What the options ask for."""
    there = options.data is not None and (options.data / "volumes" / "patient_fdg").is_dir()
    data = options.data if there else None
    if not options.quick:
        return Settings(repeats=options.repeats or 10, data=data, device=options.device)
    volumes = tuple(shape for shape in Settings.volumes if shape[0] <= LARGEST_OF_QUICK[0])
    return Settings(options.repeats or 4, 1, volumes=volumes, data=data, device=options.device)


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    result = argparse.ArgumentParser(
        prog="funfuse benchmark",
        description="Measure on this computer how fast FunFuse is. All of it takes about ten minutes.",
    )
    result.add_argument("--only", nargs="+", choices=list(BENCHMARKS), help="some of the measurements")
    result.add_argument("--quick", action="store_true", help="fewer repeats, and no large volumes")
    result.add_argument("--repeats", type=_count, help="of what does not take long (default: 10; quick: 4)")
    result.add_argument(
        "--device", choices=("cpu", "cuda", "mps"), default="cpu", help="measure this one, too (default cpu)"
    )
    result.add_argument(
        "--json", type=output_path, metavar="FILE", help="write the figures for machines, too"
    )
    result.add_argument(
        "--docs", type=output_path, metavar="DIR", help="write DIR/data/speed_* and DIR/images/speed.png anew"
    )
    add_overwrite(result)
    result.add_argument(
        "--data",
        type=input_path,
        metavar="DIR",
        help="folder with volumes/patient_fdg: a real pair, T1.nii.gz and FDG_displaced.nii.gz",
    )
    return result


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return value
