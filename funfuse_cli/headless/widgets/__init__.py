"""The Qt side of Slicer, on PySide6, so that a module's panel and its self tests run without the application.

Slicer's Python modules `qt` and `ctk` come from PythonQt. Here PySide6's classes are adapted once, when the
first of them is asked for, until they behave like PythonQt's; on top of them stand the few widgets of CTK and
of Slicer that a panel needs, made for tests. Nothing is shown: Qt's platform is "offscreen".

- `start`: the one QApplication, its style and font, and the modules `qt` and `ctk`.
- `names`: which widgets of CTK and Slicer exist here.
- `pythonqt`: properties as attributes, `connect` by signature, strict attributes.
- `dialogs`: nothing may wait for a user.
- `settings`: QSettings in memory.
- `ui_files`: QUiLoader with the widgets below and with the connections of .ui files.
- `collapsible_button`, `double_slider`, `combo_box`: CTK's.
- `mrml_widgets`, `node_combo_box`, `module_widget`: Slicer's.
"""
