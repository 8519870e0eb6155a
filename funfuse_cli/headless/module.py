"""Importing a scripted module, and opening its panel, the way Slicer does.

Source: Base/QTGUI/qSlicerScriptedLoadableModule.cxx (setPythonSource), Base/QTCore/qSlicerScriptedUtils.cxx
(loadSourceAsModule) and Base/QTCore/qSlicerAbstractCoreModule.cxx (createNewWidgetRepresentation) of Slicer.
"""

import importlib.util
import pathlib
import sys

from .boot import boot

_PROPERTIES = (
    "title",
    "categories",
    "dependencies",
    "contributors",
    "helpText",
    "acknowledgementText",
    "icon",
    "path",
    "hidden",
    "index",
    "widgetRepresentationCreationEnabled",
    "associatedNodeTypes",
)


class ModuleParent:
    """Receives what a scripted module says about itself, as qSlicerScriptedLoadableModule does.

    It has the properties of a Slicer module; setting any other attribute, such as a misspelled one,
    raises AttributeError.

    :param name: module name.
    :param path: path of the module's Python file.
    """

    __slots__ = ("name", *_PROPERTIES)

    def __init__(self, name, path):
        self.name = name
        self.path = str(path)
        self.hidden = False

    def __getattr__(self, name):
        # Slicer reads the icon at once; here Qt is not started for it before a widget needs it.
        if name != "icon":
            raise AttributeError(f"a module has no attribute {name!r}, or it was not set yet")
        import qt

        folder = pathlib.Path(self.path).parent / "Resources" / "Icons"
        files = [folder / f"{self.name}{suffix}" for suffix in (".svg", ".png")]
        self.icon = next((qt.QIcon(str(file)) for file in files if file.is_file()), None)
        return self.icon


def load_module(path):
    """Import a scripted module's file, make its description object, and register it in `slicer.modules`.

    The file is loaded by its path, under the file's name as module name, and its folder is appended to
    `sys.path`. When the folder was imported before as a namespace package, so that modules such as
    `TheModule.Logic.volumes` are loaded already, they stay the one copy there is.

    As in Slicer the description object is `slicer.modules.<Name>Instance`.

    :param path: the module's Python file.
    :return: the Python module. Loading the same file again returns the same module.
    :raises FileNotFoundError: if there is no such file.
    :raises RuntimeError: if another file was loaded under the same name, or the file does not have a
        class of its own name.
    """
    slicer = boot()
    file = pathlib.Path(path).resolve()
    if not file.is_file():
        raise FileNotFoundError(f"no module file {file}")
    name = file.stem
    module = sys.modules.get(name)
    loaded_from = getattr(module, "__file__", None)
    if loaded_from is None:
        module = _import_file(name, file)
    elif pathlib.Path(loaded_from).resolve() != file:
        raise RuntimeError(f"module {name} was loaded from {loaded_from} already")
    if not hasattr(slicer.modules, f"{name}Instance"):
        _describe(slicer, module, name, file)
    return module


def _import_file(name, file):
    """Return the file as the new `sys.modules[name]`, keeping its submodules that are loaded already."""
    folder = str(file.parent)
    if folder not in sys.path:
        sys.path.append(folder)
    spec = importlib.util.spec_from_file_location(name, file)
    module = importlib.util.module_from_spec(spec)
    # Submodules loaded under the namespace package are found in sys.modules by an import statement, but
    # "TheModule.Logic" as an expression looks at the attributes of the new parent.
    for child in [known for known in sys.modules if known.startswith(f"{name}.")]:
        if child.count(".") == name.count(".") + 1:
            setattr(module, child.rpartition(".")[2], sys.modules[child])
    previous = sys.modules.get(name)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        # Half a module would hide the error at the next import.
        if previous is None:
            del sys.modules[name]
        else:
            sys.modules[name] = previous
        raise
    return module


def _describe(slicer, module, name, file):
    description_class = getattr(module, name, None)
    if not isinstance(description_class, type):
        raise RuntimeError(f"{file.name} has no class {name}")
    instance = description_class(ModuleParent(name, file))
    setattr(slicer.modules, f"{name}Instance", instance)
    from .application import ScriptedModule

    slicer.app.add_module(ScriptedModule(name, file))


def open_widget(name=None, path=None):
    """Open a module's panel as Slicer does: set it up, give it the scene, enter it. Starts Qt.

    The module's own panel, as `slicer.modules.<name>.widgetRepresentation()` returns it; while that is
    open, one more each time.

    :param name: name of a loaded module; not needed with a file.
    :param path: the module's file, to load it first.
    :return: the qSlicerScriptedLoadableModuleWidget; its `self()` is the object of the module's own class.
    :raises RuntimeError: if there is no such module.
    """
    slicer = boot()
    if path is not None:
        name = load_module(path).__name__
    module = slicer.util.getModule(name)
    widget = module.widgetRepresentation()
    if widget.isEntered():
        widget = module.createNewWidgetRepresentation()
    # As wide as Slicer's panel, and shown: collapsible sections lay themselves out only then.
    widget.resize(500, 900)
    widget.show()
    widget.enter()
    slicer.app.processEvents()
    return widget


def close_widget(widget):
    """Leave a panel, clean it up and delete it, as Slicer does when it unloads the module.

    :param widget: what `open_widget` returned.
    """
    import shiboken6

    slicer = boot()
    python = widget.self()
    if widget.isEntered():
        widget.exit()
    slicer.app.moduleManager().disconnect(
        "moduleAboutToBeUnloaded(QString)", python._onModuleAboutToBeUnloaded
    )
    python.cleanup()
    slicer.util.getModule(python.moduleName).forget_widget(widget)
    if getattr(slicer.modules, f"{python.moduleName}Widget", None) is python:
        delattr(slicer.modules, f"{python.moduleName}Widget")
    widget.hide()
    shiboken6.delete(widget)
    slicer.app.processEvents()
