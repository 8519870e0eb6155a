"""`slicer.ScriptedLoadableModule`: base classes of a scripted module.

Source of the behavior: Base/Python/slicer/ScriptedLoadableModule.py of Slicer, and
https://slicer.readthedocs.io/en/latest/developer_guide/script_repository.html.
"""

import importlib
import logging
import os
import unittest

from .unavailable import NotAvailableHeadless

__all__ = [
    "ScriptedLoadableModule",
    "ScriptedLoadableModuleWidget",
    "ScriptedLoadableModuleLogic",
    "ScriptedLoadableModuleTest",
]


class ScriptedLoadableModule:
    """Description of a module. `parent` receives title, categories and the other module properties.

    Slicer's default texts (contributors, help, acknowledgement) are left empty here. The icon is read when
    it is first asked for.
    """

    def __init__(self, parent):
        super().__init__()
        self.parent = parent
        self.moduleName = type(self).__name__
        parent.title = ""
        parent.categories = []
        parent.dependencies = []
        parent.contributors = []
        parent.helpText = ""
        parent.acknowledgementText = ""

        import slicer

        if not hasattr(slicer, "selfTests"):
            slicer.selfTests = {}
        slicer.selfTests[self.moduleName] = self.runTest

    def resourcePath(self, filename):
        """Return the path of a file in the module's Resources folder."""
        return os.path.join(os.path.dirname(self.parent.path), "Resources", filename)

    def getDefaultModuleDocumentationLink(self, docPage=None):
        """Return a paragraph of HTML with a link to the module's page in Slicer's documentation."""
        import slicer

        url = slicer.app.moduleDocumentationUrl(self.moduleName)
        if docPage:
            url = slicer.app.documentationBaseUrl + docPage
        return f'<p>Documentation: <a href="{url}">{url}</a></p>'

    def runTest(self, msec=100, **kwargs):
        """Run the module's test class, `<ModuleName>Test`, found in the module's Python file.

        :param msec: delay of `ScriptedLoadableModuleTest.delayDisplay` in milliseconds.
        :raises AssertionError: if there is no such class.
        """
        module = importlib.import_module(type(self).__module__)
        class_name = f"{self.moduleName}Test"
        test_class = getattr(module, class_name, None)
        if test_class is None:
            raise AssertionError(f"{module.__name__} has no test class {class_name}")
        test = test_class()
        test.messageDelay = msec
        test.runTest(**kwargs)


class ScriptedLoadableModuleWidget:
    """Panel of a module.

    `parent` is the widget that holds it and `layout` its layout, to which `setup` adds. Without a parent a
    qMRMLWidget with the scene is made, and `setup` is called and the widget shown at once.
    """

    def __init__(self, parent=None):
        super().__init__()
        import qt
        import slicer

        name = type(self).__name__
        self.moduleName = name[: -len("Widget")] if name.endswith("Widget") else name
        self.developerMode = slicer.util.settingsValue(
            "Developer/DeveloperMode", False, converter=slicer.util.toBool
        )
        if parent:
            self.parent = parent
        else:
            self.parent = slicer.qMRMLWidget()
            self.parent.setLayout(qt.QVBoxLayout())
            self.parent.setMRMLScene(slicer.mrmlScene)
        self.layout = self.parent.layout()
        if not parent:
            self.setup()
            self.parent.show()
        slicer.app.moduleManager().connect(
            "moduleAboutToBeUnloaded(QString)", self._onModuleAboutToBeUnloaded
        )

    def resourcePath(self, filename):
        """Return the path of a file in the module's Resources folder."""
        import slicer

        return os.path.join(os.path.dirname(slicer.util.modulePath(self.moduleName)), "Resources", filename)

    def cleanup(self):
        """Undo what `setup` did, before the widget is deleted; does nothing unless overridden."""

    def _onModuleAboutToBeUnloaded(self, moduleName):
        import slicer

        if moduleName == self.moduleName:
            self.cleanup()
            slicer.app.moduleManager().disconnect(
                "moduleAboutToBeUnloaded(QString)", self._onModuleAboutToBeUnloaded
            )

    def setup(self):
        """Make the panel's widgets; the base class makes the section for developers."""
        self.setupDeveloperSection()

    def setupDeveloperSection(self):
        """Add "Reload && Test", in developer mode only. Slicer has more buttons there."""
        if not self.developerMode:
            return
        import ctk
        import qt
        import slicer

        self.reloadCollapsibleButton = ctk.ctkCollapsibleButton()
        self.reloadCollapsibleButton.text = "Reload && Test"
        self.layout.addWidget(self.reloadCollapsibleButton)
        row = qt.QHBoxLayout(self.reloadCollapsibleButton)
        self.reloadButton = qt.QPushButton("Reload")
        self.reloadButton.connect("clicked()", self.onReload)
        self.reloadTestMenuButton = qt.QPushButton("Reload and Test")
        self.reloadTestMenuButton.connect("clicked()", self.onReloadAndTest)
        self.editSourceButton = qt.QPushButton("Edit")
        self.editSourceButton.connect("clicked()", self.onEditSource)
        self.restartButton = qt.QPushButton("Restart Slicer")
        self.restartButton.connect("clicked()", slicer.app.restart)
        for button in (
            self.reloadButton,
            self.reloadTestMenuButton,
            self.editSourceButton,
            self.restartButton,
        ):
            row.addWidget(button)

    def onReload(self):
        """Load the module's file again, and make the panel anew with it."""
        import slicer

        slicer.util.reloadScriptedModule(self.moduleName)

    def onTest(self, **kwargs):
        """Run the module's self test."""
        import slicer

        delay = slicer.util.settingsValue("Developer/SelfTestDisplayMessageDelay", 100, converter=int)
        with slicer.util.tryWithErrorDisplay("Test failed."):
            slicer.selfTests[self.moduleName](msec=delay, **kwargs)

    def onReloadAndTest(self, **kwargs):
        """Reload the module and run its self test."""
        self.onReload()
        self.onTest(**kwargs)

    def onEditSource(self):
        """Refuse.

        :raises NotAvailableHeadless: always.
        """
        raise NotAvailableHeadless("ScriptedLoadableModuleWidget.onEditSource")


class ScriptedLoadableModuleLogic:
    """Parameter node access of a module logic.

    `isSingletonParameterNode` is True for one parameter node per scene, False for any number of them.
    """

    def __init__(self, parent=None):
        super().__init__()
        name = type(self).__name__
        self.moduleName = name[: -len("Logic")] if name.endswith("Logic") else name
        self.isSingletonParameterNode = True

    def getParameterNode(self):
        """Return the module's parameter node, making it and adding it to the scene if there is none."""
        import slicer

        scene = slicer.mrmlScene
        if self.isSingletonParameterNode:
            node = scene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
            if node is not None:
                # Closing the scene resets a singleton's attributes, this one included.
                if node.GetAttribute("ModuleName") != self.moduleName:
                    node.SetAttribute("ModuleName", self.moduleName)
                return node
        else:
            nodes = self.getAllParameterNodes()
            if nodes:
                return nodes[0]
        return scene.AddNode(self.createParameterNode())

    def getAllParameterNodes(self):
        """Return the list of the module's parameter nodes in the scene; nothing is created."""
        import slicer

        scene = slicer.mrmlScene
        count = scene.GetNumberOfNodesByClass("vtkMRMLScriptedModuleNode")
        nodes = [scene.GetNthNodeByClass(index, "vtkMRMLScriptedModuleNode") for index in range(count)]
        return [node for node in nodes if node.GetAttribute("ModuleName") == self.moduleName]

    def createParameterNode(self):
        """Return a new parameter node that is not in the scene yet, or None when there is no scene."""
        import slicer

        scene = slicer.mrmlScene
        if scene is None:
            return None
        node = scene.CreateNodeByClass("vtkMRMLScriptedModuleNode")
        # The scene hands over a reference: keep only the one that the Python object holds.
        node.UnRegister(None)
        if self.isSingletonParameterNode:
            node.SetSingletonTag(self.moduleName)
        node.SetAttribute("ModuleName", self.moduleName)
        node.SetName(scene.GenerateUniqueName(self.moduleName))
        return node


class ScriptedLoadableModuleTest(unittest.TestCase):
    """Base of a module's self test: `runTest` runs every method with "test" in its name, as Slicer does."""

    def __init__(self, *args, **kwargs):
        # Set before the superclass: a subclass may have filled it, and unittest looks attributes up early.
        self.moduleTestNames = []
        super().__init__(*args, **kwargs)
        self.enableScreenshots = False
        self.screenshotScaleFactor = 1.0
        if not self.moduleTestNames:
            # "runTest" does not match: the search is for the lower case word.
            names = [name for name in dir(self) if "test" in name]
            self.moduleTestNames = [name for name in names if callable(getattr(self, name))]

    def delayDisplay(self, message, requestedDelay=None, msec=None):
        """Log a message and let events be processed.

        :param msec: delay in milliseconds, 100 if neither it nor `requestedDelay` is given. From 400
            up a popup is opened for that time.
        """
        import slicer

        delays = (getattr(self, "messageDelay", None), msec, requestedDelay, 100)
        slicer.util.delayDisplay(message, next(delay for delay in delays if delay is not None))

    def takeScreenshot(self, name, description, type=-1):
        """Log the description; a real picture (`enableScreenshots` True) raises `NotAvailableHeadless`."""
        self.delayDisplay(description)
        if self.enableScreenshots:
            raise NotAvailableHeadless("ScriptedLoadableModuleTest.takeScreenshot")

    def setUp(self):
        """Prepare a test; does nothing unless overridden."""

    def tearDown(self):
        """Clean up after a test; does nothing unless overridden."""

    def runTest(self):
        """Run all test methods one after the other; the first failure is raised."""
        if not self.moduleTestNames:
            logging.warning("%s has no test", type(self).__name__)
            return
        self.setUpClass()
        for name in self.moduleTestNames:
            self.setUp()
            logging.info("Running %s", name)
            getattr(self, name)()
            self.tearDown()
        self.tearDownClass()
