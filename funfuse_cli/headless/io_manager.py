"""Reading and writing files for `slicer.util`: volumes, transforms, storable nodes and scenes.

Stands for qSlicerCoreIOManager and its readers and writers (Base/QTCore/qSlicerCoreIOManager.cxx,
Modules/Loadable/Volumes/qSlicerVolumesReader.cxx, Base/QTGUI/qSlicerNodeWriter.cxx,
Modules/Loadable/Data/qSlicerSceneWriter.cxx). The work itself is done by Slicer's own storage nodes.
"""

import os

import slicer

from . import scene_files
from .unavailable import NotAvailableHeadless

_VOLUME_EXTENSIONS = (".nrrd", ".nhdr", ".nii", ".nii.gz", ".mha", ".mhd")
_TRANSFORM_EXTENSIONS = (".h5", ".tfm")
_SCENE_EXTENSIONS = (".mrb", ".mrml")

_WRITER_TYPES = (
    ("vtkMRMLVolumeNode", "VolumeFile"),
    ("vtkMRMLTransformNode", "TransformFile"),
    ("vtkMRMLTableNode", "TableFile"),
    ("vtkMRMLTextNode", "TextFile"),
    ("vtkMRMLColorNode", "ColorTableFile"),
)


class IOManager:
    """The methods of qSlicerCoreIOManager that `slicer.util` calls; others raise `NotAvailableHeadless`."""

    def fileType(self, path):
        """Return the file type for reading a file, such as "VolumeFile", judged by its extension."""
        name = str(path).lower()
        for extensions, file_type in (
            (_VOLUME_EXTENSIONS, "VolumeFile"),
            (_TRANSFORM_EXTENSIONS, "TransformFile"),
            (_SCENE_EXTENSIONS, "SceneFile"),
        ):
            if name.endswith(extensions):
                return file_type
        raise NotAvailableHeadless(f"reading {os.path.basename(name)}")

    def fileWriterFileType(self, node):
        """Return the file type for writing a node."""
        for class_name, file_type in _WRITER_TYPES:
            if node.IsA(class_name):
                return file_type
        raise NotAvailableHeadless(f"writing a {node.GetClassName()}")

    def loadNodes(self, fileType, properties, loadedNodes=None, userMessages=None):
        """Load a file; return whether it worked.

        :param fileType: "VolumeFile", "TransformFile" or "SceneFile".
        :param properties: dict with "fileName" and the options of the reader.
        :param loadedNodes: vtkCollection that receives the loaded nodes.
        :param userMessages: vtkMRMLMessageCollection that receives messages.
        """
        readers = {
            "VolumeFile": self._load_volume,
            "TransformFile": self._load_transform,
            "SceneFile": self._load_scene,
        }
        if fileType not in readers:
            raise NotAvailableHeadless(f"reading file type {fileType}")
        messages = slicer.vtkMRMLMessageCollection() if userMessages is None else userMessages
        success, nodes = readers[fileType](properties, messages)
        for node in nodes if loadedNodes is not None else ():
            loadedNodes.AddItem(node)
        return success

    def saveNodes(self, fileType, properties, userMessages=None):
        """Write a node or the scene; return whether it worked.

        :param fileType: "SceneFile", or the type that `fileWriterFileType` gives for the node.
        :param properties: dict with "fileName", and "nodeID" unless the scene is written;
            "useCompression" is passed on to the storage node.
        :param userMessages: vtkMRMLMessageCollection that receives messages.
        """
        messages = slicer.vtkMRMLMessageCollection() if userMessages is None else userMessages
        if fileType == "SceneFile":
            return scene_files.write_scene(properties["fileName"], messages)
        if fileType not in [file_type for _, file_type in _WRITER_TYPES]:
            raise NotAvailableHeadless(f"writing file type {fileType}")
        node = slicer.mrmlScene.GetNodeByID(properties["nodeID"])
        compression = properties.get("useCompression")
        return scene_files.write_node(node, properties["fileName"], messages, compression)

    def _load_volume(self, properties, messages):
        path = str(properties["fileName"])
        if "fileNames" in properties:
            raise NotAvailableHeadless('the "fileNames" property of loadVolume')
        bits = ("labelmap", "center", "singleFile", "autoWindowLevel", "discardOrientation")
        options = sum(1 << bit for bit, name in enumerate(bits) if properties.get(name))
        # Qt's base name, which Slicer takes, ends at the first dot.
        name = properties.get("name") or os.path.basename(path).split(".")[0]
        logic = slicer.modules.volumes.logic()
        node = logic.AddArchetypeVolume(path, name, options, None, messages)
        if node is None:
            return False, []
        if properties.get("colorNodeID"):
            node.GetDisplayNode().SetAndObserveColorNodeID(properties["colorNodeID"])
        if properties.get("show", True):
            application_logic = slicer.app.applicationLogic()
            selection = application_logic.GetSelectionNode()
            if node.IsA("vtkMRMLLabelMapVolumeNode"):
                selection.SetActiveLabelVolumeID(node.GetID())
            else:
                selection.SetActiveVolumeID(node.GetID())
            application_logic.PropagateVolumeSelection()
        return True, [node]

    def _load_transform(self, properties, messages):
        logic = slicer.modules.transforms.logic()
        node = logic.AddTransform(str(properties["fileName"]), slicer.mrmlScene, messages)
        return node is not None, [node] if node is not None else []

    def _load_scene(self, properties, messages):
        known = {slicer.mrmlScene.GetNthNode(i) for i in range(slicer.mrmlScene.GetNumberOfNodes())}
        clear = bool(properties.get("clear", False))
        success = scene_files.read_scene(properties["fileName"], clear, messages)
        nodes = [slicer.mrmlScene.GetNthNode(i) for i in range(slicer.mrmlScene.GetNumberOfNodes())]
        return success, [node for node in nodes if node not in known]

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        raise NotAvailableHeadless(f"slicer.app.coreIOManager().{name}")
