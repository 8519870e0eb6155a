"""`slicer.cli`: running command line modules as Slicer does, in a process of their own.

`add_cli_module` makes an executable that speaks the Slicer execution model a module,
`slicer.modules.<name>`, and `make_cli_module` returns what stands in for `slicer.cli`. The node is
Slicer's own vtkMRMLCommandLineModuleNode, and results are read by Slicer's own application logic.
Sources: Base/Python/slicer/cli.py, Base/Logic/vtkSlicerCLIModuleLogic.cxx and
Libs/MRML/CLI/vtkMRMLCommandLineModuleNode.cxx of Slicer, and
https://slicer.readthedocs.io/en/latest/developer_guide/module_overview.html.

In Slicer the work is watched by a thread and by timers; here `poll`, which `slicer.app.processEvents`
reaches through `headless.event_hooks`, moves it on.
"""

import atexit
import itertools
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import types

from . import event_hooks
from .application import CppModule
from .cli_description import NODE_TAGS, NUMBER_TAGS, parse_description

_PROGRESS = re.compile(r"<(filter-[a-z-]+)>(.*?)</\1>\s*|</?filter-[a-z-]+>\s*", re.DOTALL)
_DESCRIBE_SECONDS = 60

_jobs = []
_numbers = itertools.count(1)


class CliModule(CppModule):
    """What `slicer.modules.<name>` gives for a command line module.

    :param command: the program and arguments that always precede the parameters.
    """

    def __init__(self, name, command, description):
        super().__init__(name, CliLogic(description, command))
        self.path = command[-1]


class CliLogic:
    """The logic of one command line module; names as in vtkSlicerCLIModuleLogic."""

    def __init__(self, description, command):
        self._description = description
        self._command = list(command)
        self._delete_temporary_files = 1

    def CreateNode(self):
        """Return a new vtkMRMLCommandLineModuleNode that is not in the scene."""
        import slicer

        node = _node_class()()
        node.describe(self._description)
        node.SetName(slicer.mrmlScene.GetUniqueNameByString(self._description.title))
        return node

    def CreateNodeInScene(self):
        """Return a new vtkMRMLCommandLineModuleNode in the scene."""
        import slicer

        return slicer.mrmlScene.AddNode(self.CreateNode())

    def SetDeleteTemporaryFiles(self, value):
        """Set whether files are removed that carried nodes to and from the process."""
        self._delete_temporary_files = value

    def GetDeleteTemporaryFiles(self):
        """Return what was set."""
        return self._delete_temporary_files

    def SetHideWindow(self, _value):
        """Do nothing: no window is ever shown."""

    def Apply(self, node, update_display=True):
        """Schedule the module; `poll` starts it and watches it."""
        node.SetAttribute("UpdateDisplay", "true" if update_display else "false")
        node.SetOutputText("", False)
        node.SetErrorText("", False)
        node.SetStatus(node.Scheduled)
        _jobs.append(_Job(self._description, self._command, node, self._delete_temporary_files))

    def ApplyAndWait(self, node, update_display=True):
        """Run the module and return when its results are in the scene."""
        self.Apply(node, update_display)
        while node.IsBusy():
            poll(wait_seconds=0.05)

    def KillProcesses(self):
        """Kill all running processes of this module."""
        for job in _jobs:
            if job.command == self._command:
                job.kill()


def _node_class():
    """Slicer's node, with the parameter values kept here: Python cannot give it a module description.

    All else, status and its events and texts among them, is Slicer's own.
    """
    if _node_class.made is None:
        import slicer

        class CommandLineModuleNode(slicer.vtkMRMLCommandLineModuleNode):
            # VTK makes lower case properties of Set and Get; the underscores keep clear of them.
            def describe(self, description):
                self.module_ = description
                self.progress_ = 0
                self.values_ = {p.name: p.default for p in description.parameters.values()}
                self.SetAttribute("CommandLineModule", description.title)

            def _set(self, name, value):
                if name not in self.values_ or self.values_[name] == value:
                    return False
                self.values_[name] = value
                self.InvokeEvent(self.ParameterChangedEvent)
                self.Modified()
                return True

            def SetParameterAsString(self, name, value):
                return self._set(name, str(value))

            def SetParameterAsBool(self, name, value):
                return self._set(name, "true" if value else "false")

            def SetParameterAsInt(self, name, value):
                return self._set(name, str(int(value)))

            def SetParameterAsDouble(self, name, value):
                # Six digits, as a C++ stream writes it.
                return self._set(name, format(value, "g"))

            SetParameterAsFloat = SetParameterAsDouble

            def SetParameterAsNode(self, name, value):
                return self._set(name, value.GetID() if value is not None else "")

            def GetParameterAsString(self, name):
                return self.values_.get(name, "")

            def GetModuleTitle(self):
                return self.module_.title

            def GetModuleVersion(self):
                return self.module_.version

            def GetProgress(self):
                return self.progress_

        _node_class.made = CommandLineModuleNode
    return _node_class.made


_node_class.made = None


class _Job:
    """One run of a module, from the scheduled node to the results in the scene."""

    def __init__(self, description, command, node, delete_files):
        self.description, self.command, self.node = description, command, node
        self.delete_files = delete_files
        self.process, self.readers, self.texts = None, [], ([], [])
        self.files, self.outputs = set(), {}

    def advance(self):
        """Do what can be done now; return whether the job is over."""
        node = self.node
        if node.GetStatus() in (node.Cancelling, node.Cancelled):
            self.kill()
            return self._finish(node.Cancelled)
        if node.GetStatus() == node.Scheduled:
            return self._start()
        if node.GetStatus() == node.Completing:
            self._read_results()
            return self._finish(node.Completed)
        code = self.process.poll()
        self._update_texts(running=code is None)
        if code is None:
            return False
        if code != 0:
            return self._finish(node.CompletedWithErrors)
        node.SetStatus(node.Completing)
        return False

    def kill(self):
        """End the process and its children, and wait for it."""
        if self.process is None:
            return
        if self.process.poll() is None:
            if sys.platform == "win32":
                command = ["taskkill", "/F", "/T", "/PID", str(self.process.pid)]
                subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            else:
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def _start(self):
        arguments = self._write_inputs()
        try:
            self.process = subprocess.Popen(
                [*self.command, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=sys.platform != "win32",
            )
        except OSError as error:
            self.node.SetErrorText(str(error), False)
            return self._finish(self.node.CompletedWithErrors)
        for stream, text in zip((self.process.stdout, self.process.stderr), self.texts):
            reader = threading.Thread(target=_drain, args=(stream, text), daemon=True)
            reader.start()
            self.readers.append(reader)
        self.node.SetStatus(self.node.Running)
        return False

    def _write_inputs(self):
        """Write the input nodes to files; return the arguments of the program."""
        import slicer

        flags, positional = [], {}
        for parameter in self.description.parameters.values():
            value = self.node.values_[parameter.name]
            if parameter.tag in NODE_TAGS:
                node = slicer.mrmlScene.GetNodeByID(value) if value else None
                value = "" if node is None else self._file_of(node, parameter)
            if parameter.flag and parameter.tag == "boolean":
                flags += [parameter.flag] if value == "true" else []
            elif parameter.flag and (value or parameter.tag in NUMBER_TAGS):
                flags += [parameter.flag, value]
            elif parameter.index is not None:
                positional[parameter.index] = value
        return flags + [positional[index] for index in sorted(positional)]

    def _file_of(self, node, parameter):
        """The temporary file of a node, written when it is an input."""
        import slicer

        # As Slicer does: digits become letters, so that no reader takes the file for one of a series.
        stem = f"{os.getpid()}_{node.GetID()}_{next(_numbers)}"
        stem = "".join(chr(ord(c) + 17) if c.isascii() and c.isdigit() else c for c in stem)
        path = str(pathlib.Path(slicer.app.temporaryPath, stem + parameter.extension))
        self.files.add(path)
        if parameter.channel == "output":
            self.outputs[parameter.name] = (node.GetID(), path)
            return path
        storage = node.CreateDefaultStorageNode()
        storage.ConfigureForDataExchange()
        storage.SetScene(slicer.mrmlScene)
        storage.SetFileName(path)
        if not storage.WriteData(node):
            self.texts[1].append(f"{path} could not be written\n".encode())
        return path

    def _update_texts(self, running):
        if running and not self.node.IsContinuousOutputUpdate():
            return
        if not running:
            for reader in self.readers:
                reader.join()
        output, error = (b"".join(text).decode(errors="replace") for text in self.texts)
        progress = [part for tag, part in _PROGRESS.findall(output) if tag == "filter-progress"]
        if progress:
            self.node.progress_ = round(100 * float(progress[-1]))
        self.node.SetOutputText(_PROGRESS.sub("", output), False)
        self.node.SetErrorText(error, False)

    def _read_results(self):
        """Let Slicer's application logic read the output files, and put references under transforms."""
        import slicer

        logic = slicer.app.applicationLogic()
        show = self.node.GetAttribute("UpdateDisplay") != "false"
        # Requests are accepted only while its threads run.
        logic.CreateProcessingThread()
        try:
            for node_id, path in self.outputs.values():
                logic.RequestReadFile(node_id, path, show, bool(self.delete_files))
            for name, (node_id, _) in self.outputs.items():
                parameter = self.description.parameters[name]
                reference = self.node.values_.get(parameter.reference)
                if parameter.tag == "transform" and reference:
                    logic.RequestUpdateParentTransform(reference, node_id)
            while logic.GetReadDataQueueSize():
                logic.ProcessReadData()
        finally:
            logic.TerminateProcessingThread()

    def _finish(self, status):
        if self.process is not None:
            self._update_texts(running=False)
            self.process.stdout.close()
            self.process.stderr.close()
        if self.delete_files:
            for path in self.files:
                pathlib.Path(path).unlink(missing_ok=True)
        self.node.progress_ = 0
        self.node.SetStatus(status)
        return True


def _drain(stream, chunks):
    """Collect what a stream brings; a full pipe would stop the program."""
    for chunk in iter(lambda: stream.read1(65536), b""):
        chunks.append(chunk)


def poll(wait_seconds=0.0):
    """Move all runs on: start what is scheduled, note what has ended, load results.

    :param wait_seconds: how long to wait for a running process to end.
    """
    for job in list(_jobs):
        if wait_seconds and job.process is not None:
            try:
                job.process.wait(wait_seconds)
            except subprocess.TimeoutExpired:
                pass
        if job.advance():
            _jobs.remove(job)


def add_cli_module(executable, name=None):
    """Make a program a module, `slicer.modules.<name>` in lower case.

    :param executable: path of a program, or a sequence: a program and its first arguments.
    :param name: module name; by default the program's file name without its ending.
    :return: the module.
    :raises RuntimeError: the program cannot be run, fails, or prints no description for ``--xml``.
    """
    import slicer

    command = [os.fspath(executable)] if isinstance(executable, (str, os.PathLike)) else list(executable)
    try:
        done = subprocess.run(
            [*command, "--xml"], stdin=subprocess.DEVNULL, capture_output=True, timeout=_DESCRIBE_SECONDS
        )
        if done.returncode != 0:
            raise RuntimeError(f"{command[-1]} --xml failed: {done.stderr.decode(errors='replace').strip()}")
        description = parse_description(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise RuntimeError(f"{command[-1]} is no command line module: {error}") from error
    module = CliModule(name or pathlib.Path(command[-1]).stem, command, description)
    slicer.app.add_module(module)
    return module


def remove_cli_module(name):
    """Undo `add_cli_module`; unknown names are ignored."""
    import slicer

    slicer.app.moduleManager().modules.pop(name, None)
    if hasattr(slicer.modules, name.lower()):
        delattr(slicer.modules, name.lower())


def createNode(cliModule, parameters=None):
    """Return a new node of a module, in the scene; None without a module."""
    if not cliModule:
        return None
    node = cliModule.logic().CreateNodeInScene()
    setNodeParameters(node, parameters)
    return node


def setNodeParameters(node, parameters):
    """Set parameters from a dict: text, bool, int, float, node, or a list or tuple of numbers.

    As in Slicer a value of another type, such as a numpy number, is named on standard output and left
    out, and so is a name that the module does not have, silently.
    """
    import slicer

    # A bool is an int, too: the first that fits counts.
    setters = (
        (str, "SetParameterAsString"),
        (bool, "SetParameterAsBool"),
        (int, "SetParameterAsInt"),
        (float, "SetParameterAsDouble"),
        (slicer.vtkMRMLNode, "SetParameterAsNode"),
    )
    for name, value in (parameters or {}).items() if node else ():
        if isinstance(value, (list, tuple)):
            value = ", ".join(str(part) for part in value)
        setter = next((setter for kind, setter in setters if isinstance(value, kind)), None)
        if setter is None:
            print(f"{type(value).__name__} is no type for the parameter {name}: it is left out")
        else:
            getattr(node, setter)(name, value)


def run(
    module,
    node=None,
    parameters=None,
    wait_for_completion=False,
    delete_temporary_files=True,
    update_display=True,
    hide_window=True,
):
    """Run a module, at once or (by default) in the background; return its node.

    :param node: a node of the module to use again; a new one when None.
    """
    if node:
        setNodeParameters(node, parameters)
    else:
        node = createNode(module, parameters)
        if not node:
            return None
    logic = module.logic()
    logic.SetDeleteTemporaryFiles(1 if delete_temporary_files else 0)
    logic.SetHideWindow(1 if hide_window else 0)
    if wait_for_completion:
        logic.ApplyAndWait(node, update_display)
    else:
        logic.Apply(node, update_display)
    return node


def runSync(
    module, node=None, parameters=None, delete_temporary_files=True, update_display=True, hide_window=True
):
    """Run a module and return its node when it is done."""
    return run(module, node, parameters, True, delete_temporary_files, update_display, hide_window)


def cancel(node):
    """Cancel a run. Slicer's own function only prints that it cannot; `node.Cancel()` works in both."""
    node.Cancel()


def make_cli_module():
    """Return the module that stands in for `slicer.cli`, and let events move its work on."""
    module = types.ModuleType("slicer.cli", "Command line modules, run in processes of their own.")
    for function in (cancel, createNode, run, runSync, setNodeParameters):
        setattr(module, function.__name__, function)
    if poll not in event_hooks.HOOKS:
        event_hooks.HOOKS.append(poll)
        atexit.register(_kill_all)
    return module


def _kill_all():
    for job in _jobs:
        job.kill()
