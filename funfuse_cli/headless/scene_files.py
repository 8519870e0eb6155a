"""Scene bundles (.mrb): the scene's XML file and the data file of every node, in one zip file.

Writing and reading are done by Slicer's own vtkMRMLScene (WriteToMRB, ReadFromMRB), called the way the
application calls them in Modules/Loadable/Data/qSlicerSceneWriter.cxx and
Base/QTCore/qSlicerSceneBundleReader.cxx. See
https://slicer.readthedocs.io/en/latest/user_guide/data_loading_and_saving.html.
"""

import os
import pathlib

import slicer
import vtk

from .unavailable import NotAvailableHeadless


def save_mrb(path):
    """Save `slicer.mrmlScene` as a scene bundle; an existing file is replaced.

    Every storable node gets a data file in the bundle (volumes .nrrd, transforms .h5, tables .tsv, color
    tables that are not built in), and the views, display nodes, attributes and subject hierarchy go
    into the scene file.

    :param path: file name ending in ".mrb", in a folder that exists.
    :return: absolute path of the bundle, a `pathlib.Path`.
    :raises ValueError: if the name has another ending.
    :raises OSError: if the bundle, or the data of any node, cannot be written; the text says why.
    """
    target = _bundle_path(path)
    if not target.parent.is_dir():
        raise FileNotFoundError(f"no folder {target.parent}")
    messages = slicer.vtkMRMLMessageCollection()
    if not write_scene(target, messages):
        raise OSError(f"could not save {target}: {messages.GetAllMessagesAsString()}")
    return target


def load_mrb(path, clear=True):
    """Load a scene bundle into `slicer.mrmlScene`.

    :param path: file name ending in ".mrb".
    :param clear: close the scene first, so that nodes get the IDs they were saved with. Otherwise the
        bundle is added to the scene, and IDs that are taken are changed, as Slicer does by default.
    :raises ValueError: if the name has another ending.
    :raises OSError: if there is no such file, or it or a data file in it cannot be read.
    """
    source = _bundle_path(path)
    if not source.is_file():
        raise FileNotFoundError(f"no file {source}")
    messages = slicer.vtkMRMLMessageCollection()
    if not read_scene(source, clear, messages):
        raise OSError(f"could not load {source}: {messages.GetAllMessagesAsString()}")


def save_node(node, path):
    """Write one node's data to a file, as `slicer.util.saveNode` does, but an error is raised.

    The format follows the ending, such as ".nrrd" or ".nii.gz" for a volume, ".tfm" or ".h5" for a
    transform. As in Slicer the node then belongs to that file: its storage node keeps the name.

    :param node: storable node of `slicer.mrmlScene`.
    :param path: file name, in a folder that exists; an existing file is replaced.
    :return: absolute path of the file, a `pathlib.Path`.
    :raises OSError: if the file cannot be written, or the node cannot be written with that ending.
    """
    target = pathlib.Path(os.path.abspath(path))
    if not target.parent.is_dir():
        raise FileNotFoundError(f"no folder {target.parent}")
    messages = slicer.vtkMRMLMessageCollection()
    if not write_node(node, target, messages) or not target.is_file():
        raise OSError(f"could not save {node.GetName()} as {target}: {messages.GetAllMessagesAsString()}")
    return target


def clear_scene():
    """Close the scene, as File > Close Scene does: views, colors and selection are reset, not removed."""
    slicer.mrmlScene.Clear(0)


def write_node(node, path, messages, use_compression=None):
    """Write one node's data with its storage node, which is made if there is none.

    :param node: storable node of `slicer.mrmlScene`.
    :param path: file name.
    :param messages: vtkMRMLMessageCollection that receives what went wrong.
    :param use_compression: whether to compress; None leaves the storage node's setting.
    :return: whether it was written.
    """
    target = str(pathlib.Path(path).absolute())
    storage = node.GetStorageNode()
    if storage is None:
        node.AddDefaultStorageNode(target)
        storage = node.GetStorageNode()
    # The file may have another name than before, so the check is on the extension that can be written.
    extension = storage.GetSupportedFileExtension(target, False, True) if storage is not None else ""
    if not extension:
        messages.AddMessage(vtk.vtkCommand.ErrorEvent, f"no way to write {os.path.basename(target)}")
        return False
    storage.SetFileName(target)
    if use_compression is not None:
        storage.SetUseCompression(int(use_compression))
    written = bool(storage.WriteData(node))
    messages.AddMessages(storage.GetUserMessages())
    return written


def write_scene(path, messages):
    """Write the scene as a bundle, or as a scene file (.mrml) without the data.

    :param path: file name ending in ".mrb" or ".mrml".
    :param messages: vtkMRMLMessageCollection that receives what went wrong.
    :return: whether everything was written.
    """
    target = pathlib.Path(path).absolute()
    scene = slicer.mrmlScene
    if target.suffix not in (".mrb", ".mrml"):
        raise NotAvailableHeadless("saving the scene as a folder")
    # The application remembers the place as the default for the next save.
    scene.SetURL(str(target))
    scene.SetRootDirectory(str(target.parent))
    if target.suffix == ".mrml":
        return bool(scene.Commit("", messages))
    written = scene.WriteToMRB(str(target), None, messages)
    if written:
        # The data went into the bundle only: a later save of data files must write them again.
        scene.SetStorableNodesModifiedSinceRead()
    # The scene reports success when only the zip file failed part way, so look at the messages too.
    errors = messages.GetNumberOfMessagesOfType(vtk.vtkCommand.ErrorEvent)
    return bool(written) and errors == 0 and target.is_file()


def read_scene(path, clear, messages):
    """Read a bundle or a scene file.

    :param path: file name ending in ".mrb" or ".mrml".
    :param clear: close the scene first.
    :param messages: vtkMRMLMessageCollection that receives what went wrong.
    :return: whether everything was read.
    """
    source = pathlib.Path(path).absolute()
    scene = slicer.mrmlScene
    if source.suffix == ".mrb":
        success = scene.ReadFromMRB(str(source), bool(clear), messages)
    else:
        scene.SetURL(str(source))
        success = scene.Connect(messages) if clear else scene.Import(messages)
    errors = messages.GetNumberOfMessagesOfType(vtk.vtkCommand.ErrorEvent)
    return bool(success) and errors == 0


def _bundle_path(path):
    bundle = pathlib.Path(os.path.abspath(path))
    if bundle.suffix != ".mrb":
        raise ValueError(f"a scene bundle ends in .mrb: {bundle.name}")
    return bundle
