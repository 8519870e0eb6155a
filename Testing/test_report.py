"""The interactive page: what is in it, and, where there is a browser, what it shows."""

import base64
import hashlib
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from FunFuseSlicer.Logic.color.colorize import MODES, jet_table, resampled_table
from FunFuseSlicer.Logic.color.sources import (
    ColorSource,
    contribution_source,
    gradient_source,
    uptake_source,
)
from FunFuseSlicer.Logic.errors import InputError
from FunFuseSlicer.Logic.library import FusionOptions, fuse
from FunFuseSlicer.Logic.report import mosaics
from FunFuseSlicer.Logic.report.contents import Contents, straightened
from FunFuseSlicer.Logic.report.page import LARGEST, page
from FunFuseSlicer.Logic.report.patient_grid import head_box, on_patient_grid, patient_grid
from FunFuseSlicer.Logic.report.places import places
from FunFuseSlicer.Logic.volumes.geometry import Volume
from FunFuseSlicer.Logic.volumes.preprocessing import clean, robust_scale
from Testing.browser import Browser, find_browser
from Testing.conftest import head_phantom

OMEGAS, BALANCES = (0.0, 0.25, 0.6, 0.85, 1.0), (0.0, 0.5, 0.8)
# How far a color of the page may be from the program's, of 255 levels.
TOLERANCE = 2
NASTY = 'T1 </script><img src="http://example.org/x" onerror="alert(1)"> & "co"'


# --- Volumes ------------------------------------------------------------------------------------------


def turned(volume: Volume, order, flips) -> Volume:
    """The same image in space, stored along other axes."""
    array = np.transpose(volume.array, order)
    matrix = volume.ijk_to_ras.copy()
    matrix[:, :3] = matrix[:, [2 - axis for axis in order[::-1]]]
    for axis, flip in enumerate(flips):
        if flip:
            array = np.flip(array, axis)
            matrix[:3, 3] += matrix[:3, 2 - axis] * (array.shape[axis] - 1)
            matrix[:3, 2 - axis] *= -1
    return Volume(np.ascontiguousarray(array), matrix, volume.name)


@pytest.mark.parametrize(
    "order, flips", [((0, 1, 2), (0, 0, 0)), ((2, 0, 1), (1, 0, 1)), ((1, 2, 0), (0, 1, 1))]
)
def test_the_grid_is_the_patients_whatever_the_storage(order, flips):
    mri, pet = (turned(volume, order, flips) for volume in head_phantom())
    grid = patient_grid(mri, head_box(mri, pet.array, pet.array.max()))
    spacing = grid.spacing[0]
    np.testing.assert_allclose(grid.ijk_to_ras[:3, :3], spacing * np.diag([-1, -1, 1]))
    assert spacing == pytest.approx(3.0)
    there = on_patient_grid(pet.array, pet, grid)
    # The hot spot of the phantom lies left, behind the middle and above it.
    k, j, i = np.unravel_index(there.argmax(), there.shape)
    place = (grid.ijk_to_ras @ [i, j, k, 1])[:3]
    assert place[0] < -10 and place[1] < -5 and place[2] > 5
    assert i > there.shape[2] / 2, "left is on the right, as radiologists look at a head"
    _, straight = head_phantom()
    np.testing.assert_allclose(there, on_patient_grid(straight.array, straight, grid), atol=1)


def test_the_grid_leaves_out_what_is_black_and_is_never_too_fine():
    mri, pet = head_phantom((24, 60, 60), (3.0, 3.0, 4.0))
    wide = mri.with_array(np.zeros((24, 400, 500), np.float32))
    wide.array[:, 50:110, 250:310] = mri.array
    nothing = np.zeros_like(wide.array)
    (i, j, k), (last_i, last_j, last_k) = head_box(wide, nothing, 1.0)
    assert 244 < i < 258 < 300 < last_i < 316 and 46 < j < 56 < 102 < last_j < 114
    assert max(patient_grid(wide, np.array([(i, j, k), (last_i, last_j, last_k)])).array.shape) < 80
    assert max(patient_grid(mri, longest=20).array.shape) == 20
    everything = [[-0.5, -0.5, -0.5], [499.5, 399.5, 23.5]]
    np.testing.assert_array_equal(head_box(wide.with_array(nothing), nothing, 1.0), everything)


def test_a_single_slice_is_shown():
    mri, _ = head_phantom((3, 48, 40))
    mri = mri.with_array(mri.array[1:2])
    grid = patient_grid(mri)
    assert mri.array.max() > 100
    assert on_patient_grid(mri.array, mri, grid).max() == pytest.approx(mri.array.max(), rel=0.2)


@settings(deadline=None)
@given(st.lists(st.floats(-1e4, 1e4, width=32), min_size=1, max_size=30))
def test_levels_are_the_nearest(values):
    array = np.array(values, np.float32).reshape(1, 1, -1)
    found = mosaics.layer(array)
    back = found.low + found.levels * (found.high - found.low) / 255
    assert np.abs(back - array).max() <= (found.high - found.low) / 509


@settings(deadline=None)
@given(st.integers(1, 30), st.integers(1, 20), st.integers(1, 20))
def test_a_mosaic_has_every_slice(count, rows, columns):
    levels = np.random.default_rng(0).integers(0, 256, (count, rows, columns), np.uint8)
    sheet = mosaics.mosaic(levels)
    np.testing.assert_array_equal(slices_of(sheet, levels.shape, mosaics.layout(levels.shape)), levels)


def slices_of(sheet, shape, layout):
    """As the page's script takes a mosaic apart."""
    across, height, width = layout
    found = np.empty(shape, np.uint8)
    for k in range(shape[0]):
        y, x = k // across * height, k % across * width
        found[k] = sheet[y : y + shape[1], x : x + shape[2]]
    return found


def test_pictures_are_what_they_encode():
    sheet = np.random.default_rng(0).integers(0, 256, (40, 24), np.uint8)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(mosaics.encoded(sheet)))), sheet)
    smooth = np.uint8(np.add.outer(np.arange(40), np.arange(24)))
    jpeg = np.asarray(Image.open(io.BytesIO(mosaics.encoded(smooth, 92)))).astype(int)
    assert jpeg.shape == smooth.shape and np.abs(jpeg - smooth).max() <= 3


def test_what_does_not_fit_without_loss_is_as_good_as_it_can_be():
    noise = mosaics.Layer(np.random.default_rng(0).integers(0, 256, (16, 64, 64), np.uint8), 0, 255)
    sizes = {}
    for largest in (10**6, 80_000, 50_000, 1):
        (url,) = mosaics.data_urls({"noise": noise}, largest).values()
        sizes[largest] = len(url)
        assert url.startswith("data:image/png" if largest == 10**6 else "data:image/jpeg")
    assert sizes[80_000] <= 80_000 and sizes[50_000] <= 50_000 < sizes[80_000]
    assert sizes[1] < sizes[50_000]


def test_places_of_interest():
    mri, pet = head_phantom((40, 60, 50), (3.0, 3.0, 3.0))
    grid = patient_grid(mri)
    arrays = [on_patient_grid(volume.array, volume, grid) for volume in (mri, pet)]
    # A louder voxel in the scalp, and one at the end of the volume, are not of the brain.
    arrays[1][20, 30, 5] = arrays[1][0, 30, 25] = 1e5
    found = places(*arrays, 3.0)
    hottest = np.array(found["hottest"])
    spot = np.array([0.7, 0.6, 0.65]) * (np.array([50, 60, 40]) - 1)
    assert np.abs(hottest - spot).max() <= 4
    different = np.array(found["asymmetry"])
    mirrored = np.array([49 - spot[0], *spot[1:]])
    assert min(np.abs(different - spot).max(), np.abs(different - mirrored).max()) <= 5
    assert np.abs(np.array(found["center"]) - [24.5, 29.5, 19.5]).max() < 4
    symmetric = np.maximum(arrays[0], arrays[0][..., ::-1])
    assert "asymmetry" not in places(symmetric, symmetric, 3.0)
    only = np.zeros((40, 60, 50), bool)
    only[10, 20, 40] = True
    assert places(*arrays, 3.0, only)["hottest"] == (40, 20, 10)


@pytest.mark.parametrize("shape", [(1, 5, 5), (3, 2, 2), (1, 1, 1)])
def test_places_of_very_small_volumes_are_in_them(shape):
    array = np.ones(shape, np.float32)
    for place in places(array, array, 1.0).values():
        assert all(0 <= n < size for n, size in zip(place, shape[::-1]))


# --- The page -----------------------------------------------------------------------------------------


def contents_of(gradients: bool = False, parts: bool = True, ends=None, **changes) -> Contents:
    """A phantom, fused by the library."""
    mri, pet = head_phantom((20, 48, 40), (4.0, 4.0, 5.0))
    mri, pet = clean(mri, mri=True)[0], clean(pet)[0]
    fused = fuse(mri, pet)
    low, high = ends or (0.0, robust_scale(pet.array))
    images = (fused.mri_part, fused.pet_part) if parts else (fused.fused,)
    sources = {}
    if parts:
        sources["contribution"] = contribution_source(*images, None, ends, robust_scale(pet.array))
    sources["uptake"] = uptake_source(images, pet.array, high, low)
    sources["ordered"] = uptake_source(images, pet.array, high, low, ordered=True)
    if gradients:
        sources["gradient"] = gradient_source(
            np.abs(np.gradient(mri.array)[1]), np.abs(np.gradient(pet.array)[2])
        )
    values = {
        "mri": mri,
        "pet": pet.array,
        "mri_scale": robust_scale(mri.array),
        "pet_range": (low, high),
        "range_is_chosen": ends is not None,
        "pet_unit": "Bq/ml",
        "pet_name": "FDG",
        "fused": images,
        "sources": sources,
        "table": jet_table(),
        "pet_table": jet_table(),
        "omega": 0.6,
        "balance": 0.5,
        "judgement": "good",
        "version": "1.2.3",
    }
    return Contents(**{**values, **changes})


FACTS, NOTES = {"Registration": [("Result", "Plausible: it is."), ("Left out", "")]}, ["A note."]


def page_of(contents, facts=FACTS, notes=NOTES) -> str:
    """The page of what lies on the MRI's grid."""
    return page(straightened(contents), facts, notes)


@pytest.fixture(scope="module")
def contents():
    """See :func:`contents_of`; with the paper's images, too."""
    return contents_of(gradients=True)


@pytest.fixture(scope="module")
def shown(contents):
    """The same along the patient's axes, as the page has it."""
    return straightened(contents)


@pytest.fixture(scope="module")
def text(contents):
    """The page of it."""
    return page_of(contents)


class Parts(HTMLParser):
    """Tags with their attributes, and what stands in scripts and styles."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.blocks, self._open = [], [], None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self._open = (tag, dict(attrs).get("type"))
            self.blocks.append([self._open, ""])

    def handle_endtag(self, tag):
        self._open = None

    def handle_data(self, data):
        if self._open:
            self.blocks[-1][1] += data


def data_of(text) -> dict:
    """What the script is told."""
    (found,) = (content for (_, kind), content in Parts(text).blocks if kind == "application/json")
    return json.loads(found)


def test_only_what_the_policy_names_can_run_and_nothing_is_loaded(text):
    parts = Parts(text)
    (policy,) = (
        tag["content"] for _, tag in parts.tags if tag.get("http-equiv") == "Content-Security-Policy"
    )
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'" and rules["img-src"] == "data:"
    for (tag, kind), content in parts.blocks:
        if kind != "application/json":
            digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
            assert rules[f"{tag}-src"] == f"'sha256-{digest}'"
    assert len(parts.blocks) == 3
    for tag, attributes in parts.tags:
        assert tag not in ("link", "iframe", "object", "embed", "base", "a")
        assert not [name for name in attributes if name.startswith("on") or name in ("style", "href")]
        assert attributes.get("src", "data:").startswith("data:")


def test_names_are_no_part_of_the_page(contents):
    mri = contents.mri.with_array(contents.mri.array, name=NASTY)
    changed = contents_of(mri=mri, pet_name=NASTY, pet_unit=NASTY, version=NASTY)
    text = page_of(changed, {NASTY: [(NASTY, NASTY)]}, [NASTY])
    evil, plain = Parts(text), Parts(page_of(contents_of()))
    # But for the two rows and the item there is nothing more.
    count = {tag: sum(t == tag for t, _ in evil.tags) for tag in ("script", "img", "input", "meta")}
    assert count == {tag: sum(t == tag for t, _ in plain.tags) for tag in count}
    assert data_of(text)["pet"]["unit"] == NASTY


def test_every_sentence_is_there(text):
    for words in ("research use, not for diagnosis", "Plausible: it is.", "A note.", "<b>good</b>", "1.2.3"):
        assert words in text
    assert "Left out" not in text, "what there is nothing to say about"
    markup = re.sub(r"<(script|style).*?</\1>|<img .*?>", "", text, flags=re.DOTALL)
    assert "$" not in markup, "a place that was not filled"


def test_tiles_and_tables_give_the_programs_colors(shown, text):
    """The page's arithmetic without a browser, on the bytes of its pictures."""
    data = data_of(text)
    urls = {tag["id"].replace("layer-", ""): tag["src"] for name, tag in Parts(text).tags if name == "img"}
    images = {
        name: np.asarray(Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))))
        for name, url in urls.items()
    }
    shape, layout = data["grid"]["size"][::-1], data["grid"]["layout"]
    chroma = np.reshape(data["chroma"], (256, 3))
    assert set(data["modes"]) == set(MODES)
    # The table in two dimensions, by channel.
    ordered = np.moveaxis(images.pop("ordered-table").reshape(3, 256, 256), 0, -1)
    levels = {name: slices_of(image, shape, layout) for name, image in images.items()}
    for mode, facts in data["modes"].items():
        values = [
            data["layers"][name]["low"]
            + levels[name] * (data["layers"][name]["high"] - data["layers"][name]["low"]) / 255
            for name in facts["value"]
        ]
        source = shown.sources[mode]
        for omega in OMEGAS:
            for balance in BALANCES:
                weights = (2 * (1 - balance), 2 * balance) if len(values) == 2 else (1,)
                value = 255 * np.clip(sum(w * v for w, v in zip(weights, values)), 0, 1)[..., None]
                full = value * chroma[levels[facts["hue"]]]
                if facts["ordered"]:
                    value = np.rint(value)
                    full = ordered[value[..., 0].astype(int), levels[facts["hue"]]]
                found = np.rint((1 - omega) * value + omega * full)
                expected = source.colors(shown.table, omega, balance)
                assert np.abs(found - expected).max() <= TOLERANCE
    assert levels["pet"].max() == 255 and "pet_over" in levels, "the highest uptake is beyond the color scale"


def test_a_range_that_was_chosen():
    """Colors begin at its low end; the value under the cursor goes on below and above."""
    plain = contents_of()
    low, high = 0.2 * plain.pet_range[1], 0.7 * plain.pet_range[1]
    text = page_of(contents_of(ends=(low, high)))
    data = data_of(text)
    assert data["pet"]["ends"] == data["modes"]["uptake"]["ends"] == [low, high]
    assert data["pet"]["hue"] == data["modes"]["uptake"]["hue"] == "pet_hue"
    assert data["layers"]["pet"] == {"low": 0, "high": pytest.approx(high)} and "pet_over" in data["layers"]
    assert data["modes"]["contribution"]["title"] == "FDG, Bq/ml, by its part"


def test_a_method_without_parts_has_no_balance():
    data = data_of(page_of(contents_of(parts=False)))
    assert data["fused"] == ["fused"] and set(data["modes"]) == {"uptake", "ordered"}
    assert data["modes"]["ordered"] == {**data["modes"]["uptake"], "ordered": True}
    assert data["modes"]["uptake"] == {
        "value": ["fused"],
        "hue": "pet",
        "title": "FDG, Bq/ml",
        "ends": data["pet"]["ends"],
        "unit": "Bq/ml",
        "ordered": False,
    }


def test_a_large_volume_stays_small_enough():
    mri, pet = head_phantom((150, 190, 160), (1.0, 1.0, 1.0))
    value = (0.5 * mri.array / mri.array.max(), 0.5 * pet.array / pet.array.max())
    sources = {"contribution": contribution_source(*value)}
    contents = contents_of(mri=mri, pet=pet.array, fused=value, sources=sources)
    assert LARGEST / 4 < len(page_of(contents).encode()) <= LARGEST


# --- From a scene -------------------------------------------------------------------------------------


def test_the_nodes_of_a_result_tell_what_the_page_shows(slicer):
    from funfuse_cli.extension import load_module
    from FunFuseSlicer.Logic.scene.inputs import add_volume_node
    from FunFuseSlicer.Logic.scene.report import contents_of, facts_of

    mri, pet = (add_volume_node(volume) for volume in head_phantom())
    options = FusionOptions(omega=0.4, mode="uptake")
    run = load_module().FunFuseSlicerLogic().process(mri, pet, options, None)
    nodes = {role: node for role, node in vars(run.nodes).items() if node is not None}
    unit = slicer.vtkCodedEntry()
    unit.SetValueSchemeMeaning("Bq/ml", "UCUM", "Bq/ml")
    nodes["pet_registered"].SetVoxelValueUnits(unit)
    contents = contents_of(nodes)
    assert list(contents.sources) == ["uptake", "contribution", "ordered"] and contents.omega == 0.4
    assert (contents.judgement, contents.pet_unit, contents.pet_name) == ("none", "Bq/ml", "FDG")
    assert contents.pet_range == (0.0, contents.sources["uptake"].scale)
    assert contents.pet_range[1] == pytest.approx(run.fusion.scales[1])
    settings = facts_of(nodes)["Settings"]
    assert ("λ", "0.8") in settings and ("Tracer", "") in settings, "other has no guide to follow"
    for word, attribute in (("good", "Plausible: it fits."), ("wrong", "Not plausible: it does not.")):
        nodes["colored"].SetAttribute("FunFuse.Registration", "SimpleITK rigid")
        nodes["colored"].SetAttribute("FunFuse.RegistrationSummary", attribute)
        assert contents_of(nodes).judgement == word
    nodes["colored"].SetAttribute("FunFuse.Judgement", "doubtful")
    assert contents_of(nodes).judgement == "doubtful"
    slicer.mrmlScene.RemoveNode(mri)
    with pytest.raises(InputError):
        contents_of(nodes)


# --- In a browser -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser():
    """Skips where there is none."""
    executable = find_browser()
    if executable is None:
        pytest.skip("no Chromium or Chrome to open the interactive page with")
    with Browser(executable) as found:
        yield found


@pytest.fixture
def opened(browser, text, tmp_path):
    """The page in a fresh tab."""
    path = tmp_path / "report.html"
    path.write_text(text, encoding="utf-8")
    browser.problems.clear()
    browser.requests.clear()
    browser.open(path)
    return browser


def test_pixels_in_a_browser_are_the_programs(opened, shown):
    k, j, i = shown.pet.shape
    index = [i // 2, j // 2, k // 2]
    opened.run(f"state.index = {index}; 1")
    for mode, source in shown.sources.items():
        for omega in OMEGAS:
            for balance in BALANCES:
                opened.run(f"Object.assign(state, {{omega: {omega}, balance: {balance}, mode: '{mode}'}}); 1")
                expected = source.colors(shown.table, omega, balance)
                planes = {
                    "axial": expected[k // 2],
                    "sagittal": expected[::-1, :, i // 2],
                    "coronal": expected[::-1, j // 2],
                }
                for plane, wanted in planes.items():
                    pixels = opened.run(f"Array.from(paint('{plane}', 'colored').data)")
                    found = np.reshape(pixels, (*wanted.shape[:2], 4))[..., :3]
                    assert np.abs(found - wanted.astype(int)).max() <= TOLERANCE, (mode, omega, balance)
    assert not opened.problems and [url[:5] for url in opened.requests.values()] == ["file:"]


@pytest.mark.parametrize("parts", [True, False])
def test_pixels_in_a_browser_follow_a_chosen_range(browser, tmp_path, parts):
    chosen = contents_of(ends=(900.0, 2500.0), parts=parts)
    shown, path = straightened(chosen), tmp_path / "report.html"
    path.write_text(page_of(chosen), encoding="utf-8")
    browser.open(path)
    index = [n // 2 for n in shown.pet.shape[::-1]]
    for mode, source in shown.sources.items():
        browser.run(f"Object.assign(state, {{index: {index}, omega: 1, mode: '{mode}'}}); 1")
        expected = source.colors(shown.table, 1.0, 0.5)[index[2]]
        pixels = browser.run("Array.from(paint('axial', 'colored').data)")
        found = np.reshape(pixels, (*expected.shape[:2], 4))[..., :3]
        assert np.abs(found - expected.astype(int)).max() <= TOLERANCE, mode
    assert browser.run("document.getElementById('pet-ticks').textContent").startswith("≤ 900")
    assert "on a chosen range" in browser.run("document.querySelector('footer').textContent")


def test_nothing_leaves_the_page_and_its_policy_is_in_force(opened):
    assert opened.run("fetch('data:text/plain,x').then(() => 'loaded', () => 'refused')") == "refused"
    assert opened.run("fetch('https://example.org/').then(() => 'loaded', () => 'refused')") == "refused"
    opened.run(
        "document.body.insertAdjacentHTML('beforeend', '<p id=\"styled\" style=\"color: red\">x</p>');"
        "const own = document.createElement('script'), image = new Image();"
        "own.textContent = 'window.ran = true'; document.body.append(own);"
        "new Promise(done => { image.onerror = done; image.src = 'https://example.org/a.png'; })"
    )
    assert opened.run("window.ran === undefined")
    assert opened.run("getComputedStyle(document.getElementById('styled')).color") != "rgb(255, 0, 0)"
    assert all("Content Security Policy" in problem for problem in opened.problems) and opened.problems
    assert [url[:5] for url in opened.requests.values()] == ["file:"]


def test_keys_wheel_and_buttons_move_all_planes(opened):
    opened.run("document.querySelector('canvas[data-plane=axial]').focus(); state.index = [20, 24, 10]; 1")

    def press(key):
        for kind in ("keyDown", "keyUp"):
            opened.call("Input.dispatchKeyEvent", type=kind, key=key)
        return opened.run("state.index")

    assert press("ArrowLeft") == [19, 24, 10] and press("ArrowDown") == [19, 25, 10]
    assert press("PageUp") == [19, 25, 11]
    opened.run("document.querySelector('canvas[data-plane=coronal]').focus(); 1")
    assert press("ArrowUp") == [19, 25, 12] and press("PageDown") == [19, 24, 12]
    corners = "document.querySelector('canvas[data-plane=axial]').getBoundingClientRect()"
    box = opened.run(f"(box => [box.x, box.y, box.width])({corners})")
    middle = {"x": box[0] + box[2] / 2, "y": box[1] + box[2] / 2}
    opened.call("Input.dispatchMouseEvent", type="mouseWheel", deltaX=0, deltaY=-120, **middle)
    opened.drawn()
    assert opened.run("state.index")[2] > 12
    for kind in ("mousePressed", "mouseReleased"):
        opened.call("Input.dispatchMouseEvent", type=kind, button="left", buttons=1, clickCount=1, **middle)
    columns, rows, _ = opened.run("report.grid.size")
    assert np.abs(np.array(opened.run("state.index")[:2]) - [columns / 2, rows / 2]).max() <= 1
    opened.run("document.querySelector('[data-place=hottest]').click(); 1")
    assert opened.run("state.index") == opened.run("report.places.hottest")
    press("m")
    assert opened.run("state.view") == "mri" and not opened.problems


def test_a_finger_leafs_and_points(opened):
    opened.run("state.index = [20, 24, 10]; 1")
    corners = "document.querySelector('canvas[data-plane=axial]').getBoundingClientRect()"
    x, y, width = opened.run(f"(box => [box.x, box.y, box.width])({corners})")

    def touch(kind, *point):
        points = [{"x": x + point[0] * width, "y": y + point[1] * width}] if point else []
        opened.call("Input.dispatchTouchEvent", type=kind, touchPoints=points)

    touch("touchStart", 0.4, 0.5)
    for step in range(1, 6):
        touch("touchMove", 0.4 + 0.03 * step, 0.5)
    touch("touchEnd")
    i, j, k = opened.run("state.index")
    assert k > 11 and (i, j) == (20, 24), "a swipe sideways changes the slice alone"
    touch("touchStart", 0.5, 0.5)
    touch("touchEnd")
    columns, rows, _ = opened.run("report.grid.size")
    middle = [columns / 2, rows / 2, k]
    assert np.abs(np.array(opened.run("state.index")) - middle).max() <= 1, "a tap moves the crosshair"


def test_all_images_are_the_programs(opened, shown):
    """The MRI in gray, the PET in colors but black where there is next to nothing, both, and the fused."""
    k = shown.pet.shape[0] // 2
    opened.run(f"Object.assign(state, {{index: [5, 5, {k}], balance: 0.8}}); 1")

    def painted(view):
        pixels = opened.run(f"Array.from(paint('axial', '{view}').data)")
        return np.reshape(pixels, (*shown.pet.shape[1:], 4))[..., :3]

    mri = np.rint(255 * np.clip(shown.mri.array[k] / shown.mri_scale, 0, 1))
    uptake = np.clip(shown.pet[k] / shown.pet_range[1], 0, 1)
    table = resampled_table(shown.table)
    pet = 255 * table[np.rint(255 * uptake).astype(int)] * (np.rint(255 * uptake) >= 0.02 * 255)[..., None]
    fused = 255 * ColorSource(tuple(shown.fused), shown.pet, 1.0).brightness(0.8, k)
    gray = {"mri": mri, "fused": fused}
    for view, wanted in {**{name: image[..., None] for name, image in gray.items()}, "pet": pet}.items():
        assert np.abs(painted(view) - wanted).max() <= TOLERANCE, view
    board, (first, second) = painted("checkerboard"), (painted("mri"), painted("pet"))
    is_first, is_second = (board == first).all(axis=2), (board == second).all(axis=2)
    assert (is_first | is_second).all() and not is_first.all() and not is_second.all()
    assert (painted("flicker") == first).all()
    opened.run("state.flickerShowsPet = true; 1")
    assert (painted("flicker") == second).all()


def test_values_under_the_crosshair_are_those_of_the_volumes(opened, shown):
    opened.run("document.querySelector('[data-place=hottest]').click(); 1")
    opened.drawn()
    i, j, k = opened.run("state.index")
    pet, mri = shown.pet[k, j, i], shown.mri.array[k, j, i]
    said = opened.run("document.getElementById('readout').textContent")
    found = re.search(r"MRI (≥ )?([\d.]+) .* PET ([\d.]+) Bq/ml", said)
    assert float(found[3]) == pytest.approx(pet, abs=1 + shown.pet_range[1] / 255)
    assert float(found[2]) == pytest.approx(min(mri, shown.mri_scale), abs=1 + shown.mri_scale / 255)
    place = re.match(r"([RL]) ([\d.]+) +([AP]) ([\d.]+) +([SI]) ([\d.]+) mm", said)
    grid = opened.run("report.grid")
    x = grid["origin"][0] - grid["spacing"] * i
    assert (1 if place[1] == "R" else -1) * float(place[2]) == pytest.approx(x, abs=0.06)


def test_who_does_not_see_the_pictures_is_told(opened):
    """What a screen reader says of pictures and controls."""
    unnamed = opened.run(
        "[...document.querySelectorAll('canvas, input, select, button')].filter(it => !it.textContent.trim()"
        " && !it.getAttribute('aria-label') && !(it.labels && it.labels.length)).map(it => it.outerHTML)"
    )
    assert unnamed == []
    label = opened.run("document.querySelector('canvas[data-plane=axial]').getAttribute('aria-label')")
    assert re.fullmatch(r"Colored, axial, [SI] [\d.]+ mm", label)


@pytest.mark.parametrize("width", [1280, 390])
def test_it_fits_the_screen_and_one_sheet_of_paper(browser, text, tmp_path, width):
    path = tmp_path / "report.html"
    path.write_text(text, encoding="utf-8")
    browser.open(path, width=width)
    assert browser.run("document.documentElement.scrollWidth") <= width
    assert len(re.findall(rb"/Type\s*/Page\b", browser.pdf())) == 1
