"""Check alignment: edge maps, checkerboards, and slice views that get their layers back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from FunFuseSlicer.Logic.errors import InputError
from FunFuseSlicer.Logic.registration import alignment_pictures as alignment

# --- edges -----------------------------------------------------------------------------------------


def ball(size=(30, 40, 36), spacing=(1.5, 1.0, 2.0), radius=20.0):
    """A bright ball, (k, j, i), and the distance of each voxel from its surface in millimeters."""
    steps = np.array(spacing)[::-1]
    kji = np.moveaxis(np.indices(size), 0, -1) - (np.array(size) - 1) / 2.0
    distance = np.linalg.norm(kji * steps, axis=-1) - radius
    return (distance < 0).astype(np.float32), distance, spacing


def test_edges_lie_on_the_surface_and_nowhere_else():
    image, distance, spacing = ball()
    edges = alignment.edge_map(image, spacing)
    assert edges.dtype == bool and edges.shape == image.shape
    assert np.abs(distance[edges]).max() < 1.6
    # They are there all around: each part of the surface has one nearby, and they are thin.
    near = np.abs(distance) < 0.75
    assert 0.4 * near.sum() < edges.sum() < 2.0 * near.sum()
    octants = np.argwhere(edges) > np.array(image.shape) / 2.0
    assert len({tuple(octant) for octant in octants}) == 8


def test_edges_do_not_depend_on_the_brightness_scale_nor_on_weak_noise():
    image, _, spacing = ball()
    edges = alignment.edge_map(image, spacing)
    assert np.array_equal(alignment.edge_map(0.25 * image, spacing), edges)
    noise = np.random.default_rng(0).uniform(0, 0.02, image.shape).astype(np.float32)
    noisy = alignment.edge_map(image + noise, spacing)
    assert (noisy & edges).sum() > 0.85 * edges.sum() and noisy.sum() < 1.2 * edges.sum()


@pytest.mark.parametrize("shape", [(5, 6, 7), (1, 16, 16), (2, 2, 2)])
def test_edges_of_nothing_and_of_flat_volumes(shape):
    assert not alignment.edge_map(np.zeros(shape), (1, 1, 1)).any()
    half = np.zeros(shape, np.float32)
    half[..., shape[2] // 2 :] = 1.0
    assert alignment.edge_map(half, (1, 1, 1)).shape == shape


def test_edges_over_a_volume():
    edges = np.zeros((2, 3, 4), dtype=bool)
    edges[1, 2, 3] = True
    image = alignment.edges_over(edges, np.full((2, 3, 4), 0.5))
    assert image.dtype == np.uint8 and image.shape == (2, 3, 4, 3)
    assert tuple(image[1, 2, 3]) == alignment.EDGE_COLOR
    assert (image[~edges] == 128).all()


# --- checkerboard ----------------------------------------------------------------------------------

sizes = st.tuples(*[st.integers(1, 12)] * 3)
spacings = st.tuples(*[st.floats(0.5, 5.0)] * 3)


@given(sizes, spacings, st.floats(0.1, 60.0), st.booleans())
@settings(max_examples=60, deadline=None)
def test_every_voxel_comes_from_one_of_both(shape, spacing, tile, color):
    shape = shape + ((3,) if color else ())
    first, second = np.zeros(shape), np.ones(shape)
    board = alignment.checkerboard(first, second, spacing, tile)
    assert board.shape == shape and set(np.unique(board)) <= {0.0, 1.0}
    assert (board[0, 0, 0] == 0.0).all()
    # Swapping both swaps every voxel.
    assert np.array_equal(alignment.checkerboard(second, first, spacing, tile), 1.0 - board)
    assert np.array_equal(alignment.checkerboard(first, first, spacing, tile), first)


def test_tiles_have_their_size_in_millimeters():
    shape = (8, 40, 20)
    board = alignment.checkerboard(np.zeros(shape), np.ones(shape), (2.0, 1.0, 5.0), 10.0)
    assert np.array_equal(board[0, 0, :12], [0] * 5 + [1] * 5 + [0] * 2)
    assert np.array_equal(board[0, :12, 0], [0] * 10 + [1] * 2)
    assert np.array_equal(board[:6, 0, 0], [0, 0, 1, 1, 0, 0])


@pytest.mark.parametrize("tile", [0.0, -1.0, float("nan"), 1e6])
def test_checkerboard_refuses_odd_tiles_and_other_grids(tile):
    with pytest.raises(InputError, match="tiles"):
        alignment.checkerboard(np.zeros((2, 2, 2)), np.ones((2, 2, 2)), (1, 1, 1), tile)
    with pytest.raises(InputError, match="one grid"):
        alignment.checkerboard(np.zeros((2, 2, 2)), np.ones((2, 2, 3)), (1, 1, 1), 5.0)


def test_color_of_values():
    table = alignment.hot_table()
    image = alignment.tinted(np.array([[[-1.0, 0.0, 1 / 3, 1.0, 2.0]]]), table)[0, 0]
    assert image.tolist() == [[0, 0, 0], [0, 0, 0], [255, 0, 0], [255, 255, 255], [255, 255, 255]]
    assert (np.diff(table.sum(axis=1)) > 0).all()


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_a_part_of_a_picture_is_as_in_the_whole(data):
    image, _, spacing = ball((12, 20, 18))
    image += np.random.default_rng(0).uniform(0, 0.3, image.shape).astype(np.float32)
    block = []
    for size in image.shape:
        start = data.draw(st.integers(0, size - 1))
        block.append(slice(start, data.draw(st.integers(start + 1, size))))
    block = tuple(block)
    whole = alignment.edge_map(image, spacing)
    assert 0.01 < whole.mean() < 0.5
    assert np.array_equal(alignment.Edges(image, spacing).within(block), whole[block])
    board = alignment.checkerboard(image, -image, spacing, 7.0)
    start = [part.start for part in block]
    part = alignment.checkerboard(image[block], -image[block], spacing, 7.0, start)
    assert np.array_equal(part, board[block])


# --- in the views ----------------------------------------------------------------------------------


@pytest.fixture
def nodes(slicer, pair):
    from FunFuseSlicer.Logic.scene import inputs

    mri, pet = pair
    return inputs.add_volume_node(mri), inputs.add_volume_node(pet)


def composites(slicer):
    """Of the views on screen: other layouts that were shown before leave theirs."""
    from FunFuseSlicer.Logic.scene import views

    logics = [logic for logic in views.slice_logics() if logic.GetSliceNode().IsMappedInLayout()]
    return [logic.GetSliceCompositeNode() for logic in logics]


def state(slicer):
    """All that a check may touch: nodes and layers."""
    nodes = [slicer.mrmlScene.GetNthNode(n) for n in range(slicer.mrmlScene.GetNumberOfNodes())]
    layers = [
        (
            c.GetBackgroundVolumeID(),
            c.GetForegroundVolumeID(),
            c.GetLabelVolumeID(),
            c.GetForegroundOpacity(),
            c.GetLabelOpacity(),
            c.GetCompositing(),
        )
        for c in composites(slicer)
    ]
    return [node.GetID() for node in nodes], layers


def arrange(slicer, mri, pet):
    """Layers that differ from view to view."""
    for index, composite in enumerate(composites(slicer)):
        composite.SetBackgroundVolumeID(mri.GetID())
        composite.SetForegroundVolumeID(pet.GetID() if index else None)
        composite.SetForegroundOpacity(0.25 * index)
        composite.SetLabelOpacity(0.5)
        composite.SetCompositing(2 if index == 1 else 0)


def shown(slicer):
    """The array in the background of all views."""
    ids = {composite.GetBackgroundVolumeID() for composite in composites(slicer)}
    assert len(ids) == 1
    return slicer.mrmlScene.GetNodeByID(ids.pop())


def test_each_check_shows_and_gives_everything_back(slicer, nodes):
    from FunFuseSlicer.Logic.scene.alignment import NAME, AlignmentView

    mri, pet = nodes
    arrange(slicer, mri, pet)
    before = state(slicer)
    view = AlignmentView(mri, pet)

    view.show_edges()
    node = shown(slicer)
    assert node.GetName() == NAME and not node.GetSaveWithScene() and node.GetHideFromEditors()
    assert not node.GetDisplayNode().GetSaveWithScene()
    image = slicer.util.arrayFromVolume(node)
    assert image.dtype == np.uint8 and image.shape == (*slicer.util.arrayFromVolume(mri).shape, 3)
    green = (image == alignment.EDGE_COLOR).all(axis=-1)
    assert 100 < green.sum() < 0.3 * green.size
    assert all(composite.GetForegroundVolumeID() is None for composite in composites(slicer))

    view.show_checkerboard(12.0)
    assert shown(slicer) is node
    board = slicer.util.arrayFromVolume(node)
    gray = (board[..., 0] == board[..., 1]) & (board[..., 1] == board[..., 2])
    assert 0.3 < gray.mean() < 1.0 and not np.array_equal(board, image)

    for show_pet in (True, False):
        view.show_flicker(show_pet)
        for composite in composites(slicer):
            assert composite.GetBackgroundVolumeID() == mri.GetID()
            assert composite.GetForegroundVolumeID() == pet.GetID()
            assert composite.GetForegroundOpacity() == float(show_pet)
    view.show_edges()
    view.close()
    assert state(slicer) == before
    view.close()
    assert state(slicer) == before


@pytest.mark.parametrize("kind", ["edges", "checkerboard"])
def test_the_slices_that_are_shown_come_first(slicer, nodes, kind):
    """They are there when the picture comes into the views; the rest can be cancelled, and takes it away."""
    from FunFuseSlicer.Logic.errors import Cancelled
    from FunFuseSlicer.Logic.monitor import Monitor
    from FunFuseSlicer.Logic.scene import views
    from FunFuseSlicer.Logic.scene.alignment import NAME, AlignmentView

    mri, pet = nodes
    arrange(slicer, mri, pet)
    before, seen, fractions = state(slicer), [], []

    def look(_stage, fraction):
        fractions.append(fraction)
        background = slicer.mrmlScene.GetNodeByID(composites(slicer)[0].GetBackgroundVolumeID())
        if background.GetName().startswith(NAME) and not seen:
            seen.append(slicer.util.arrayFromVolume(background).copy())

    view = AlignmentView(mri, pet, Monitor(look))
    getattr(view, f"show_{kind}")()
    whole = slicer.util.arrayFromVolume(shown(slicer)).copy()
    logics = [logic for logic in views.slice_logics() if logic.GetSliceNode().IsMappedInLayout()]
    assert len(logics) == 3
    for logic in logics:
        where = views.shown_voxels_of(logic, mri)
        assert whole[where].any() and np.array_equal(seen[0][where], whole[where])
    assert max(filter(None, fractions)) > 0
    view.close()

    def cancel_the_rest(stage, fraction):
        look(stage, fraction)
        if seen:
            monitor.cancel()

    seen.clear()
    monitor = Monitor(cancel_the_rest)
    with pytest.raises(Cancelled):
        getattr(AlignmentView(mri, pet, monitor), f"show_{kind}")()
    assert seen and state(slicer) == before


def test_views_across_the_voxels_show_the_picture_when_it_is_whole(slicer, nodes):
    from FunFuseSlicer.Logic.scene import views
    from FunFuseSlicer.Logic.scene.alignment import AlignmentView

    mri, pet = nodes
    view = AlignmentView(mri, pet)
    view.show_edges()
    whole = slicer.util.arrayFromVolume(shown(slicer)).copy()
    view.close()
    for logic in views.slice_logics():
        logic.GetSliceNode().GetSliceToRAS().SetElement(0, 1, 0.2)
        logic.GetSliceNode().UpdateMatrices()
    view.show_edges()
    assert np.array_equal(slicer.util.arrayFromVolume(shown(slicer)), whole)
    view.close()


def test_a_pet_under_a_transform_is_checked_where_it_lies(slicer, nodes):
    from FunFuseSlicer.Logic.scene.alignment import AlignmentView

    mri, pet = nodes
    view = AlignmentView(mri, pet)
    view.show_checkerboard()
    still = slicer.util.arrayFromVolume(shown(slicer)).copy()
    nudge = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = np.eye(4)
    matrix[0, 3] = 12.0
    nudge.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    pet.SetAndObserveTransformNodeID(nudge.GetID())
    view.show_checkerboard()
    assert not np.array_equal(slicer.util.arrayFromVolume(shown(slicer)), still)
    matrix[0, 3] = 5000.0
    nudge.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    with pytest.raises(InputError, match='"FDG" and "T1" do not overlap'):
        view.show_edges()
    view.close()


def test_volumes_removed_meanwhile_leave_empty_layers(slicer, nodes):
    from FunFuseSlicer.Logic.scene.alignment import AlignmentView

    mri, pet = nodes
    arrange(slicer, mri, pet)
    view = AlignmentView(mri, pet)
    view.show_edges()
    slicer.mrmlScene.RemoveNode(shown(slicer))
    view.show_edges()
    slicer.mrmlScene.RemoveNode(pet)
    view.close()
    for composite in composites(slicer):
        assert composite.GetBackgroundVolumeID() == mri.GetID() and composite.GetForegroundVolumeID() is None


def test_the_mri_lies_under_a_transform(slicer, nodes):
    from FunFuseSlicer.Logic.scene.alignment import AlignmentView

    mri, pet = nodes
    parent = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    for node in nodes:
        node.SetAndObserveTransformNodeID(parent.GetID())
    view = AlignmentView(mri, pet)
    view.show_edges()
    assert shown(slicer).GetParentTransformNode() is parent
    view.close()


def test_pictures_differ_for_a_pet_that_is_off(pair):
    """Along the edges of the MRI the PET has its own edges when both are aligned, else not."""
    mri, pet = pair
    unit = pet.array / pet.array.max()
    edges = alignment.edge_map(mri.array / mri.array.max(), mri.spacing)
    slope = np.linalg.norm(np.stack(np.gradient(unit)), axis=0)
    off = np.roll(slope, 4, axis=2)
    assert slope[edges].mean() > 1.5 * off[edges].mean()
