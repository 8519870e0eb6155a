"""Starting Slicer's libraries: the scene, the application logic, the module logics, and the missing names."""

import atexit
import importlib.metadata
import pathlib
import shutil
import sys
import tempfile
import types

# Module name and class of its C++ logic, in the order of their dependencies. Colors comes first, because
# display nodes of the others refer to color nodes.
_LOGICS = (
    ("Colors", "vtkSlicerColorLogic"),
    ("Units", "vtkSlicerUnitsLogic"),
    ("Volumes", "vtkSlicerVolumesLogic"),
    ("SubjectHierarchy", "vtkSlicerSubjectHierarchyModuleLogic"),
    ("Transforms", "vtkSlicerTransformLogic"),
    ("Tables", "vtkSlicerTablesLogic"),
    ("Texts", "vtkSlicerTextsLogic"),
    ("Plots", "vtkSlicerPlotsLogic"),
    ("Models", "vtkSlicerModelsLogic"),
    ("Markups", "vtkSlicerMarkupsLogic"),
    ("Segmentations", "vtkSlicerSegmentationsModuleLogic"),
    ("Sequences", "vtkSlicerSequencesLogic"),
    ("CropVolume", "vtkSlicerCropVolumeLogic"),
)

_TEMPORARY = "SlicerHeadless-"

# Kept for the life of the process: Python-side observers and logics that nothing in C++ holds.
_kept = {}


def boot():
    """Start Slicer's libraries once; later calls return the same module.

    Gives the `slicer` package its application parts: `mrmlScene`, `app`, `modules`,
    `ScriptedLoadableModule`, `i18n` and `parameterNodeWrapper`; and the modules `qt`, `ctk` and
    `slicer.cli`. Qt itself starts when the first widget is asked for, see `headless.widgets`. Two things
    are as in an application with its main window rather than without: the conventional layout with the
    slice views Red, Yellow and Green, and subject hierarchy items for all data nodes.

    Not there: color tables that the application reads from its ColorFiles folder (such as
    GenericColors, Viridis, Plasma), terminologies, command line modules.

    :return: the `slicer` module.
    :raises ModuleNotFoundError: if slicer-core is not installed.
    :raises RuntimeError: inside the real application.
    """
    if "slicer" in _kept:
        return _kept["slicer"]
    import slicer

    if hasattr(slicer, "app") or hasattr(slicer, "mrmlScene"):
        raise RuntimeError("this is a Slicer application already: the stand-in has no place in it")
    importlib.metadata.version("slicer-core")
    _start(slicer)
    _kept["slicer"] = slicer
    return slicer


def _start(slicer):
    import slicer.util  # noqa: F401

    temporary_folder = _make_temporary_folder()
    scene = slicer.vtkMRMLScene()
    application_logic = _make_application_logic(slicer, scene, temporary_folder)

    slicer.mrmlScene = scene
    slicer.modules = _register("slicer.modules", types.ModuleType("slicer.modules", "Loaded modules."))
    from .application import Application, ScriptedModule

    # slicer.util tells scripted modules from others by this class.
    slicer.qSlicerScriptedLoadableModule = ScriptedModule
    slicer.app = Application(scene, application_logic, temporary_folder)
    for name, class_name in _LOGICS:
        _add_logic(slicer, application_logic, name, getattr(slicer, class_name)())

    from .slice_views import SliceViews
    from .subject_hierarchy import observe_subject_hierarchy

    observe_subject_hierarchy(scene)
    _kept["slice_views"] = SliceViews(scene, application_logic)
    _add_python_modules(slicer)


def _make_temporary_folder():
    """Return a folder that goes with the process; those of processes that were killed go now.

    A process holds the lock of its folder as long as it lives; on Windows, without such locks, they stay.
    """
    for lock in pathlib.Path(tempfile.gettempdir()).glob(f"{_TEMPORARY}*/lock"):
        if _locked(lock) is not None:
            shutil.rmtree(lock.parent, ignore_errors=True)
    folder = tempfile.mkdtemp(prefix=_TEMPORARY)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    # It gets its name when it is locked: before, another process would take the folder for a dead one's.
    new = pathlib.Path(folder, "lock.new")
    new.touch()
    _kept["lock"] = _locked(new)
    new.rename(new.with_name("lock"))
    files = pathlib.Path(folder, "files")
    files.mkdir()
    return str(files)


def _locked(path):
    """Return the file, locked; None when another process has it, or where there are no locks."""
    try:
        import fcntl

        file = open(path, "r+")
    except (ImportError, OSError):
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file


def _make_application_logic(slicer, scene, temporary_folder):
    """Return the application logic, set up as in qSlicerCoreApplication::setMRMLScene."""
    logic = slicer.vtkSlicerApplicationLogic()
    logic.SetTemporaryPath(temporary_folder)
    # The color logic looks for color files in the application's folder: an empty one has none to offer.
    home = pathlib.Path(temporary_folder, "home")
    (home / "share" / "ColorFiles").mkdir(parents=True)
    logic.SetHomeDirectory(str(home))
    logic.SetShareDirectory("share")
    scene.SetRootDirectory(temporary_folder)
    scene.SetVersion(_scene_version())
    scene.RegisterNodeClass(slicer.vtkMRMLCommandLineModuleNode())
    crosshair = slicer.vtkMRMLCrosshairNode()
    crosshair.SetCrosshairName("default")
    scene.AddNode(crosshair)
    logic.SetMRMLScene(scene)

    # Scene bundles are packed and unpacked in the cache folder of this object.
    remote_io = slicer.vtkMRMLRemoteIOLogic()
    cache = pathlib.Path(temporary_folder, "cache")
    cache.mkdir()
    remote_io.GetCacheManager().SetRemoteCacheDirectory(str(cache))
    data_io = slicer.vtkDataIOManagerLogic()
    data_io.SetMRMLApplicationLogic(logic)
    data_io.SetAndObserveDataIOManager(remote_io.GetDataIOManager())
    logic.SetMRMLSceneDataIO(scene, remote_io, data_io)
    _kept["io"] = (remote_io, data_io)
    return logic


def _scene_version():
    # The form that vtkMRMLScene::ParseVersion reads; the last number, the revision, is not known here.
    numbers = importlib.metadata.version("slicer-core").split(".")
    return f"Slicer {numbers[0]}.{numbers[1]}.{numbers[2]} 0"


def _add_logic(slicer, application_logic, name, logic):
    logic.SetMRMLApplicationLogic(application_logic)
    logic.SetMRMLScene(slicer.mrmlScene)
    if name == "Colors":
        application_logic.SetColorLogic(logic)
    application_logic.SetModuleLogic(name, logic)
    from .application import CppModule

    slicer.app.add_module(CppModule(name, logic))


def _register(name, module):
    sys.modules[name] = module
    return module


def _add_python_modules(slicer):
    from . import cli, i18n, parameter_node_wrapper, scripted_module
    from .widgets import start

    slicer.i18n = _register("slicer.i18n", i18n)
    slicer.ScriptedLoadableModule = _register("slicer.ScriptedLoadableModule", scripted_module)
    slicer.parameterNodeWrapper = _register("slicer.parameterNodeWrapper", parameter_node_wrapper)
    slicer.cli = _register("slicer.cli", cli.make_cli_module())
    # A Qt module from elsewhere would be no better than none: slicer.util needs PythonQt's.
    _register("qt", start.make_qt_module())
    _register("ctk", start.make_ctk_module())
    start.add_to_slicer(slicer)


def kept(name):
    """Return an object that `boot` made and keeps alive; for the other modules of this package."""
    return _kept[name]
