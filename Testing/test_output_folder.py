"""The folder for the results belongs to its user: whatever a command does there, their files stay."""

import hashlib
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from funfuse_cli.__main__ import main
from funfuse_cli.workflow.output_folder import VOLUMES, verify
from FunFuseSlicer.Logic import output_folder as folders
from FunFuseSlicer.Logic.errors import InputError, OutputError
from FunFuseSlicer.Logic.output_folder import LIST, REPORT, Claim, all_or_nothing, growing, one_file, put
from FunFuseSlicer.Logic.volumes.geometry import volume_to_sitk
from Testing.conftest import head_phantom
from Testing.test_terminal import environment

POSIX = pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")


def contents(folder: Path) -> dict:
    """name -> checksum, of all files below a folder."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def no_hidden(folder: Path) -> bool:
    return not [path for path in folder.iterdir() if path.name.startswith(".funfuse")]


def write(folder: Path, writes, inputs=(), overwrite=False, text="new") -> None:
    """A run that writes files whose content is a text."""
    with all_or_nothing(folder, Claim(list(writes), list(inputs), overwrite)) as work:
        for name in writes:
            (work / name).write_text(text)


# --- Whose file it is ---------------------------------------------------------------------------------


def test_results_appear_all_at_once_or_not_at_all(tmp_path):
    out = tmp_path / "out"
    for place in (out, tmp_path / "new" / "deep"):
        with pytest.raises(ValueError), all_or_nothing(place, Claim(["a.txt"])) as work:
            (work / "a.txt").write_text("half")
            raise ValueError
    assert list(tmp_path.iterdir()) == []
    with all_or_nothing(out, Claim(["a.txt"])) as work:
        (work / "a.txt").write_text("whole")
        assert not (out / "a.txt").exists()
    assert set(contents(out)) == {"a.txt", LIST} and no_hidden(out)
    with pytest.raises(KeyboardInterrupt), all_or_nothing(out, Claim(["a.txt"])) as work:
        (work / "a.txt").write_text("other")
        raise KeyboardInterrupt
    assert (out / "a.txt").read_text() == "whole" and no_hidden(out)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for place in (
        tmp_path / "file" / "out",
        tmp_path / "loop",
        tmp_path / "loop" / "out",
        tmp_path / ("x" * 300),
    ):
        with pytest.raises(OutputError, match="cannot be written.*another --out"):
            with all_or_nothing(place, Claim(["a"], where="--out")):
                pytest.fail("it was begun")


def test_what_a_run_wrote_is_replaced_and_what_was_changed_since_is_not(tmp_path):
    write(tmp_path, ["a.txt", "b.txt"], text="first")
    write(tmp_path, ["a.txt"], text="second")
    assert (tmp_path / "a.txt").read_text() == "second" and (tmp_path / "b.txt").read_text() == "first"
    (tmp_path / "a.txt").write_text("edited")
    with pytest.raises(OutputError, match=r"a\.txt is there already.*choose another folder\."):
        write(tmp_path, ["a.txt", "b.txt"])
    write(tmp_path, ["b.txt"], text="third")
    assert (tmp_path / "a.txt").read_text() == "edited" and (tmp_path / "b.txt").read_text() == "third"
    write(tmp_path, ["a.txt"], overwrite=True, text="fourth")
    write(tmp_path, ["a.txt"], text="fifth")


@pytest.mark.parametrize("name", [LIST, REPORT])
@pytest.mark.parametrize("text", ["mine", "{}", '{"files": {"a.txt": {}}, "seal": "x"}', "[]", '"seal"'])
def test_a_list_that_is_not_ours_vouches_for_nothing(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    (tmp_path / "a.txt").write_text("mine")
    before = contents(tmp_path)
    for writes in (["a.txt"], [name]):
        with pytest.raises(OutputError, match="is there already"):
            write(tmp_path, writes)
    assert contents(tmp_path) == before


def test_a_list_that_was_edited_is_the_users(tmp_path):
    write(tmp_path, ["a.txt"])
    facts = json.loads((tmp_path / LIST).read_text())
    (tmp_path / "b.txt").write_text("mine")
    facts["files"]["b.txt"] = {"sha256": hashlib.sha256(b"mine").hexdigest(), "bytes": 4}
    (tmp_path / LIST).write_text(json.dumps(facts))
    with pytest.raises(OutputError, match="is there already"):
        write(tmp_path, ["b.txt"])


@pytest.mark.parametrize("name", ["../mine.txt", "sub/../../mine.txt", "absolute"])
def test_a_list_cannot_name_what_lies_outside(tmp_path, name):
    """Results may come from anybody, with a list that fits."""
    mine, out = tmp_path / "mine.txt", tmp_path / "out"
    mine.write_text("mine")
    (out / "sub").mkdir(parents=True)
    name = str(mine) if name == "absolute" else name
    entry = {"sha256": hashlib.sha256(b"mine").hexdigest(), "bytes": 4}
    folders.write_list(out / REPORT, {"files": {name: entry}})
    write(out, [REPORT])
    assert mine.read_text() == "mine" and (out / REPORT).read_text() == "new"


def test_a_link_is_never_a_result(tmp_path):
    out = tmp_path / "out"
    write(out, ["a.txt"])
    (tmp_path / "elsewhere.txt").write_text("new")
    (out / "a.txt").unlink()
    (out / "a.txt").symlink_to(tmp_path / "elsewhere.txt")
    with pytest.raises(OutputError, match="a.txt is there already"):
        write(out, ["a.txt"])
    (out / "broken.txt").symlink_to(tmp_path / "nowhere")
    with pytest.raises(OutputError, match="broken.txt is there already"):
        write(out, ["broken.txt"])
    assert (tmp_path / "elsewhere.txt").read_text() == "new" and (out / "broken.txt").is_symlink()


def test_a_file_that_appears_while_the_run_works_is_kept(tmp_path):
    with pytest.raises(OutputError, match="a.txt is there already"):
        with all_or_nothing(tmp_path, Claim(["a.txt"])) as work:
            (work / "a.txt").write_text("new")
            (tmp_path / "a.txt").write_text("mine")
    assert contents(tmp_path) == {"a.txt": hashlib.sha256(b"mine").hexdigest()}
    with pytest.raises(OutputError, match="b.txt is there already"):
        with one_file(tmp_path / "b.txt", Claim()) as part:
            part.write_text("new")
            (tmp_path / "b.txt").write_text("mine")
    assert (tmp_path / "b.txt").read_text() == "mine" and no_hidden(tmp_path)


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("how", ["itself", "link", "hard link", "folder", "a report would remove it"])
def test_inputs_are_never_outputs(tmp_path, overwrite, how):
    out, writes = tmp_path / "out", ["a.txt"]
    write(out, ["a.txt"], text="input")
    given = out / "a.txt"
    if how == "link":
        given = tmp_path / "link"
        given.symlink_to(out / "a.txt")
    if how == "hard link":
        given = tmp_path / "hard"
        os.link(out / "a.txt", given)
    if how == "folder":
        given = out
        (out / LIST).unlink()
    if how == "a report would remove it":
        folders.write_list(out / REPORT, {"files": {"a.txt": folders.checksums(out)["a.txt"]}})
        writes = [REPORT]
    before = contents(out)
    with pytest.raises(InputError, match="is an input of this run"):
        write(out, writes, [given], overwrite)
    assert contents(out) == before


def test_names_in_folders_and_by_their_start(tmp_path):
    claim = Claim(["data/model_*", "images/model.png"])
    with all_or_nothing(tmp_path, claim) as work:
        for name in ("data/model_a.csv", "images/model.png"):
            (work / name).parent.mkdir(exist_ok=True)
            (work / name).write_text("new")
    (tmp_path / "data" / "other.csv").write_text("mine")
    with all_or_nothing(tmp_path, claim) as work:
        (work / "data").mkdir()
        (work / "data" / "model_a.csv").write_text("newer")
    assert (tmp_path / "data" / "model_a.csv").read_text() == "newer"
    assert (tmp_path / "images" / "model.png").read_text() == "new"
    (tmp_path / "data" / "model_b.csv").write_text("mine")
    with pytest.raises(OutputError, match="model_b.csv is there already"):
        with all_or_nothing(tmp_path, claim):
            pytest.fail("it was begun")


def test_files_that_grow_are_known_at_every_moment(tmp_path, monkeypatch):
    """Killed between list and file, or before or after both, the next run knows its own."""
    writes = ["a.txt"]

    def grow(text):
        with growing(tmp_path, Claim(writes)) as folder:
            (folder / ".funfuse-part").write_text(text)
            put(folder / ".funfuse-part", folder / "a.txt")

    replace, calls = os.replace, []

    def killed(source, target):
        calls.append(target)
        if len(calls) == number:
            raise KeyboardInterrupt
        replace(source, target)

    grow("first")
    for number in (1, 2):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            calls.clear()
            patch.setattr(os, "replace", killed)
            grow(f"cut {number}")
        grow(f"after {number}")
        assert (tmp_path / "a.txt").read_text() == f"after {number}"
    (tmp_path / "a.txt").write_text("mine")
    with pytest.raises(OutputError, match="a.txt is there already"):
        grow("more")


# --- One at a time ------------------------------------------------------------------------------------

HOLDS = """
import sys, time
from FunFuseSlicer.Logic.output_folder import Claim, all_or_nothing, one_file
claim = Claim(["a.txt"], where="--out")
with (one_file if sys.argv[2] == "file" else all_or_nothing)(sys.argv[1], claim) as work:
    print("holds", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder():
    """Starts a process that works in a folder, or on a file, and stays."""
    started = []

    def start(place, kind="folder"):
        command = [sys.executable, "-c", HOLDS, str(place), kind]
        child = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE)
        started.append(child)
        assert child.stdout.readline().strip() == b"holds"
        return child

    yield start
    for child in started:
        child.kill()
        child.wait()
        child.stdout.close()


def test_two_runs_into_one_folder(tmp_path, holder):
    child = holder(tmp_path)
    for run in (all_or_nothing, growing):
        with pytest.raises(OutputError, match="another run is writing there.*another --out"):
            with run(tmp_path, Claim(["b.txt"], where="--out")):
                pytest.fail("it was begun")
    child.kill()
    child.wait()
    assert not no_hidden(tmp_path), "it leaves its lock and its temporary folder"
    write(tmp_path, ["b.txt"])
    assert set(contents(tmp_path)) == {"b.txt", LIST} and no_hidden(tmp_path)


def test_two_runs_for_files_of_one_folder(tmp_path, holder):
    """They do not hinder each other, unless it is the same file."""
    holder(tmp_path / "a.txt", "file")
    with one_file(tmp_path / "b.txt", Claim()) as part:
        part.write_text("b")
    write(tmp_path, ["c.txt"])
    with pytest.raises(OutputError, match="another run is writing there"):
        with one_file(tmp_path / "a.txt", Claim()):
            pytest.fail("it was begun")


def test_folders_that_look_like_ours_stay(tmp_path):
    for name in (".funfuse-notes123", ".funfuse-holidays"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.txt").write_text("mine")
    (tmp_path / ".funfuse-lock").write_text("mine")
    (tmp_path / ".funfuse-file1234").write_text("mine")
    before = contents(tmp_path)
    write(tmp_path, ["a.txt"])
    after = contents(tmp_path)
    assert {name: after.get(name) for name in before} == before


def test_a_disk_without_locks(tmp_path, monkeypatch):
    """The work goes on; what may be another run's is left alone for a day."""
    monkeypatch.setattr(folders, "_lock", lambda file: False)
    with all_or_nothing(tmp_path, Claim(["a.txt"])) as work:
        (work / "a.txt").write_text("a")
        write(tmp_path, ["b.txt"])
    assert {"a.txt", "b.txt"} < set(contents(tmp_path))


# --- Killed -------------------------------------------------------------------------------------------

MOVES = """
import os, random, sys
from FunFuseSlicer.Logic.output_folder import Claim, all_or_nothing
print("begins", flush=True)
number, claim = 0, Claim(["a.txt", "b.txt", "c.txt"], overwrite=sys.argv[2] == "True")
while True:
    number += 1
    with all_or_nothing(sys.argv[1], claim) as work:
        for name in random.sample(["a.txt", "b.txt", "c.txt"], 2):
            (work / name).write_text(f"{number} of {os.getpid()}")
"""


@POSIX
@pytest.mark.parametrize("overwrite", [False, True])
def test_killed_at_random_moments_while_files_move(tmp_path, overwrite):
    """Foreign files stay as they are, and no result is mixed or lost: the next run puts it right."""
    seed = random.randrange(2**32)
    generator = random.Random(seed)
    (tmp_path / "mine.txt").write_text("mine")
    write(tmp_path, ["a.txt", "b.txt", "c.txt"], text="begin")
    for _round in range(12):
        command = [sys.executable, "-c", MOVES, str(tmp_path), str(overwrite)]
        child = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE)
        child.stdout.readline()
        time.sleep(generator.uniform(0, 0.05))
        child.kill()
        child.wait()
        child.stdout.close()
        # A run that does nothing but begin clears up.
        with pytest.raises(ValueError), all_or_nothing(tmp_path, Claim(["a.txt", "b.txt", "c.txt"])):
            raise ValueError
        assert no_hidden(tmp_path) and (tmp_path / "mine.txt").read_text() == "mine"
        assert set(contents(tmp_path)) == {"a.txt", "b.txt", "c.txt", "mine.txt", LIST}, seed
        listed = folders.listed(tmp_path, LIST)
        assert {name: entry["sha256"] for name, entry in listed.items()} == {
            name: sha256 for name, sha256 in contents(tmp_path).items() if name in listed
        }, seed


# --- The commands -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Inputs of every command that is tried: paths by name."""
    folder = tmp_path_factory.mktemp("inputs")
    paths = {}
    for volume in head_phantom((3, 56, 48), (3.5, 4.0, 40.0)):
        paths[volume.name] = folder / f"{volume.name}.nii.gz"
        sitk.WriteImage(volume_to_sitk(volume), str(paths[volume.name]))
        gray = np.uint8(np.clip(volume.array[1] / volume.array.max() * 255, 0, 255))
        paths[f"{volume.name} picture"] = folder / f"{volume.name}.png"
        sitk.WriteImage(sitk.GetImageFromArray(gray), str(paths[f"{volume.name} picture"]))
    color = np.stack([gray, 255 - gray, gray // 2], axis=-1)
    paths["color"] = folder / "color.png"
    sitk.WriteImage(sitk.GetImageFromArray(color, isVector=True), str(paths["color"]))
    for number in (1, 2):
        for kind, name in (("mri", "T1"), ("pet", "FDG")):
            place = folder / "pairs" / f"p{number}" / kind / "1.png"
            place.parent.mkdir(parents=True)
            sitk.WriteImage(sitk.ReadImage(str(paths[f"{name} picture"])), str(place))
    paths["pairs"] = folder / "pairs"
    return paths


FUSE = ("fuse", "--mri", "T1", "--pet", "FDG", "--no-register", "--method", "average")
PICTURES = ("fuse", "--mri", "T1 picture", "--pet", "FDG picture", "--no-register", "--method", "maximum")
ONE = ("evaluate", "--mri", "T1 picture", "--pet", "FDG picture", "--fused", "T1 picture")
COMMANDS = {
    "fuse": FUSE,
    "fuse some": (*FUSE, "--outputs", "fused", "colored"),
    "fuse without a scene": (*FUSE, "--no-scene", "--method", "laplacian_pyramid"),
    "fuse pictures": PICTURES,
    "evaluate": ONE,
    "learn": ("learn", "lp-sr", "--data", "pairs", "--patches", "600", "--iterations", "1"),
    "train": ("train", "--data", "pairs", "--steps", "1", "--crop", "24", "--batch", "1"),
}
# Names that the commands write, and others.
NAMES = sorted(
    {*VOLUMES, "fused.png", "colored.png", "per_slice.csv", "lp_sr.npy", "lp_sr.json", "log.csv", "loss.png"}
    | {"start.npz", "start.json", "checkpoint.pt", LIST, "notes.txt", "T1.nii.gz", ".funfuse-lock"}
    | {"Prüfung 測試.nrrd", "checkpoint.part", ".part-fused.nrrd", "sub/report.json", "replaced/fused.nrrd"}
)


def call(images, arguments, out: Path, *more) -> int:
    given = [str(images.get(argument, argument)) for argument in arguments]
    return main([*given, "--out", str(out), *map(str, more)])


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    # A lock without a word in it is what a run left that was killed at once.
    foreign=st.dictionaries(st.sampled_from(NAMES), st.binary(max_size=20), max_size=4).filter(
        lambda files: files.get(".funfuse-lock") != b""
    ),
    commands=st.lists(st.sampled_from(sorted(COMMANDS)), min_size=1, max_size=3),
    edited=st.sampled_from([None, *NAMES]),
)
def test_no_file_of_the_users_changes_or_vanishes(images, tmp_path_factory, capfd, foreign, commands, edited):
    """Any commands, one after the other, in a folder with any files; one result is edited in between."""
    out = tmp_path_factory.mktemp("out")
    for name, content in foreign.items():
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_bytes(content)
    inputs = contents(images["pairs"].parent)
    for number, command in enumerate(commands):
        before = contents(out)
        code = call(images, COMMANDS[command], out)
        after = contents(out)
        assert code in (0, 2, 3)
        assert {name: after.get(name) for name in foreign} == {name: before[name] for name in foreign}
        if code:
            assert after == before, "a run that is refused changes nothing"
            assert str(out) in capfd.readouterr().err
        assert no_hidden(out) or {".funfuse-lock"} & set(foreign)
        if number == 0 and edited is not None and (out / edited).is_file() and edited not in foreign:
            with open(out / edited, "ab") as file:
                file.write(b"edited")
            foreign = {**foreign, edited: (out / edited).read_bytes()}
    assert contents(images["pairs"].parent) == inputs


@pytest.mark.parametrize(
    "command, name",
    [
        *[(command, "report.json") for command in ("fuse", "fuse pictures")],
        *[("fuse", name) for name in ("preview.png", "fused.nrrd", "scene.mrb", "pet_to_mri.tfm")],
        *[("fuse pictures", "fused.png"), ("evaluate", "per_slice.csv"), ("learn", "lp_sr.npy")],
        *[("train", name) for name in ("checkpoint.pt", "log.csv", "start.npz", "start.json")],
    ],
)
def test_what_is_in_the_way_is_named_before_any_work(images, tmp_path, capfd, monkeypatch, command, name):
    from FunFuseSlicer.Logic.monitor import Monitor

    (tmp_path / name).write_text("mine")
    with monkeypatch.context() as patch:
        patch.setattr(Monitor, "report", lambda *_: pytest.fail("it was begun"))
        assert call(images, COMMANDS[command], tmp_path) == 3
    said = capfd.readouterr().err
    assert name in said and "--overwrite" in said and contents(tmp_path) == contents_of_one(name)
    if name != "checkpoint.pt":  # which the training reads
        assert call(images, COMMANDS[command], tmp_path, "--overwrite") == 0
        assert name == "pet_to_mri.tfm" or (tmp_path / name).read_bytes() != b"mine"


def contents_of_one(name: str) -> dict:
    return {name: hashlib.sha256(b"mine").hexdigest()}


def test_an_input_in_the_folder_of_the_results(images, tmp_path, capfd):
    """Once the result took its place, and once the registration was gone."""
    picture = tmp_path / "fused.png"
    picture.write_bytes(images["FDG picture"].read_bytes())
    before = contents(tmp_path)
    arguments = [*PICTURES[:4], str(picture), *PICTURES[5:]]
    for more in ((), ("--overwrite",)):
        assert call(images, arguments, tmp_path, *more) == 2
        assert "fused.png is an input of this run" in capfd.readouterr().err
    assert contents(tmp_path) == before
    out = tmp_path / "out"
    assert call(images, FUSE, out) == 0
    (out / "pet_to_mri.tfm").write_text("a registration")
    before = contents(out)
    arguments = [*FUSE[:4], str(out / "pet_registered.nrrd"), *FUSE[5:]]
    assert call(images, arguments, out) == 2
    assert contents(out) == before


def test_uptake_keeps_what_is_there(images, tmp_path, capfd):
    for option, name in (("--out", "uptake.png"), ("--residual", "residual.nrrd")):
        (tmp_path / name).write_text("mine")
        arguments = ["uptake", "--image", str(images["color"]), "--colormap", "from-image"]
        names = {"--out": "other.png", "--residual": "residual.png", option: name}
        arguments += [str(part) for pair in names.items() for part in (pair[0], tmp_path / pair[1])]
        assert main(arguments) == 3
        assert name in capfd.readouterr().err and (tmp_path / name).read_text() == "mine"
    assert set(contents(tmp_path)) == {"uptake.png", "residual.nrrd"} and no_hidden(tmp_path)
    copy = tmp_path / "color.png"
    copy.write_bytes(images["color"].read_bytes())
    arguments = ["uptake", "--image", str(copy), "--out", str(copy), "--colormap", "jet", "--overwrite"]
    assert main(arguments) == 2 and copy.read_bytes() == images["color"].read_bytes()


# --- Killed commands ----------------------------------------------------------------------------------

# The command runs once; then copies of that process, in which all is imported, run it and are killed.
KILLED = """
import os, random, signal, sys, time
from funfuse_cli.__main__ import main
rounds, command = int(sys.argv[1]), sys.argv[2:]
assert main(command) == 0
start = time.monotonic()
assert main(command) == 0
whole = time.monotonic() - start
for _ in range(rounds):
    child = os.fork()
    if child == 0:
        os._exit(main(command))
    time.sleep(random.uniform(0, whole))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    print("killed", flush=True)
    sys.stdin.readline()
"""


@POSIX
@pytest.mark.parametrize("name", ["fuse", "evaluate", "train"])
def test_kill_9_at_random_moments(images, tmp_path, name):
    """Nothing foreign changes, and the next run works as if there had been none."""
    for number in range(3):
        (tmp_path / f"mine {number}.txt").write_bytes(random.randbytes(20))
    mine, rounds = contents(tmp_path), 8 if name == "fuse" else 3
    given = [str(images.get(argument, argument)) for argument in COMMANDS[name]]
    command = [sys.executable, "-c", KILLED, str(rounds), *given, "--out", str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    child = subprocess.Popen(command, env=environment(), **pipes)
    for _round in range(rounds):
        while (line := child.stdout.readline()) != b"killed\n":
            assert line, child.stderr.read()
        after = contents(tmp_path)
        assert {file: after.get(file) for file in mine} == mine
        assert name != "fuse" or not (tmp_path / REPORT).exists() or verify(tmp_path) == []
        child.stdin.write(b"\n")
        child.stdin.flush()
    child.communicate()
    assert child.returncode == 0
    assert call(images, COMMANDS[name], tmp_path) == 0
    assert no_hidden(tmp_path)
    after = contents(tmp_path)
    assert {file: after.get(file) for file in mine} == mine


# --- Studies ------------------------------------------------------------------------------------------


@pytest.fixture
def study(monkeypatch, tmp_path):
    """Runs a study that writes one file and changes another, in an empty current folder."""
    import types

    from funfuse_cli import studies

    def measure(arguments):
        docs = Path(arguments[arguments.index("--docs") + 1])
        (docs / "data").mkdir(exist_ok=True)
        (docs / "data" / "fake_new.csv").write_text(arguments[0])
        (docs / "data" / "fake_sum.csv").open("a").write("+")
        return int(arguments[0])

    module = types.ModuleType("fake_study")
    module.main = measure
    monkeypatch.setitem(sys.modules, "fake_study", module)
    monkeypatch.setitem(studies.STUDIES, "fake", ("fake_study", ""))
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: main(["study", "fake", *arguments])


def test_a_study_leaves_the_pages_alone_unless_it_is_told(study, tmp_path, capsys):
    """By default it writes into a folder of its own, and goes on with what it wrote there."""
    from funfuse_cli.studies import DOCS

    before = contents(DOCS)
    for number in range(3):
        assert study(str(number)) == number
    data = tmp_path / "study-results" / "data"
    assert (data / "fake_new.csv").read_text() == "2" and (data / "fake_sum.csv").read_text() == "+++"
    (data / "fake_old.csv").write_text("mine")
    (data / "other.csv").write_text("mine")
    assert study("0") == 3 and "fake_old.csv is there already" in capsys.readouterr().err
    assert study("0", "--overwrite") == 0
    assert (data / "fake_old.csv").read_text() == (data / "other.csv").read_text() == "mine"
    assert (data / "fake_sum.csv").read_text() == "++++" and contents(DOCS) == before
