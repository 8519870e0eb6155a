"""Pictures of slice views, computed by Slicer's slice logic without a window, and contact sheets of them.

The slice logic (vtkMRMLSliceLogic) reslices the volumes, applies their display nodes (window/level,
threshold, colors, interpolation), their transforms and the opacity of the layers, and blends them: the
pixels are those that Slicer's slice view shows. Annotations that a view draws on top (text, rulers,
markups, models, segmentations) are not part of it.
"""

import contextlib
import functools
import os

import numpy as np
import slicer
import vtk
from vtk.util import numpy_support

# For each orientation: the RAS axis across the picture, the one up the picture, and the one along its
# normal. See vtkMRMLSliceNode::AddDefaultSliceOrientationPresets.
_AXES = {"Axial": (0, 1, 2), "Sagittal": (1, 2, 0), "Coronal": (0, 2, 1)}


def render_slice(
    background,
    foreground=None,
    foreground_opacity=1.0,
    orientation="Axial",
    offset_mm=None,
    size=(512, 512),
    field_of_view_mm=None,
    center=None,
    crop_above=None,
):
    """Return the picture of one slice of one or two volumes, as Slicer's slice view shows it.

    The convention is Slicer's default, the radiological one: in axial and coronal pictures the patient's
    right is on the left side of the screen, in sagittal pictures anterior is on the left; up is
    anterior (axial) or superior. What no volume covers is black.

    :param background: volume node of the scene.
    :param foreground: volume node shown over it, or None.
    :param foreground_opacity: 0 to 1.
    :param orientation: "Axial", "Sagittal" or "Coronal".
    :param offset_mm: position of the slice along its normal, in mm of RAS (S, R or A), or a point in RAS
        (three numbers) that the slice goes through. By default the center of the background volume.
    :param size: (width, height) in pixels. One of the two may be None: it follows from the other so that
        the picture has the aspect ratio of what it shows.
    :param field_of_view_mm: width of the picture in mm, or (width, height), of which as much is shown
        as fits with square pixels and neither is cut. By default what the volume, or its cropped part,
        takes up.
    :param center: point in RAS (three numbers) at the middle of the picture. By default the middle of
        what is shown; the component along the normal is not used.
    :param crop_above: show only the box around the background's voxels above this value, with a margin of
        3 %, instead of the whole volume; the box is the same for all slices of a volume.
    :return: array (height, width, 3) of uint8, RGB, first row on top.
    :raises ValueError: for an unknown orientation, a volume without image or not in the scene, a
        foreground opacity outside 0 to 1, a size that is not positive, or nothing above `crop_above`.
    """
    if orientation not in _AXES:
        raise ValueError(f"the orientation must be one of {', '.join(_AXES)}, not {orientation!r}")
    if not 0 <= foreground_opacity <= 1:
        raise ValueError(f"the opacity must be between 0 and 1, not {foreground_opacity}")
    for volume in (background,) if foreground is None else (background, foreground):
        _check_volume(volume)
    box = _ras_box(background, crop_above)
    middle = box.mean(axis=0) if center is None else np.asarray(center, float)
    across, up, normal = _AXES[orientation]
    middle[normal] = _slice_position(box.mean(axis=0)[normal], offset_mm, normal)
    extent = _extent(box, (across, up), field_of_view_mm, size)
    width, height = _pixel_size(extent, size)
    mm_per_pixel = max(extent[0] / width, extent[1] / height)

    with _temporary_slice_logic() as (logic, slice_node, composite_node):
        composite_node.SetBackgroundVolumeID(background.GetID())
        if foreground is not None:
            composite_node.SetForegroundVolumeID(foreground.GetID())
            composite_node.SetForegroundOpacity(foreground_opacity)
        slice_node.SetOrientation(orientation)
        slice_node.SetDimensions(width, height, 1)
        slice_node.SetFieldOfView(width * mm_per_pixel, height * mm_per_pixel, 1.0)
        to_ras = slice_node.GetSliceToRAS()
        for axis in range(3):
            to_ras.SetElement(axis, 3, middle[axis])
        slice_node.UpdateMatrices()
        logic.UpdatePipeline()
        return _picture(logic, width, height)


def compose(
    tiles,
    row_labels=None,
    column_labels=None,
    gutter=4,
    font_size=18,
    background=(24, 24, 24),
    text_color=(208, 208, 208),
):
    """Return a contact sheet: tiles in a grid, with captions at the left of the rows and above the columns.

    A cell is as wide as the widest tile of its column and as high as the highest of its row; smaller
    tiles are centered in it. Captions that do not fit into their cell are made smaller, then cut. They are
    set in DejaVu Sans if matplotlib is there, otherwise in Pillow's own font, which has no Greek letters.

    :param tiles: list of rows, each a list of arrays (height, width, 3) of uint8, or None for no tile.
    :param row_labels: list of captions, one per row; None for no captions.
    :param column_labels: list of captions, one per column; None for no captions.
    :param gutter: pixels between tiles and around the sheet.
    :param font_size: height of the captions in pixels.
    :param background: RGB color between the tiles, 0 to 255.
    :param text_color: RGB color of the captions, 0 to 255.
    :return: array (height, width, 3) of uint8.
    :raises ValueError: if there is no tile, or there are more or fewer captions than rows or columns,
        or a tile has another shape or type.
    """
    from PIL import Image, ImageDraw

    rows = [list(row) for row in tiles]
    columns = max((len(row) for row in rows), default=0)
    if not any(tile is not None for row in rows for tile in row):
        raise ValueError("there is no tile to show")
    for row in rows:
        row.extend([None] * (columns - len(row)))
    _check_tiles(rows)
    for labels, count, kind in ((row_labels, len(rows), "row"), (column_labels, columns, "column")):
        if labels is not None and len(labels) != count:
            raise ValueError(f"{len(labels)} {kind} captions for {count} {kind}s")

    heights = [max((tile.shape[0] for tile in row if tile is not None), default=0) for row in rows]
    widths = [max((row[i].shape[1] for row in rows if row[i] is not None), default=0) for i in range(columns)]
    top = font_size + 2 * (font_size // 3) if column_labels else 0
    left = 0
    if row_labels:
        left = max(_text_size(label, font_size)[0] for label in row_labels) + 2 * (font_size // 2)
    # Positions of the cells; the captions take the place of the outer gutter where there are any.
    xs = [max(left, gutter) + sum(widths[:i]) + i * gutter for i in range(columns)]
    ys = [max(top, gutter) + sum(heights[:i]) + i * gutter for i in range(len(rows))]
    sheet = Image.new("RGB", (xs[-1] + widths[-1] + gutter, ys[-1] + heights[-1] + gutter), background)
    for row, y, height in zip(rows, ys, heights):
        for tile, x, width in zip(row, xs, widths):
            if tile is not None:
                place = (x + (width - tile.shape[1]) // 2, y + (height - tile.shape[0]) // 2)
                sheet.paste(Image.fromarray(tile), place)
    draw = ImageDraw.Draw(sheet)
    for label, x, width in zip(column_labels or [], xs, widths):
        _draw_text(draw, label, (x + width / 2, top / 2), width, font_size, text_color)
    for label, y, height in zip(row_labels or [], ys, heights):
        _draw_text(draw, label, (left / 2, y + height / 2), left, font_size, text_color)
    return np.asarray(sheet)


def _check_volume(volume):
    if not isinstance(volume, slicer.vtkMRMLVolumeNode):
        raise ValueError(f"not a volume node: {volume!r}")
    if volume.GetScene() is not slicer.mrmlScene:
        raise ValueError(f"volume {volume.GetName()} is not in the scene")
    if volume.GetImageData() is None or volume.GetImageData().GetNumberOfPoints() == 0:
        raise ValueError(f"volume {volume.GetName()} has no image")
    if volume.GetDisplayNode() is None:
        raise ValueError(f"volume {volume.GetName()} has no display node, so Slicer would not show it")


def _ras_box(volume, crop_above):
    """Return the corners of the box to show, array (2, 3) in RAS mm, low corner first."""
    if crop_above is None:
        bounds = np.zeros(6)
        volume.GetRASBounds(bounds)
        return bounds.reshape(3, 2).T.copy()
    array = slicer.util.arrayFromVolume(volume)
    mask = array > crop_above
    if mask.ndim == 4:
        mask = mask.any(axis=3)
    if not mask.any():
        raise ValueError(f"no voxel of {volume.GetName()} is above {crop_above}")
    # Voxel edges of the box of true voxels, in the order I, J, K.
    low, high = [], []
    for axis in (2, 1, 0):
        used = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        low.append(used[0] - 0.5)
        high.append(used[-1] + 0.5)
    margin = 0.03 * (np.array(high) - low)
    corners = np.array(np.meshgrid(*zip(low - margin, high + margin))).reshape(3, -1).T
    points = np.array([_to_world(volume, corner) for corner in corners])
    return np.array([points.min(axis=0), points.max(axis=0)])


def _to_world(volume, ijk):
    """Return the RAS position of a voxel position, with the volume's transform applied."""
    to_ras = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(to_ras)
    point = to_ras.MultiplyPoint((*ijk, 1.0))[:3]
    if volume.GetParentTransformNode() is None:
        return point
    transform = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(volume.GetParentTransformNode(), None, transform)
    return transform.TransformPoint(point)


def _slice_position(default, offset_mm, normal):
    if offset_mm is None:
        return default
    return float(offset_mm) if np.ndim(offset_mm) == 0 else float(offset_mm[normal])


def _extent(box, axes, field_of_view_mm, size):
    """Return (width, height) in mm of what must be visible."""
    extent = [box[1][axis] - box[0][axis] for axis in axes]
    if field_of_view_mm is None:
        return extent
    if np.ndim(field_of_view_mm) == 1:
        return [float(length) for length in field_of_view_mm]
    width = float(field_of_view_mm)
    if None in size:
        return [width, width * extent[1] / extent[0]]
    return [width, width * size[1] / size[0]]


def _pixel_size(extent, size):
    width, height = size
    if width is None and height is None:
        raise ValueError("the width or the height of the picture must be given")
    if width is None:
        width = max(1, round(height * extent[0] / extent[1]))
    if height is None:
        height = max(1, round(width * extent[1] / extent[0]))
    if width < 1 or height < 1 or min(extent) <= 0:
        raise ValueError(f"the picture has no area: {width} x {height} pixels, {extent} mm")
    return int(width), int(height)


@contextlib.contextmanager
def _temporary_slice_logic():
    """Give a slice logic with its own slice and composite nodes, and remove all of it afterwards."""
    scene = slicer.mrmlScene
    slice_views = _slice_views()
    known = {scene.GetNthNode(index) for index in range(scene.GetNumberOfNodes())}
    slice_views.pause(True)
    logic = slicer.vtkMRMLSliceLogic()
    try:
        logic.SetMRMLApplicationLogic(slicer.app.applicationLogic())
        slice_node = scene.CreateNodeByClass("vtkMRMLSliceNode")
        slice_node.UnRegister(None)
        # A name that no layout uses: the logic finds its composite node by it.
        slice_node.SetName("HeadlessRendering")
        slice_node.SetLayoutName("HeadlessRendering")
        scene.AddNode(slice_node)
        logic.SetSliceNode(slice_node)
        logic.SetMRMLScene(scene)
        composite_node = logic.GetSliceCompositeNode()
        # Linked views would follow this one.
        composite_node.SetLinkedControl(0)
        composite_node.SetHotLinkedControl(0)
        yield logic, slice_node, composite_node
    finally:
        logic.SetMRMLScene(None)
        for index in reversed(range(scene.GetNumberOfNodes())):
            node = scene.GetNthNode(index)
            if node not in known:
                scene.RemoveNode(node)
        slice_views.pause(False)


def _slice_views():
    from .boot import kept

    return kept("slice_views")


def _picture(logic, width, height):
    """Return the logic's output over black, as a window with a black background shows it."""
    connection = logic.GetImageDataConnection()
    if connection is None:
        return np.zeros((height, width, 3), np.uint8)
    producer = connection.GetProducer()
    producer.Update()
    image = producer.GetOutputDataObject(connection.GetIndex())
    scalars = numpy_support.vtk_to_numpy(image.GetPointData().GetScalars())
    # VTK's first row is at the bottom.
    pixels = scalars.reshape(height, width, -1)[::-1]
    if pixels.shape[2] == 4:
        alpha = pixels[..., 3:].astype(np.uint16)
        return ((pixels[..., :3] * alpha + 127) // 255).astype(np.uint8)
    return np.ascontiguousarray(pixels[..., :3])


def _check_tiles(rows):
    for tile in (tile for row in rows for tile in row if tile is not None):
        if tile.ndim != 3 or tile.shape[2] != 3 or tile.dtype != np.uint8:
            raise ValueError(f"a tile is (height, width, 3) of uint8, not {tile.shape} of {tile.dtype}")


@functools.cache
def font(size):
    """The letters of captions, of a height in pixels, for Pillow."""
    from PIL import ImageFont

    try:
        import matplotlib
    except ImportError:
        # Pillow's own sans serif has English letters only: others come out as empty boxes.
        return ImageFont.load_default(size=size)
    # DejaVu Sans, which comes with matplotlib, has Greek and accented letters and mathematical signs.
    return ImageFont.truetype(
        os.path.join(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), size
    )


def _text_size(text, font_size):
    left, top, right, bottom = font(font_size).getbbox(text)
    return right - left, bottom - top


def _draw_text(draw, text, middle, available, font_size, color):
    size = font_size
    while size > 9 and _text_size(text, size)[0] > available:
        size -= 1
    shown = text
    while len(shown) > 1 and _text_size(shown, size)[0] > available:
        shown = shown.rstrip("\u2026")[:-1] + "\u2026"
    draw.text(middle, shown, font=font(size), fill=color, anchor="mm")
