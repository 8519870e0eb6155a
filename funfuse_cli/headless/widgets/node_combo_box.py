"""qMRMLNodeComboBox and qMRMLColorTableComboBox: choosing a node of the scene.

The list is a QComboBox with one row for "None" if that is allowed, one for every suitable node in the order
of the scene, and rows for creating, renaming and deleting. Which node becomes current on its own follows from
QComboBox as in Slicer:

- when the scene is set and None is not allowed: the first suitable node;
- later: the first node that appears in a list that was empty. A list with a "Create new ..." or "Delete
  current ..." row (`addEnabled`, `removeEnabled`: both True by default) is never empty, so there it stays
  "nothing" until somebody chooses;
- after the current node was removed: the one that took its place, else the last one.

As in Slicer's Python, what is no slot, signal or Q_INVOKABLE is only there as a property.

Facts: Libs/MRML/Widgets/qMRMLNodeComboBox.cxx, qMRMLSceneModel.cxx, qMRMLSortFilterProxyModel.cxx,
qMRMLNodeFactory.cxx, qMRMLColorTableComboBox.cxx of Slicer.
"""

import logging
import weakref

import vtk
from PySide6 import QtCore, QtGui, QtWidgets
from PySide6.QtCore import Property, Signal

from ..unavailable import NotAvailableHeadless
from .combo_box import ctkComboBox
from .pythonqt import adapt_own

_ID = QtCore.Qt.UserRole + 1
_ACTION = QtCore.Qt.UserRole + 2


def _flag(name, refresh):
    """A bool property kept under a private name; `refresh` names what to do after a change."""

    def write(self, value):
        if value != getattr(self, name):
            setattr(self, name, value)
            getattr(self, refresh)()

    return Property(bool, lambda self: getattr(self, name), write)


@adapt_own
class qMRMLNodeComboBox(QtWidgets.QWidget):
    """Selector of a node. Disabled until it has a scene."""

    currentNodeChanged = Signal((object,), (bool,))
    currentNodeIDChanged = Signal(str)
    currentNodeRenamed = Signal(str)
    nodeActivated = Signal(object)
    nodeAdded = Signal(object)
    nodeAddedByUser = Signal(object)
    nodeAddedByUserAction = Signal(object)
    nodeAboutToBeRemoved = Signal(object)
    nodeAboutToBeEdited = Signal(object)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._scene, self._observers, self._node_observers = None, [], {}
        self._node_types, self._hidden_types, self._attributes = (), (), {}
        self._show_hidden, self._show_children = False, True
        self._none_enabled, self._none_display = False, "None"
        self._add_enabled, self._remove_enabled = True, True
        self._edit_enabled, self._rename_enabled = False, False
        self._select_created = True
        self._base_names, self._labels, self._new_attributes = {}, {}, {}
        self._menu_actions, self._requested = [], ""
        self._model = QtGui.QStandardItemModel(self)
        self._combo = ctkComboBox(self)
        self._combo.elideMode = QtCore.Qt.ElideMiddle
        self._combo.setModel(self._model)
        self._combo.setSizePolicy(QtWidgets.QSizePolicy.Expanding, QtWidgets.QSizePolicy.Expanding)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._combo)
        self.setSizePolicy(QtWidgets.QSizePolicy.Preferred, QtWidgets.QSizePolicy.Fixed)
        self._combo.connect("currentTextChanged(QString)", self._on_current_changed)
        self._combo.connect("activated(int)", self._on_activated)
        self._combo.view().connect("clicked(QModelIndex)", self._on_clicked)
        self.connect("destroyed()", _unobserver(self._observers, self._node_observers))
        self._update_texts()
        self.setEnabled(False)

    # --- The scene ---

    def mrmlScene(self):
        """Return the scene, None at first."""
        return self._scene

    def setMRMLScene(self, scene):
        """Set the scene whose nodes are listed."""
        if scene is self._scene:
            return
        import slicer

        previous = self.currentNodeID
        had_nodes = self.nodeCount() > 0
        _remove_all(self._observers)
        self._scene = scene
        if scene is not None:
            events = slicer.vtkMRMLScene
            for event, method in (
                (events.NodeAddedEvent, "_on_node_added"),
                (events.NodeAboutToBeRemovedEvent, "_on_node_removed"),
                (events.EndCloseEvent, "_refill"),
                (events.EndImportEvent, "_refill"),
                (events.NodeClassRegisteredEvent, "_update_texts"),
            ):
                self._observers.append((scene, scene.AddObserver(event, _weak(self, method))))
        blocked = self._combo.blockSignals(True)
        self._fill()
        first = self.nodeFromIndex(0)
        if had_nodes:
            wanted = previous
        elif self._requested:
            wanted = self._requested
        else:
            wanted = first.GetID() if first is not None and not self._none_enabled else ""
        self._requested = ""
        self._select(wanted)
        self._combo.blockSignals(blocked)
        if self.currentNodeID != previous:
            self._on_current_changed()
        self._update_texts()
        self.setEnabled(scene is not None)

    def _fill(self):
        """Make all rows anew; with rows for actions nothing or None is current, else what QComboBox picks."""
        _remove_all(self._node_observers.values())
        self._node_observers.clear()
        self._model.clear()
        if self._scene is None:
            return
        if self._none_enabled:
            self._model.appendRow(_row(self._none_display, action="NONE"))
        for row in self._action_rows():
            self._model.appendRow(row)
        self._combo.setCurrentIndex(0 if self._none_enabled else -1)
        for index in range(self._scene.GetNumberOfNodes()):
            self._consider(self._scene.GetNthNode(index))

    def _refill(self, *_):
        """Make all rows anew; the current node stays, if it is still there."""
        before = self.currentNodeID
        blocked = self._combo.blockSignals(True)
        self._fill()
        if before:
            self._select(before)
        self._combo.blockSignals(blocked)
        if self.currentNodeID != before:
            self._on_current_changed()

    def _on_node_added(self, _scene, _event, node):
        if not self._scene.IsImporting():
            self._consider(node)
            row = self._row_of(node)
            if row is not None:
                self.nodeAdded.emit(node)

    def _on_node_removed(self, _scene, _event, node):
        if self._scene.IsClosing():
            return
        row = self._row_of(node)
        if row is not None:
            self.nodeAboutToBeRemoved.emit(node)
        _remove_all([self._node_observers.pop(node.GetID(), (None, None))])
        if row is not None:
            self._remove_row(row)

    def _remove_row(self, row):
        self._model.removeRow(row)
        if self.currentNode() is None:
            self._select("")

    def _consider(self, node):
        """List a node if it is suitable, and keep an eye on it if it may be or become so."""
        verdict = self._suits(node)
        if verdict is None:
            return
        if node.GetID() not in self._node_observers:
            tag = node.AddObserver(vtk.vtkCommand.ModifiedEvent, _weak(self, "_on_node_modified"))
            self._node_observers[node.GetID()] = (node, tag)
        if verdict and self._row_of(node) is None:
            self._model.insertRow(self._place_of(node), _row(node.GetName(), node_id=node.GetID()))

    def _on_node_modified(self, node, _event):
        if self._scene is None or node.GetScene() is None or self._scene.IsClosing():
            return
        if self._scene.IsImporting():
            return
        row = self._row_of(node)
        if not self._suits(node):
            if row is not None:
                self._remove_row(row)
        elif row is None:
            self._consider(node)
        elif self._model.item(row).text() != (node.GetName() or ""):
            self._model.item(row).setText(node.GetName() or "")

    def _place_of(self, node):
        """Return the row for a new node, so that rows are in the order of the scene."""
        nodes = self._scene.GetNodes()
        order = nodes.IsItemPresent(node)
        first = 1 if self._none_enabled else 0
        place = first
        for row in range(first, self._model.rowCount()):
            other = self._node_at(row)
            if other is None or nodes.IsItemPresent(other) > order:
                break
            place = row + 1
        return place

    def _suits(self, node):
        """Return whether a node is listed: True, False, or None when it can never be.

        None is not looked at again; hidden nodes and attributes can change.
        """
        kinds = [kind for kind in self._node_types if node.IsA(kind)]
        if self._node_types and not kinds:
            return None
        if not self._show_children:
            kinds = [kind for kind in kinds if kind == node.GetClassName()]
            if not kinds:
                return None
        elif kinds and any(node.IsA(hidden) for hidden in self._hidden_types):
            return None
        if node.GetHideFromEditors() and not self._show_hidden:
            return False
        if kinds and kinds[0] in self._attributes:
            name, wanted = self._attributes[kinds[0]]
            value = node.GetAttribute(name)
            return value is not None and (wanted is None or value == str(wanted))
        return True

    # --- Rows ---

    def _action_rows(self):
        if self._scene is None:
            return []
        types = self._node_types
        label = self.nodeTypeLabel(types[0] if len(types) == 1 else "")
        actions = []
        if self._rename_enabled:
            actions.append((f"Rename current {label}", "RENAME"))
        if self._edit_enabled:
            actions.append((f"Edit current {label}", "EDIT"))
        if self._add_enabled:
            for kind in types:
                actions.append((f"Create new {self.nodeTypeLabel(kind)}", f"CREATE/{kind}"))
                if self._rename_enabled:
                    actions.append((f"Create new {self.nodeTypeLabel(kind)} as...", f"CREATE_AS/{kind}"))
        if self._remove_enabled:
            actions.append((f"Delete current {label}", "DELETE"))
        actions += [(action.text, f"USER/{index}") for index, action in enumerate(self._menu_actions)]
        enabled = self._add_enabled or self._remove_enabled or self._edit_enabled or self._rename_enabled
        if enabled or self._menu_actions:
            separator = _row("separator", action="SEPARATOR")
            separator.setData("separator", QtCore.Qt.AccessibleDescriptionRole)
            return [separator, *(_row(text, action=action) for text, action in actions)]
        return []

    def _node_at(self, row):
        item = self._model.item(row)
        node_id = item.data(_ID) if item is not None else None
        return self._scene.GetNodeByID(node_id) if node_id and self._scene is not None else None

    def _row_of(self, node):
        return self._row_of_id(node.GetID()) if node is not None else None

    def _row_of_id(self, node_id):
        for row in range(self._model.rowCount()):
            if node_id and self._model.item(row).data(_ID) == node_id:
                return row
        return None

    def _select(self, node_id):
        row = self._row_of_id(node_id)
        if row is None:
            row = 0 if self._none_enabled and self._model.rowCount() else -1
        self._combo.setCurrentIndex(row)

    def _update_texts(self, *_):
        kind = self._node_types[0] if self._node_types else ""
        self._combo.defaultText = f"Select a {self.nodeTypeLabel(kind)}"

    # --- The current node ---

    def _on_current_changed(self, *_):
        index = self._combo.currentIndex
        node = self._node_at(index)
        nothing = 0 if self._none_enabled else -1
        if node is None and index != nothing:
            # A row that is no node cannot be current.
            last = self.nodeFromIndex(self.nodeCount() - 1)
            if last is not None:
                self.setCurrentNode(last)
            return
        emit = self.currentNodeChanged.emit
        emit(node)
        emit(node is not None)
        self.currentNodeIDChanged.emit(node.GetID() if node is not None else "")

    def _on_activated(self, index):
        node = self._node_at(index)
        if node is not None or (self._none_enabled and index == 0):
            self.nodeActivated.emit(node)

    def _on_clicked(self, index):
        self.activate_row(index.row())

    def activate_row(self, row):
        """Do what a click on a row of the opened list does; not in Slicer's Python.

        :param row: the number of the row, or its text, such as "Delete current Volume".
        :raises ValueError: if there is no row of that text.
        """
        if isinstance(row, str):
            texts = [self._model.item(index).text() for index in range(self._model.rowCount())]
            if row not in texts:
                raise ValueError(f"no row {row!r} among {texts}")
            row = texts.index(row)
        action = self._model.item(row).data(_ACTION) or ""
        kind, _, detail = action.partition("/")
        if kind == "CREATE":
            node = self.addNode(detail)
            if node is not None:
                self.setCurrentNode(node)
                self.nodeAddedByUserAction.emit(node)
        elif kind == "CREATE_AS":
            self._create_as(detail)
        elif kind == "DELETE":
            self.removeCurrentNode()
        elif kind == "EDIT":
            self.editCurrentNode()
        elif kind == "RENAME":
            self.renameCurrentNode()
        elif kind == "USER":
            self._menu_actions[int(detail)].trigger()
        elif kind != "SEPARATOR":
            self._combo.setCurrentIndex(row)
            self._on_activated(row)

    def currentNode(self):
        """Return the current node, or None."""
        return self._node_at(self._combo.currentIndex)

    def setCurrentNode(self, node):
        """Make a node current; None, or one that is not listed, means nothing.

        Without a scene the wish is kept until there is one.
        """
        if isinstance(node, str):
            logging.warning("setCurrentNode with an ID is deprecated: use setCurrentNodeID")
            self.setCurrentNodeID(node)
            return
        self.setCurrentNodeID("" if node is None else node.GetID() or "")

    def setCurrentNodeID(self, node_id):
        """Make the node with an ID current."""
        if self._scene is None:
            self._requested = node_id or ""
        self._select(node_id)

    def setCurrentNodeIndex(self, index):
        """Make a node current by its place in the list, not counting None."""
        if index >= self.nodeCount():
            index = -1
        self._combo.setCurrentIndex(index + 1 if self._none_enabled else index)

    def nodeCount(self):
        """Return the number of listed nodes."""
        return sum(bool(self._model.item(row).data(_ID)) for row in range(self._model.rowCount()))

    def nodeFromIndex(self, index):
        """Return the node at a place in the list, not counting None; None if there is none."""
        if index < 0:
            return None
        return self._node_at(index + 1 if self._none_enabled else index)

    # --- Creating, deleting, renaming ---

    def addNode(self, kind=None):
        """Add a node of one of the node types, the first by default, and return it, or None."""
        kind = kind or (self._node_types[0] if self._node_types else None)
        if kind not in self._node_types or self._scene is None:
            logging.warning("qMRMLNodeComboBox: %s is none of the node types", kind)
            return None
        node = self._scene.CreateNodeByClass(kind)
        node.UnRegister(None)
        base = self._base_names.get(kind) or ("" if node.GetName() else node.GetDefaultNodeNamePrefix())
        if base:
            node.SetName(self._scene.GetUniqueNameByString(base))
        for name, value in self._new_attributes.items():
            node.SetAttribute(name, value)
        node = self._scene.AddNode(node)
        if self._select_created:
            self.setCurrentNode(node)
        self.nodeAddedByUser.emit(node)
        return node

    def removeCurrentNode(self):
        """Remove the current node from the scene."""
        self._scene.RemoveNode(self.currentNode())

    def editCurrentNode(self):
        """Announce that the current node is to be edited."""
        self.nodeAboutToBeEdited.emit(self.currentNode())

    def renameCurrentNode(self):
        """Ask for a new name of the current node."""
        node = self.currentNode()
        if node is not None:
            name, confirmed = self._ask_name(f"Rename {self.nodeTypeLabel(node.GetClassName())}")
            if confirmed and name:
                node.SetName(name)
                self.currentNodeRenamed.emit(name)

    def _create_as(self, kind):
        name, confirmed = self._ask_name(f"Create new {self.nodeTypeLabel(kind)}")
        if confirmed and name:
            node = self.addNode(kind)
            node.SetName(name)
            self.setCurrentNode(node)
            self.nodeAddedByUserAction.emit(node)

    def _ask_name(self, title):
        return QtWidgets.QInputDialog.getText(self, title, "New name:")

    def addMenuAction(self, action):
        """Add a row that triggers an action."""
        if action.text not in [known.text for known in self._menu_actions]:
            self._menu_actions.append(action)
            self._refill()

    # --- Which nodes ---

    def addAttribute(self, kind, name, value=None):
        """List only nodes of a type that have an attribute (with a value, if given); new ones get it.

        One attribute a type; the type must be among the node types already.
        """
        self._new_attributes[name] = "" if value is None else str(value)
        if kind in self._node_types:
            self._attributes[kind] = (name, value)
            self._refill()

    def removeAttribute(self, kind, name):
        """Undo `addAttribute`."""
        self._new_attributes.pop(name, None)
        if self._attributes.get(kind, ("",))[0] == name:
            del self._attributes[kind]
            self._refill()

    def nodeTypeLabel(self, kind):
        """Return what a type is called in the list."""
        if kind in self._labels:
            return self._labels[kind]
        name = self._scene.GetTypeDisplayNameByClassName(kind) if self._scene is not None and kind else ""
        return name or "node"

    def setNodeTypeLabel(self, label, kind):
        """Set what a type is called in the list."""
        self._labels[kind] = label
        if not label:
            del self._labels[kind]
        self._update_texts()
        self._refill()

    def sortFilterProxyModel(self):
        """Refuse: there is no such model here.

        :raises NotAvailableHeadless: always.
        """
        raise NotAvailableHeadless("qMRMLNodeComboBox.sortFilterProxyModel")

    # --- Properties ---

    def _set_node_types(self, types):
        types = [types] if isinstance(types, str) else types
        types = tuple(kind for kind in types if kind)
        if types != self._node_types:
            self._node_types = types
            self._attributes = {kind: entry for kind, entry in self._attributes.items() if kind in types}
            self._update_texts()
            self._refill()

    def _set_hidden_types(self, types):
        types = (types,) if isinstance(types, str) else tuple(types)
        if types != self._hidden_types:
            self._hidden_types = types
            self._refill()

    def _set_none_display(self, text):
        self._none_display = text
        if self._none_enabled and self._model.rowCount():
            self._model.item(0).setText(text)

    def _base_name(self):
        return self._base_names.get(self._node_types[0], "") if self._node_types else ""

    def _set_base_name(self, name):
        if not self._node_types:
            logging.warning("qMRMLNodeComboBox: set the node types before the base name")
        self._base_names.update({kind: name for kind in self._node_types})

    def _set_select_created(self, select):
        self._select_created = select

    currentNodeID = Property(
        str,
        lambda self: "" if self.currentNode() is None else self.currentNode().GetID(),
        setCurrentNodeID,
        designable=False,
    )
    nodeTypes = Property("QStringList", lambda self: self._node_types, _set_node_types)
    hideChildNodeTypes = Property("QStringList", lambda self: self._hidden_types, _set_hidden_types)
    showHidden = _flag("_show_hidden", "_refill")
    showChildNodeTypes = _flag("_show_children", "_refill")
    noneEnabled = _flag("_none_enabled", "_refill")
    addEnabled = _flag("_add_enabled", "_refill")
    removeEnabled = _flag("_remove_enabled", "_refill")
    editEnabled = _flag("_edit_enabled", "_refill")
    renameEnabled = _flag("_rename_enabled", "_refill")
    noneDisplay = Property(str, lambda self: self._none_display, _set_none_display)
    baseName = Property(str, _base_name, _set_base_name)
    selectNodeUponCreation = Property(bool, lambda self: self._select_created, _set_select_created)
    sizeAdjustPolicy = Property(
        QtWidgets.QComboBox.SizeAdjustPolicy,
        lambda self: self._combo.sizeAdjustPolicy,
        lambda self, policy: setattr(self._combo, "sizeAdjustPolicy", policy),
    )


@adapt_own
class qMRMLColorTableComboBox(qMRMLNodeComboBox):
    """Selector of a color table, hidden ones included. Slicer shows them as a tree of categories."""

    def __init__(self, parent=None):
        super().__init__(parent)
        self.showHidden = True
        self.nodeTypes = ["vtkMRMLColorTableNode", "vtkMRMLProceduralColorNode"]
        self.addEnabled = False
        self.removeEnabled = False


def _row(text, node_id="", action=""):
    item = QtGui.QStandardItem(text or "")
    item.setData(node_id, _ID)
    item.setData(action, _ACTION)
    # A row that does something is clicked, but never chosen.
    if action not in ("", "NONE"):
        item.setFlags(QtCore.Qt.ItemIsEnabled)
    return item


def _weak(widget, method):
    """Return an observer that does not keep the widget alive, and does nothing after its end."""
    import shiboken6

    reference = weakref.ref(widget)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def observe(caller, event, data=None):
        target = reference()
        if target is not None and shiboken6.isValid(target):
            bound = getattr(target, method)
            bound(caller, event) if method == "_on_node_modified" else bound(caller, event, data)

    return observe


def _unobserver(observers, node_observers):
    def unobserve():
        _remove_all(observers)
        _remove_all(node_observers.values())
        node_observers.clear()

    return unobserve


def _remove_all(observers):
    for caller, tag in list(observers):
        if caller is not None:
            caller.RemoveObserver(tag)
    if isinstance(observers, list):
        observers.clear()
