"""Whole cohorts by the command: killed, resumed, judged, valid."""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st

from funfuse_cli.__main__ import main
from funfuse_cli.cohort import group
from funfuse_cli.cohort.group import oddities, robust_z
from Testing import cohorts
from Testing.conftest import ROOT

# Neither registered nor with pictures: what takes long is tested elsewhere.
FAST = ("--no-register", "--outputs", "registered", "fused")
NUMBER = 4


def results(folder) -> dict:
    """All bytes but for those of the log."""
    paths = [path for path in Path(folder).rglob("*") if path.is_file()]
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in paths if "logs" not in path.parts
    }


def ended(folder) -> list:
    """The participants whose work came to its end, once for each time."""
    lines = [
        (path.stem, json.loads(line))
        for path in sorted(Path(folder, "logs").glob("sub-*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    return [name for name, line in lines if line["event"] == "ended"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A cohort, and what an undisturbed run makes of it: some participants are broken."""
    root = cohorts.data_set(tmp_path_factory.mktemp("cohort") / "data", NUMBER)
    mri, pet = cohorts.head(8)
    cohorts.add_image(root, "sub-08_trc-FDG", pet)
    cohorts.add_anatomy(root, "sub-09", mri)
    cohorts.add_image(root, "sub-09_trc-FDG", pet.with_array(pet.array * 0))
    cohorts.add_anatomy(root, "sub-10", mri)
    out = root.parent / "out"
    code = main(["bids", str(root), str(out), "participant", "--n-procs", "2", *FAST])
    return root, out, code


def test_the_broken_ones_are_named_and_stop_nobody(undisturbed, capsys):
    root, out, code = undisturbed
    assert code == 1
    assert len(ended(out)) == NUMBER + 2
    assert main(["bids", str(root), str(out), "participant", *FAST]) == 1
    said = capsys.readouterr().out
    assert f"{NUMBER + 2} participants with PET, {NUMBER + 2} done before, 0 to do now" in said
    assert "sub-10: there is no PET image." in said
    assert "sub-08_trc-FDG: There is no T1w image of sub-08" in said
    assert '"sub-09_trc-FDG_pet" is zero everywhere' in said
    assert len(ended(out)) == NUMBER + 2, "refusals are remembered"


def test_a_validator_finds_no_error(undisturbed):
    program = Path(sys.executable).with_name("bids-validator-deno")
    if not program.is_file():
        pytest.skip("bids-validator-deno, of the extra test")
    done = subprocess.run(
        [program, "--json", str(undisturbed[1])], capture_output=True, text=True, encoding="utf-8"
    )
    issues = json.loads(done.stdout)["issues"]["issues"]
    assert [issue for issue in issues if issue["severity"] == "error"] == []
    assert json.loads(done.stdout)["summary"]["subjects"], "it did find the participants"


@pytest.mark.skipif(os.name == "nt", reason="needs signals of POSIX")
def test_killed_at_any_moment_it_does_what_is_missing_with_the_same_bytes(undisturbed):
    root, whole, _ = undisturbed
    out = root.parent / "killed"
    command = [sys.executable, "-m", "funfuse_cli", "bids", str(root), str(out), "participant", *FAST]
    # As soon as the first one is worked on, and after the first ones.
    for began, done in ((1, 0), (3, 2)):
        process = subprocess.Popen(
            [*command, "--n-procs", "1"], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while process.poll() is None and not (
            len(ended(out)) >= done and len(list(out.glob("logs/sub-*.jsonl"))) >= began
        ):
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        time.sleep(1.0)  # its workers see that it is gone
    assert 2 <= len(ended(out)) < NUMBER + 2
    assert main(["bids", str(root), str(out), "participant", "--n-procs", "2", *FAST]) == 1
    assert sorted(ended(out)) == sorted(ended(whole)), "nobody's work came to its end twice"
    assert results(out) == results(whole)
    shutil.rmtree(out)


@pytest.mark.skipif(os.name == "nt", reason="needs signals of POSIX")
def test_ctrl_c_ends_cleanly(undisturbed):
    root, _, _ = undisturbed
    out = root.parent / "stopped"
    command = [sys.executable, "-m", "funfuse_cli", "bids", str(root), str(out), "participant"]
    process = subprocess.Popen(
        [*command, "--n-procs", "1"], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    while process.poll() is None and not list(out.glob("logs/*")):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in errors
    assert [path for path in out.rglob(".funfuse*")] == [], "nothing half done is left"


def test_the_local_stand_in_of_a_cluster_gives_the_same_bytes(undisturbed):
    pytest.importorskip("submitit", reason="submitit, the extra slurm")
    root, whole, _ = undisturbed
    out = root.parent / "cluster"
    arguments = ["bids", str(root), str(out), "participant", "--participant-label", "02", *FAST]
    assert main([*arguments, "--slurm", "cluster=local", "timeout_min=5"]) == 0
    made = results(out)
    assert any(name.startswith("sub-02/pet/") for name in made)
    assert made.items() <= results(whole).items()


def test_dry_run_and_limit(undisturbed, tmp_path, capsys):
    root, _, _ = undisturbed
    arguments = ["bids", str(root), str(tmp_path / "out"), "participant", *FAST, "--limit", "1"]
    assert main([*arguments, "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "6 participants with PET, 0 done before, 1 to do now, 5 later" in said
    assert "sub-01_ses-2_trc-FDG: sub-01/ses-2/pet/" in said and "on sub-01/ses-1/anat/" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arguments, code, said",
    [
        (["{data}", "{data}", "participant"], 2, "holds the images"),
        (["{none}", "{out}", "participant"], 2, "is no BIDS data set"),
        (["{data}", "{out}", "group"], 2, "run the level participant first"),
        (["{data}", "{out}", "participant", "--omega", "7"], 2, "omega"),
        (["{data}", "{out}", "participant", "--slurm", "fast"], 2, '"fast" is no OPTION=VALUE'),
    ],
)
def test_what_cannot_be_is_said(undisturbed, tmp_path, capsys, arguments, code, said):
    (tmp_path / "none").mkdir()
    places = {"data": undisturbed[0], "none": tmp_path / "none", "out": tmp_path / "out"}
    assert main(["bids", *(argument.format(**places) for argument in arguments)]) == code
    errors = capsys.readouterr().err
    assert said in errors and errors.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["{data}", "participant"],
        ["{data}", "{out}", "both"],
        ["{data}", "{out}", "group", "--no"],
        # A reference region is one person's.
        ["{data}", "{out}", "participant", "--units", "SUVR"],
    ],
)
def test_a_wrong_call_shows_the_usage(undisturbed, tmp_path, capsys, arguments):
    places = {"data": undisturbed[0], "out": tmp_path / "out"}
    with pytest.raises(SystemExit) as end:
        main(["bids", *(argument.format(**places) for argument in arguments)])
    assert end.value.code == 2 and "usage: funfuse bids BIDS_DIR" in capsys.readouterr().err


# --- The group ----------------------------------------------------------------------------------------


def test_a_table_of_pairs_and_a_group_that_leads_to_the_wrong_transform(tmp_path):
    """Six good pairs, and one whose transform is wrong by 15 degrees and 20 mm: refused, or the first."""
    lines = ["id,mri,pet,transform"]
    for seed in range(1, 8):
        mri, pet = cohorts.head(seed)
        names = [
            cohorts.write(volume, tmp_path / f"{seed}_{volume.name}.nii.gz").name for volume in (mri, pet)
        ]
        wrong = sitk.Euler3DTransform((0, 0, 0), 0.0, 0.0, 0.26 if seed == 4 else 0.01 * seed)
        wrong.SetTranslation((20.0 if seed == 4 else 1.0, 0.0, 0.0))
        sitk.WriteTransform(wrong, str(tmp_path / f"{seed}.tfm"))
        lines.append(",".join([f"p{seed}", *names, f"{seed}.tfm"]))
    (tmp_path / "pairs.csv").write_text("\n".join(lines), encoding="utf-8")
    arguments = [str(tmp_path / "out"), "--pairs", str(tmp_path / "pairs.csv")]
    outputs = ("--outputs", "registered", "fused")
    work = main(["bids", arguments[0], "participant", *arguments[1:], "--n-procs", "2", *outputs])
    assert main(["bids", arguments[0], "group", *arguments[1:]]) == work
    with (tmp_path / "out" / "group.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    (wrong,) = [row for row in rows if row["participant"] == "sub-p4"]
    assert len(rows) == 7 and all(row["rank"] for row in rows) and wrong["rank"] == "1"
    if work == 1:
        assert wrong["outcome"] == "refused" and wrong["judgement"] == "wrong"
        assert "was not registered" in wrong["notes"]
    else:
        assert float(wrong["suspicion"]) > 5
    page = (tmp_path / "out" / "group.html").read_text(encoding="utf-8")
    assert page.count('<img src="data:image/jpeg') == 7 - work and wrong["image"] in page
    assert "default-src 'none'" in page and "<script" not in page
    assert not re.search(r'src="(?!data:)|href="(?!sub-|#)|url\(', page), "nothing comes from anywhere"


def test_the_group_lists_those_without_result(undisturbed, capsys):
    root, out, _ = undisturbed
    assert main(["bids", str(root), str(out), "group"]) == 1
    said = capsys.readouterr().out
    assert f"{NUMBER} images with result, 2 without" in said
    page = (out / "group.html").read_text(encoding="utf-8")
    assert "There is no T1w image of sub-08" in page and "There is no PET image." in page
    for name in ("group.csv", "group.html", "funfuse-files.json"):
        (out / name).unlink()


def rows_with(**figures):
    """A row for each value of some figures, all of one tracer."""
    length = len(next(iter(figures.values())))
    return [{"tracer": "FDG", **{name: values[n] for name, values in figures.items()}} for n in range(length)]


def test_the_bad_side_counts_and_a_small_cohort_is_not_compared():
    found = oddities(rows_with(mi_after=[0.5, 0.51, 0.49, 0.5, 0.9, 0.1]))
    assert found[5].z > 20 and found[5].figure == "mi_after"
    assert found[4].z < 0, "much information is nothing to look at"
    assert oddities(rows_with(mi_after=[0.5, 0.1])) == [None, None]
    mixed = rows_with(mi_after=[0.5] * 6 + [0.1])
    mixed[-1]["tracer"] = "PIB"
    assert oddities(mixed)[-1] is None, "it is the only one of its tracer"


def test_a_value_that_is_missing_is_no_oddity():
    found = oddities(rows_with(mi_after=["", 0.5, 0.5, 0.5, 0.5], shift_mm=[3.0, 3.0, 3.0, 3.0, 30.0]))
    assert found[0].figure == "shift_mm" and found[0].z == 0 and found[4].z > 5


values = st.lists(st.floats(-1e3, 1e3), min_size=5, max_size=40).map(np.array)


@given(values, st.floats(-1e3, 1e3))
def test_robust_z_knows_no_origin(array, shift):
    assert np.allclose(
        robust_z(array + shift, 0.01), robust_z(array, 0.01), atol=1e-6 * (1 + abs(shift)) / 0.01
    )


@given(values, st.floats(0.1, 10))
def test_robust_z_knows_no_unit(array, factor):
    assert np.allclose(robust_z(array * factor, 0.01 * factor), robust_z(array, 0.01), rtol=1e-6, atol=1e-6)


@given(values)
def test_half_of_a_cohort_is_within_a_robust_deviation(array):
    assert (
        np.mean(np.abs(robust_z(array, 1e-9)) <= 1 / group.CONSISTENT + 1e-9) >= 0.5 or np.ptp(array) < 1e-6
    )
