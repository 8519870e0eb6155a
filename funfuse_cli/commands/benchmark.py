"""``funfuse.py benchmark``: how fast it is on this computer."""

import argparse
import importlib
import json
import os
from pathlib import Path
from typing import List

from ..benchmarks import BENCHMARKS, LARGEST_OF_QUICK, Settings
from ..benchmarks.timing import machine

# Of the repository's own data, if it has any beside it.
DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


def main(arguments: List[str]) -> int:
    """Measure, print a table and what is required, and write JSON and a page where asked for."""
    command = parser()
    options = command.parse_args(arguments)
    if options.page and options.only:
        command.error("--page needs all measurements: leave out --only")
    for file in filter(None, (options.json, options.page)):
        # What cannot be written should fail now, not in half an hour.
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    # Or PyTorch's profiler writes lines of its own between those of the table.
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    return run(settings_of(options), options)


def run(settings: Settings, options) -> int:
    """Measure that much."""
    import torch

    from ..benchmarks import report

    facts = {**machine(), "threads": torch.get_num_threads()}
    print(report.machine_text(facts))
    if facts["cores"] != 2:
        print("What is wanted below is meant for two cores; on Linux: taskset -c 0,1 python3 funfuse.py ...")
    sections, figures = {}, dict.fromkeys(report.KEYS)
    notes = dict.fromkeys(report.KEYS, report.LEFT_OUT)
    for name in options.only or BENCHMARKS:
        module, text = BENCHMARKS[name]
        print(f"\n{text}\n  {'milliseconds':<62}     median    fastest    slowest    n", flush=True)
        section = sections[name] = importlib.import_module(module).measure(settings)
        figures.update(section.figures)
        notes.update({key: section.notes.get(key) for key in section.figures}, **section.notes)
        for row in section.rows:
            print(report.row_text(row), flush=True)
    notes = {key: text for key, text in notes.items() if text}
    print("\nRequired of two cores, float32 unless said")
    for requirement in report.REQUIREMENTS:
        print(f"  {requirement.what:<62} {requirement.line(figures, notes)}")
    if options.json:
        content = {
            **figures,
            "threads": facts["threads"],
            "cpu": facts["processor"],
            "machine": facts,
            "required": [
                {"what": r.what, "value": r.value(figures), "wanted": r.wanted, "kept": r.kept(figures)}
                for r in report.REQUIREMENTS
            ],
            "results": {name: section.rows for name, section in sections.items()},
            "notes": notes,
        }
        text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
        options.json.write_text(text + "\n", encoding="utf-8")
    if options.page:
        plot = options.page.parent / "images" / f"{options.page.stem}.png"
        report.plot_volumes([row for row in sections["volume"].rows if "size" in row], plot)
        content = report.page(facts, sections, figures, notes, f"images/{plot.name}")
        options.page.write_text(content, encoding="utf-8")
    return 0


def settings_of(options) -> Settings:
    """What the options ask for."""
    data = options.data if (options.data / "volumes" / "patient_fdg").is_dir() else None
    if not options.quick:
        return Settings(repeats=options.repeats or 10, data=data)
    volumes = tuple(shape for shape in Settings.volumes if shape[0] <= LARGEST_OF_QUICK[0])
    return Settings(repeats=options.repeats or 4, long_repeats=1, volumes=volumes, data=data)


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    result = argparse.ArgumentParser(
        prog="funfuse.py benchmark",
        description="Measure on this computer how fast FunFuse is. All of it takes about half an hour.",
    )
    result.add_argument("--only", nargs="+", choices=list(BENCHMARKS), help="some of the measurements")
    result.add_argument("--quick", action="store_true", help="fewer repeats, and no large volumes")
    result.add_argument("--repeats", type=_count, help="of what does not take long (default: 10; quick: 4)")
    result.add_argument("--json", type=Path, metavar="FILE", help="write the figures for machines, too")
    result.add_argument("--page", type=Path, metavar="FILE", help="write docs/speed.md and its picture anew")
    result.add_argument(
        "--data",
        type=Path,
        default=DATA,
        metavar="DIR",
        help="folder with volumes/patient_fdg, if there is one",
    )
    return result


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return value
