"""``funfuse.py study cohort``: a cohort that is killed again and again, for docs/cohorts.md."""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Dict, List

import pandas as pd

from FunFuseSlicer.Logic.errors import FunFuseError, InputError

from ..benchmarks.timing import machine
from ..cohort.derivatives import LOGS
from ..installation import checkout
from ..paths import input_path
from ..workflow.progress import count
from . import add_docs
from .cohort_data import make

# All but pictures, which are drawn by Slicer's views and take as long as the rest on heads that coarse.
OPTIONS = ("--anat", "T1w", "T2w", "--outputs", "registered", "fused", "parts", "colored")
PAUSE = 1.5  # seconds, in which the processes of a killed one see that it is gone
SHARED_ON = 12  # participants that are done by one process, and by two


def main(arguments: List[str]) -> int:
    """Make the data set, run it in all ways, and write what was found."""
    parser = argparse.ArgumentParser(
        prog="funfuse.py study cohort",
        description="Make a data set of displaced heads, run it undisturbed and killed again and again, and "
        "compare; then with one process and with two.",
    )
    parser.add_argument(
        "--data", type=input_path, default=Path(), metavar="DIR", help="folder with 'volumes'"
    )
    add_docs(parser)
    parser.add_argument("--number", type=int, default=60, help="participants (default 60)")
    parser.add_argument("--kills", type=int, default=10, help="how often it is killed (default 10)")
    parser.add_argument("--seed", type=int, default=1, help="of the moments (default 1)")
    options = parser.parse_args(arguments)
    volumes = options.data / "volumes"
    if not volumes.is_dir():
        raise InputError(f"{options.data} has no folder 'volumes': give the data folder.")
    if options.number < 12 or options.kills < 0:
        raise InputError("--number must be at least 12, and --kills 0 or more.")
    with tempfile.TemporaryDirectory() as work:
        study = Study(Path(work), volumes, options.number)
        facts, starts = study.measure(options.kills, random.Random(options.seed))
    folder = options.docs / "data"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cohort_facts.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    for name, rows in (("broken", study.broken_rows), ("starts", starts), ("first", study.first_rows)):
        pd.DataFrame(rows).to_csv(folder / f"cohort_{name}.csv", index=False)
    return 0 if facts["same_bytes"] and not facts["done_twice"] and facts["planted_rank"] <= 5 else 1


class Study:
    """The data set, and what was found out with it; all in a folder of its own."""

    def __init__(self, work: Path, volumes: Path, number: int):
        self.work, self.volumes, self.number = work, volumes.absolute(), number
        self.broken, self.planted, self.transforms = make(work / "data", volumes, number)
        self.broken_rows: List[dict] = []
        self.first_rows: List[dict] = []

    def measure(self, kills: int, moments: random.Random):
        """All of it: facts, and a row for each start of the run that was killed."""
        whole, killed = self.work / "whole", self.work / "killed"
        began = time.monotonic()
        code = self.run(whole, 2)
        seconds = time.monotonic() - began
        print(f"undisturbed {seconds:.0f} s, exit code {code}", flush=True)
        starts = [self.killed_run(killed, kill, kills, seconds, moments) for kill in range(kills)]
        self.run(killed, 2)
        starts.append({"start": kills + 1, "killed_after": "to the end", "done": len(ended(killed))})
        print(f"killed {count(kills, 'time')}", flush=True)
        made, again = (contents(folder) for folder in (whole, killed))
        done = ended(killed)
        table = self.group(whole)
        images = [line for lines in logs(whole).values() for line in lines if line["event"] == "ended"]
        shares = {processes: self.share(processes) for processes in (1, 2)}
        alone = [contents(self.work / f"by {processes}") for processes in shares]
        full = self.full_size()
        facts = {
            "participants": self.number,
            "broken": len(self.broken),
            "named": int(sum(row["told"] != "" for row in self.broken_rows)),
            "exit_code": code,
            "kills": kills,
            "interrupted": sum(len(lines) for lines in logs(killed).values()) - 2 * len(done),
            "done_twice": len(done) - len(set(done)),
            "same_bytes": made == again,
            "same_by_one_and_two": alone[0] == alone[1],
            "files": len(made),
            "megabytes": round(sum(map(len, made.values())) / 1e6, 1),
            "planted": self.planted,
            "planted_rank": int(table["rank"][table.participant == self.planted].fillna(len(table)).iloc[0]),
            "planted_told": str(table.notes[table.participant == self.planted].iloc[0]),
            "results": int((table.outcome == "done").sum()),
            "seconds": round(seconds, 1),
            "seconds_each": round(float(pd.Series([line["seconds"] for line in images]).median()), 2),
            "memory_mb": max((line.get("peak_mb") or 0 for line in images), default=0),
            "shared_on": len(self.whole_ones()),
            "one_process": round(shares[1], 1),
            "two_processes": round(shares[2], 1),
            "speedup": round(shares[1] / shares[2], 2),
            "full_seconds": full["seconds"],
            "full_memory_mb": full["peak_mb"],
            **machine(),
        }
        return facts, starts

    def command(self, out: Path, processes: int, *more: str) -> List[str]:
        """What a user would type."""
        its = [sys.executable, "-m", "funfuse_cli", "bids", str(self.work / "data"), str(out), "participant"]
        return [*its, "--n-procs", str(processes), "--transforms", str(self.transforms), *OPTIONS, *more]

    def run(self, out: Path, processes: int, *more: str) -> int:
        """To the end; the exit code.

        :raises FunFuseError: neither 0 nor 1.
        """
        command = self.command(out, processes, *more)
        done = subprocess.run(command, cwd=checkout(), capture_output=True, text=True, encoding="utf-8")
        if done.returncode not in (0, 1):
            raise FunFuseError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr[-500:]}")
        return done.returncode

    def killed_run(self, out: Path, kill: int, kills: int, seconds: float, moments: random.Random) -> dict:
        """Begin, or go on, and kill it at a random moment of its share of the time."""
        moment = moments.uniform(0.2, 1.8) * seconds / (kills + 1)
        began = time.monotonic()
        process = subprocess.Popen(
            self.command(out, 2), cwd=checkout(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            process.wait(moment)
        except subprocess.TimeoutExpired:
            process.send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))
            process.wait()
        after = time.monotonic() - began
        time.sleep(PAUSE)
        return {"start": kill + 1, "killed_after": round(after, 1), "done": len(ended(out))}

    def whole_ones(self) -> List[str]:
        """The labels of some participants with nothing wrong on purpose."""
        wrong = {*self.broken, self.planted}
        labels = [f"{n:03d}" for n in range(1, self.number + 1)]
        return [label for label in labels if f"sub-{label}" not in wrong][:SHARED_ON]

    def share(self, processes: int) -> float:
        """Seconds for some whole participants, by so many processes."""
        began = time.monotonic()
        command = self.command(
            self.work / f"by {processes}", processes, "--participant-label", *self.whole_ones()
        )
        at = command.index("--transforms")
        subprocess.run([*command[:at], *command[at + 2 :]], cwd=checkout(), check=True, capture_output=True)
        return time.monotonic() - began

    def full_size(self) -> dict:
        """The last line of the log of a patient whose images are as they were taken, with all outputs."""
        patient, out = self.volumes / "patient_fdg", self.work / "full"
        table = self.work / "pairs.csv"
        table.write_text(
            f"id,mri,pet\n1,{patient / 'T1.nii.gz'},{patient / 'FDG.nii.gz'}\n", encoding="utf-8"
        )
        command = [
            sys.executable,
            "-m",
            "funfuse_cli",
            "bids",
            str(out),
            "participant",
            "--pairs",
            str(table),
        ]
        subprocess.run([*command, "--n-procs", "1"], cwd=checkout(), check=True, capture_output=True)
        return logs(out)["sub-1"][-1]

    def group(self, out: Path) -> pd.DataFrame:
        """The table of the group; also fills the rows about what is broken, and about the first ones."""
        command = [sys.executable, "-m", "funfuse_cli", "bids", str(self.work / "data"), str(out), "group"]
        subprocess.run([*command, *OPTIONS[:3]], cwd=checkout(), capture_output=True)
        table = pd.read_csv(out / "group.csv", keep_default_na=False, na_values={"rank": [""]})
        for name, what in self.broken.items():
            (row,) = table[table.participant == name].to_dict("records")
            told = row["notes"] if row["outcome"] != "done" else ""
            self.broken_rows.append({"participant": name, "what": what, "told": told})
        columns = ["rank", "participant", "judgement", "suspicion", "because", "mi_after", "shift_mm"]
        self.first_rows = table[columns].head(5).to_dict("records")
        return table


def logs(out: Path) -> Dict[str, List[dict]]:
    """The lines of each participant's log."""
    return {
        path.stem: [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        for path in sorted((out / LOGS).glob("sub-*.jsonl"))
    }


def ended(out: Path) -> List[str]:
    """The participants whose work came to its end, once for each time."""
    return [name for name, lines in logs(out).items() for line in lines if line["event"] == "ended"]


def contents(out: Path) -> Dict[str, bytes]:
    """All files of the participants, and those that describe the data set."""
    return {
        os.path.relpath(path, out): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and LOGS not in path.relative_to(out).parts and not path.name.startswith("group.")
    }
