"""``evaluate`` as a user calls it: one fused image, and methods over a folder of pairs."""

import csv
import json
import math

import numpy as np
import pytest
import SimpleITK as sitk

from funfuse_cli.__main__ import main
from funfuse_cli.commands.other_programs import read_others
from funfuse_cli.training.pair import Pair
from funfuse_cli.training.pairs import read_pairs
from funfuse_cli.workflow import evaluation_report as report
from funfuse_cli.workflow.paired_comparison import comparisons, intervals
from FunFuseSlicer.Logic import methods
from FunFuseSlicer.Logic.errors import InputError
from FunFuseSlicer.Logic.fusion.models import model_names
from FunFuseSlicer.Logic.metrics import METRICS, SETS, evaluate_pair
from FunFuseSlicer.Logic.output_folder import LIST
from FunFuseSlicer.Logic.volumes.geometry import Volume, axial_order, to_axial, volume_to_sitk
from FunFuseSlicer.Logic.volumes.preprocessing import clean, normalize
from Testing.conftest import head_phantom

KEYS = [
    *METRICS,
    "b_M",
    "b_P",
    "excess",
    "SSIM_MRI",
    "SSIM_PET",
    "MSE_MRI",
    "MSE_PET",
    "loss",
    "rank_fused",
]
METHODS = [f"FunFuse {name}" for name in model_names()]
METHODS += [method.label for method in methods.METHODS.values() if method.problem() is None]
METHODS += ["copy of the MRI", "copy of the PET"]


def gray_levels(volume, k):
    """Slice k as an 8-bit picture."""
    return np.uint8(np.clip(volume.array[k] / volume.array.max() * 255, 0, 255))


def write(array, path):
    """A picture or a volume without a place."""
    sitk.WriteImage(sitk.GetImageFromArray(array), str(path))
    return path


def evaluate(*arguments):
    return main(["evaluate", *map(str, arguments)])


def refused(capsys, *arguments) -> str:
    """The one line on standard error; nothing else is printed, and the exit code is 2."""
    assert evaluate(*arguments) == 2
    out, error = capsys.readouterr()
    assert out == "" and error.count("\n") == 1 and error.startswith("error: "), error
    return error


def named(mri, pet, fused):
    return ["--mri", mri, "--pet", pet, "--fused", fused]


@pytest.fixture
def pictures(tmp_path):
    """(options that name three pictures, their arrays)."""
    arrays = [gray_levels(volume, 6) for volume in head_phantom((12, 48, 44))]
    arrays.append(np.uint8(arrays[0] * 0.6 + arrays[1] * 0.4))
    paths = [write(array, tmp_path / f"{name}.png") for name, array in zip(("mri", "pet", "fused"), arrays)]
    return named(*paths), arrays


def volumes(folder, direction=None):
    """A small pair and its average on disk: (options, volumes)."""
    mri, pet = head_phantom((5, 46, 42), (3.0, 3.0, 9.0))
    empty = np.zeros_like(mri.array[:1])
    grid = mri.ijk_to_ras
    mri, pet = (Volume(np.concatenate([empty, v.array]), grid, v.name) for v in (mri, pet))
    fused = Volume((normalize(mri.array) * 0.5 + normalize(pet.array) * 0.52).astype(np.float32), grid)
    result = [mri, pet, fused]
    if direction is not None:
        # The same head, stored along other axes.
        axes, turn = direction
        result = [Volume(np.ascontiguousarray(v.array.transpose(axes)), grid @ turn) for v in result]
    paths = [folder / name for name in ("T1.nii.gz", "FDG.nrrd", "fused.nrrd")]
    for volume, path in zip(result, paths):
        sitk.WriteImage(volume_to_sitk(volume), str(path))
    return named(*paths), result


def test_json_of_pictures_is_evaluate_pair(pictures, capsys):
    options, arrays = pictures
    assert evaluate(*options, "--json", "--lambda", 0.3) == 0
    out, error = capsys.readouterr()
    values = json.loads(out)
    assert list(values) == KEYS and out.count("\n") == 1 and error == ""
    assert values == pytest.approx(evaluate_pair(*arrays, lam=0.3), abs=1e-12)


def test_pictures_of_16_bits_and_flat_volumes_are_normalized(pictures, tmp_path, capsys):
    options, (mri, pet, fused) = pictures
    expected = [255.0 * normalize(clean(Volume(array[None]))[0].array)[0] for array in (mri, pet)]
    expected = evaluate_pair(*expected, fused)
    paths = [write(np.uint16(mri) * 16, tmp_path / "m12.png"), write(pet, tmp_path / "p.png")]
    assert evaluate(*named(*paths, options[5]), "--json") == 0
    assert json.loads(capsys.readouterr().out) == pytest.approx(expected, abs=1e-4)
    flat = [write(array[None], tmp_path / f"{n}.nrrd") for n, array in enumerate((mri, pet, fused))]
    assert evaluate(*named(*flat), "--json") == 0
    values = json.loads(capsys.readouterr().out)
    assert [row["slice"] for row in values.pop("slices")] == [0]
    assert values == pytest.approx(expected, abs=1e-4)
    paths = [write(np.uint16(mri) * 257, tmp_path / "m16.png"), write(pet, tmp_path / "p.png")]
    assert evaluate(*named(*paths, options[5]), "--json") == 0
    expected = evaluate_pair(mri, pet, fused)
    assert json.loads(capsys.readouterr().out) == pytest.approx(expected, abs=1e-4), "all 16 bits are used"


def test_the_fields_metrics_are_chosen_and_what_is_not_defined_is_said(pictures, capsys):
    options, (mri, pet, fused) = pictures
    for chosen in ("field", "all"):
        assert evaluate(*options, "--metrics", chosen, "--json") == 0
        values = json.loads(capsys.readouterr().out)
        assert values == pytest.approx(evaluate_pair(mri, pet, fused, metrics=SETS[chosen]), abs=1e-12)
        assert list(values)[: len(SETS[chosen])] == list(SETS[chosen])
    copy = named(options[1], options[3], options[1])
    assert evaluate(*copy, "--metrics", "field") == 0
    out = capsys.readouterr().out
    line = next(line for line in out.splitlines() if line.startswith("SCD"))
    assert line.split()[:5] == ["SCD", "–", "not", "defined", "where"] and "unfused copy" in line
    assert "excess" in out and "Qabf" in out and "Q_G" not in out
    assert evaluate(*copy, "--metrics", "field", "--json") == 0
    assert json.loads(capsys.readouterr().out)["SCD"] is None


def test_table_says_what_the_metrics_reward(pictures, tmp_path, capsys):
    options, arrays = pictures
    out = tmp_path / "Ausgabe ü"
    assert evaluate(*options, "--out", out) == 0
    text = capsys.readouterr().out
    value = evaluate_pair(*arrays)["Q_VIFF"]
    assert all(key in text for key in KEYS) and f"{value:.4f}" in text
    assert "copy of the MRI" in text and "not black" in " ".join(text.split())
    assert {path.name for path in out.iterdir()} == {"per_slice.csv", LIST}


def test_volume_is_the_mean_of_its_filled_slices(tmp_path, capsys):
    options, (mri, pet, fused) = volumes(tmp_path)
    out = tmp_path / "out"
    out.mkdir()
    (out / "fused.nrrd").write_text("of another command")
    assert evaluate(*options, "--json", "--out", out) == 0
    values = json.loads(capsys.readouterr().out)
    slices = values.pop("slices")
    assert list(values) == KEYS
    order = axial_order(mri.ijk_to_ras)
    stacks = [to_axial(255 * normalize(clean(volume)[0].array), order) for volume in (mri, pet)]
    stacks.append(to_axial(np.clip(fused.array * 255, 0, 255), order))
    filled = [k for k in range(6) if stacks[0][k].any() or stacks[1][k].any()]
    assert [row["slice"] for row in slices] == filled and 0 < len(filled) < 6
    for row in slices:
        k = row.pop("slice")
        expected = evaluate_pair(*(stack[k] for stack in stacks))
        assert row == pytest.approx(expected, abs=1e-6)
    for key in KEYS:
        assert values[key] == pytest.approx(np.mean([row[key] for row in slices]), abs=1e-12)
    with (out / "per_slice.csv").open(encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert [int(row["slice"]) for row in table] == filled
    assert [float(row["Q_G"]) for row in table] == [row["Q_G"] for row in slices]
    assert {path.name for path in out.iterdir()} == {"fused.nrrd", "per_slice.csv", LIST}


def test_slices_are_axial_whatever_the_storage(tmp_path, capsys):
    turn = np.eye(4)[:, [2, 1, 0, 3]]  # slices along the patient's left-right axis
    results = []
    for name, direction in (("axial", None), ("sagittal", ((2, 1, 0), turn))):
        (tmp_path / name).mkdir()
        options, _ = volumes(tmp_path / name, direction)
        assert evaluate(*options, "--json") == 0
        results.append(json.loads(capsys.readouterr().out))
    assert results[0].pop("slices")[0] == pytest.approx(results[1].pop("slices")[0], abs=1e-6)
    assert results[0] == pytest.approx(results[1], abs=1e-6)


def test_fused_as_gray_levels_and_frames(tmp_path, capsys):
    options, (mri, pet, fused) = volumes(tmp_path)
    assert evaluate(*options, "--json") == 0
    expected = json.loads(capsys.readouterr().out)
    levels = Volume(np.uint8(np.clip(fused.array * 255, 0, 255) + 0.5), fused.ijk_to_ras)
    sitk.WriteImage(volume_to_sitk(levels), str(tmp_path / "fused.nrrd"))
    frames = [volume_to_sitk(Volume(pet.array * factor, pet.ijk_to_ras)) for factor in (0, 1)]
    sitk.WriteImage(sitk.JoinSeries(frames), str(tmp_path / "dynamic.nii.gz"))
    options[3] = tmp_path / "dynamic.nii.gz"
    assert evaluate(*options, "--json", "--frame", 1) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["SSIM_PET"] == pytest.approx(expected["SSIM_PET"], abs=0.01)
    assert "frame 7" in refused(capsys, *options, "--frame", 7)


def test_nan_becomes_null(pictures, tmp_path, capsys):
    options, (mri, pet, _) = pictures
    options[3] = write(0 * pet, tmp_path / "black.png")
    assert evaluate(*options, "--json") == 0
    out = capsys.readouterr().out
    assert json.loads(out)["rank_fused"] is None and "NaN" not in out
    assert evaluate(*options, "--out", tmp_path / "out") == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("rank_fused"))
    assert line.split()[1] == "–"
    assert (tmp_path / "out" / "per_slice.csv").read_text().rstrip("\n").endswith(",")


def test_mean_leaves_out_what_is_not_defined():
    rows = [{"slice": 0, "b_P": 1.0, "ms": 1.0}, {"slice": 1, "b_P": math.nan, "ms": 9.0}]
    rows.append({"slice": 2, "b_P": 2.0, "ms": 2.0})
    assert report.mean_of(rows) == {"b_P": 1.5, "ms": 2.0}
    assert math.isnan(report.mean_of(rows[1:2])["b_P"])


def test_images_that_do_not_fit_are_named(pictures, tmp_path, capsys):
    options, (mri, _, _) = pictures
    missing = [*options[:5], tmp_path / "none.png"]
    assert "none.png" in refused(capsys, *missing)
    other = write(mri[:-1], tmp_path / "other.png")
    message = refused(capsys, *options[:5], other)
    assert "other.png has 47 × 44" in message and "mri.png has 48 × 44" in message
    small = write(mri[:40], tmp_path / "small.png")
    assert "40 × 44 pixels, the metrics need 41 × 41" in refused(capsys, *named(small, small, small))


def test_volumes_that_do_not_fit_are_named(tmp_path, capsys):
    options, (mri, pet, fused) = volumes(tmp_path)
    shifted = pet.ijk_to_ras.copy()
    shifted[0, 3] += 1
    sitk.WriteImage(volume_to_sitk(Volume(pet.array, shifted)), str(tmp_path / "moved.nrrd"))
    moved = tmp_path / "moved.nrrd"
    message = refused(capsys, *named(options[1], moved, options[5]))
    assert "moved.nrrd" in message and "T1.nii.gz" in message and "pet_registered.nrrd" in message
    message = refused(
        capsys, *named(options[1], options[3], moved), "--out", tmp_path / "new" / "out", "--json"
    )
    assert "moved.nrrd" in message and "on the MRI's grid" in message
    assert not (tmp_path / "new").exists()
    wrong = (fused.array * 1000, np.int16(fused.array * 1000), fused.array * np.nan)
    for array, word in zip(wrong, ("above 1", "from 0 to", "NaN")):
        sitk.WriteImage(volume_to_sitk(Volume(array, mri.ijk_to_ras)), options[5])
        message = refused(capsys, *options)
        assert "fused.nrrd" in message and word in message
    black = Volume(0 * pet.array, pet.ijk_to_ras)
    sitk.WriteImage(volume_to_sitk(black), options[3])
    assert "FDG.nrrd" in refused(capsys, *options)


@pytest.mark.parametrize(
    "arguments, word",
    [
        ([], "--pairs"),
        (["--mri", "a.png", "--fused", "f.png"], "--pet is not given"),
        (["--pairs", "d"], "--out"),
        (["--pairs", "d", "--out", "o", "--json"], "--json"),
        (["--pairs", "d", "--out", "o", "--mri", "a.png"], "--mri"),
        (["--pairs", "no-such-folder", "--out", "o"], "no-such-folder"),
        (["--pairs", "d", "--out", "o", "--lambda", "1.5"], "--lambda must lie"),
        (["--mri", "a.png", "--pet", "b.png", "--fused", "f.png", "--masked"], "--masked need"),
        (["--mri", "a.png", "--pet", "b.png", "--fused", "f.png", "--others", "a=b"], "--pairs"),
    ],
)
def test_options_that_do_not_go_together(arguments, word, capsys):
    assert word in refused(capsys, *arguments)


def test_folder_of_pairs(tmp_path, capsys):
    data, out = tmp_path / "data", tmp_path / "out"
    data.mkdir()
    for number in range(2):
        mri, pet = head_phantom((12, 48, 44), seed=number)
        write(gray_levels(mri, 5 + number), data / f"{number}_mri.png")
        write(gray_levels(pet, 5 + number), data / f"{number}_pet.png")
    out.mkdir()
    (out / "report.json").write_text("of another command")
    assert evaluate("--pairs", data, "--out", out) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in METHODS) and "What the metrics reward" in text
    written = {"table.csv", "table.md", "per_pair.csv", "metrics.png", "intervals.csv", "comparisons.csv"}
    assert {path.name for path in out.iterdir()} == {"report.json", LIST} | written
    with (out / "table.csv").open(encoding="utf-8") as file:
        table = {row["method"]: row for row in csv.DictReader(file)}
    with (out / "per_pair.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(table) == METHODS and len(rows) == 2 * len(METHODS)
    assert list(table["average"]) == ["method", *KEYS, "ms"]
    for name in METHODS:
        for key in KEYS:
            values = [float(row[key]) for row in rows if row["method"] == name]
            assert float(table[name][key]) == pytest.approx(np.mean(values), abs=1e-12)
    copy = {key: float(value or "nan") for key, value in table["copy of the MRI"].items() if key in KEYS}
    assert copy["b_P"] == pytest.approx(0, abs=1e-6) and copy["b_M"] == pytest.approx(1, abs=1e-6)
    assert copy["SSIM_MRI"] == pytest.approx(1) and copy["MSE_MRI"] == 0
    assert float(table["copy of the PET"]["rank_fused"]) == pytest.approx(1)
    assert float(table["average"]["b_P"]) == pytest.approx(0.5, abs=0.02)
    assert float(table["FunFuse faithful"]["ms"]) > 0 and table["copy of the MRI"]["ms"] == ""
    markdown = (out / "table.md").read_text(encoding="utf-8")
    assert all(f"| {name} |" in markdown for name in METHODS) and "| – |" in markdown
    from PIL import Image

    assert min(Image.open(out / "metrics.png").size) > 500
    write(gray_levels(mri, 5)[:40], data / "s_mri.png")
    write(gray_levels(pet, 5)[:40], data / "s_pet.png")
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    assert "41 × 41" in refused(capsys, "--pairs", data, "--out", out)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_methods_without_their_package_are_left_out_with_a_note(tmp_path, capsys, monkeypatch):
    odd = methods.Method("odd", "Odd", "", np.maximum, needs=(("no_such_module", "no-such-package"),))
    monkeypatch.setattr(methods, "METHODS", {"odd": odd, "average": methods.METHODS["average"]})
    data, out = tmp_path / "data", tmp_path / "out"
    data.mkdir()
    for name, volume in zip(("mri", "pet"), head_phantom((12, 48, 44))):
        write(gray_levels(volume, 5), data / f"0_{name}.png")
    assert evaluate("--pairs", data, "--out", out) == 0
    said = capsys.readouterr()
    assert "note: Odd needs the Python package no-such-package" in said.err and "average" in said.out
    with (out / "table.csv").open(encoding="utf-8") as file:
        names = [row["method"] for row in csv.DictReader(file)]
    assert "average" in names and "Odd" not in names
    assert "Left out: Odd needs" in (out / "table.md").read_text(encoding="utf-8")


# --- Other programs -----------------------------------------------------------------------------------


@pytest.fixture
def compared(tmp_path, monkeypatch):
    """(folder of seven pairs, folder of averages with a veil, by another program); two methods are here."""
    monkeypatch.setattr(methods, "METHODS", {name: methods.METHODS[name] for name in ("average", "maximum")})
    monkeypatch.setattr("FunFuseSlicer.Logic.fusion.models.model_names", lambda: model_names()[:1])
    data, veiled = tmp_path / "pairs", tmp_path / "ihre Bilder"
    data.mkdir(), veiled.mkdir()
    for number in range(7):
        mri, pet = (gray_levels(volume, 5) for volume in head_phantom((12, 48, 44), seed=number))
        mri[number : number + 3] = 0  # of another head
        write(mri, data / f"{number}_mri.png"), write(pet, data / f"{number}_pet.png")
        write(np.uint8((mri + 1.0 + pet) // 2 * 0.9 + 9), veiled / f"{number}.png")
    return data, veiled


def read_picture(path):
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def read_csv(path):
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def number(text):
    """An empty cell is no number."""
    return float(text or "nan")


def test_other_programs_stand_beside_the_methods(compared, tmp_path, capsys):
    data, veiled = compared
    results, long = [], "Program with a rather long name"
    for name, masked in (("written", []), ("masked", ["--masked"])):
        out = tmp_path / name
        others = ["--others", f"{long}={veiled}", "--others", f"Other = {veiled}"]
        assert evaluate("--pairs", data, "--out", out, "--metrics", "field", *others, *masked) == 0
        results.append({row["method"]: row for row in read_csv(out / "table.csv")})
        text = capsys.readouterr().out
        first = text.split("\n\n")[1].splitlines()
        assert max(map(len, text[: text.index("results  ")].splitlines())) <= 80
        assert first[0].split() == [*SETS["field"], "b_P", "rank"] and first[-1].startswith("copy of the PET")
        assert f"{long}\n" in text and "SCD is not defined where" in text
        assert ("0 where both sources are 0" in text) == bool(masked)
    written, masked = results
    assert list(written)[-4:] == [long, "Other", "copy of the MRI", "copy of the PET"]
    assert {**written["Other"], "method": long} == written[long]
    pairs = [[read_picture(data / f"{n}_{kind}.png") for kind in ("mri", "pet")] for n in range(7)]
    images = [read_picture(veiled / f"{n}.png") for n in range(7)]
    values = [evaluate_pair(*pair, image, metrics=SETS["field"]) for pair, image in zip(pairs, images)]
    assert float(written["Other"]["SSIM"]) == pytest.approx(np.mean([value["SSIM"] for value in values]))
    assert float(masked["Other"]["SSIM"]) > float(written["Other"]["SSIM"]) + 0.15, "the veil is gone"
    assert {**written["average"], "ms": 0} == {**masked["average"], "ms": 0} and written["Other"]["ms"] == ""
    assert written["copy of the MRI"]["SCD"] == "" and float(written["copy of the MRI"]["b_P"]) < 1e-9


def test_intervals_and_tests_are_written_and_told(compared, tmp_path, capsys):
    data, veiled = compared
    out = tmp_path / "out"
    assert evaluate("--pairs", data, "--out", out, "--metrics", "all", "--others", f"Veiled={veiled}") == 0
    words = ("method", "patient", "image")
    rows = [
        {name: value if name in words else number(value) for name, value in row.items()}
        for row in read_csv(out / "per_pair.csv")
    ]
    assert [row["image"] for row in rows[::6]] == [str(pair) for pair in range(7)]
    for name, expected in (
        ("intervals", intervals(rows, [*SETS["all"], "b_P", "rank_fused", "excess"])),
        ("comparisons", comparisons(rows, list(SETS["all"]))),
    ):
        found = read_csv(out / f"{name}.csv")
        assert len(found) == len(expected) > 0
        for row, other in zip(found, expected):
            for key, value in other.items():
                if isinstance(value, str):
                    assert row[key] == value
                else:
                    assert number(row[key]) == pytest.approx(value, nan_ok=True)
    said = " ".join(capsys.readouterr().out.split())
    assert "7 patients are too few to tell any of 6 methods apart" in said


def test_what_is_wrong_with_other_images_is_said(compared, tmp_path, capsys):
    data, veiled = compared

    def said(*others):
        words = [word for other in others for word in ("--others", other)]
        return refused(capsys, "--pairs", data, "--out", tmp_path / "out", *words)

    assert 'in --others "NAME=FOLDER"' in said("Theirs")
    assert "no-such-folder is no folder" in said("Theirs=no-such-folder")
    assert "given twice" in said(f"Theirs={veiled}", f"Theirs={veiled}")
    assert "a method here has this name" in said(f"maximum={veiled}")
    picture = sitk.ReadImage(str(veiled / "3.png"))
    write(sitk.GetArrayFromImage(picture)[:-1], veiled / "3.png")
    message = said(f"Theirs={veiled}")
    assert "3.png has 47 × 44 pixels, the pair 3 48 × 44" in message and "one size" in message
    sitk.WriteImage(picture, str(veiled / "3.tif"))
    assert "3.png and 3.tif are both of the pair 3" in said(f"Theirs={veiled}")
    (veiled / "3.png").unlink(), (veiled / "3.tif").write_text("no picture")
    assert "3.tif cannot be read as an image" in said(f"Theirs={veiled}")
    sitk.WriteImage(sitk.Cast(picture, sitk.sitkFloat32), str(veiled / "3.tif"))
    assert "3.tif: give a picture of 8 bits" in said(f"Theirs={veiled}")
    for number in range(5):
        next(veiled.glob(f"{number}.*")).unlink()
    assert "lacks 5 of 7 fused images: 0.png, 1.png, 2.png, …. Name each" in said(f"Theirs={veiled}")


def test_other_images_are_found_by_name_patient_and_luminance(tmp_path, capsys):
    image = np.arange(12, dtype=np.uint8).reshape(3, 4)
    colored = np.stack([image, 2 * image, 3 * image], axis=-1)
    sitk.WriteImage(sitk.GetImageFromArray(colored, isVector=True), str(tmp_path / "one.PNG"))
    (tmp_path / "anna").mkdir()
    write(image, tmp_path / "anna" / "two.tiff")
    pairs = [Pair("bob", image, image, "one"), Pair("anna", image, image, "two")]
    one, two = read_others([f"A={tmp_path}"], pairs)["A"]
    assert (one == np.floor(colored @ [0.299, 0.587, 0.114] + 0.5)).all() and (two == image).all()
    write(np.uint16(image) * 257, tmp_path / "two.png")
    alike = [*pairs, Pair("carl", image, image, "two")]
    with pytest.raises(InputError, match="lacks 1 of 3 fused images: carl/two.png"):
        read_others([f"A={tmp_path}"], alike)
    assert (read_others([f"A={tmp_path}"], [alike[2]])["A"][0] == image).all(), "of 16 bits"
    with pytest.raises(InputError, match="1 pair of 2 come from volumes"):
        read_others([f"A={tmp_path}"], [pairs[0], Pair("bob", image, image)])


def test_pairs_know_the_name_of_their_pictures(tmp_path):
    image = np.full((48, 44), 100, np.uint8)
    for kind in ("mri", "pet"):
        (tmp_path / "anna" / kind).mkdir(parents=True)
        write(image, tmp_path / "anna" / kind / "017.png")
        write(image, tmp_path / f"A.b_{kind}.png")
    assert [(pair.patient, pair.name) for pair in read_pairs([tmp_path])] == [("anna", "017"), ("A.b", "A.b")]
