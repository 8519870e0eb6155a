"""Which of CTK's and Slicer's widgets exist here, and in which module; those modules need PySide6."""

import importlib

CTK = {
    "ctkCheckBox": "small_widgets",
    "ctkCollapsibleButton": "collapsible_button",
    "ctkComboBox": "combo_box",
    "ctkDoubleSlider": "double_slider",
    "ctkDoubleSpinBox": "double_slider",
    "ctkDoubleRangeSlider": "range_widget",
    "ctkRangeWidget": "range_widget",
    "ctkSliderWidget": "double_slider",
}
SLICER = {
    "qMRMLColorTableComboBox": "node_combo_box",
    "qMRMLNodeComboBox": "node_combo_box",
    "qMRMLSliderWidget": "mrml_widgets",
    "qMRMLSpinBox": "mrml_widgets",
    "qMRMLWidget": "mrml_widgets",
    "qSlicerScriptedLoadableModuleWidget": "module_widget",
    "qSlicerWidget": "mrml_widgets",
}


def widget_class(name):
    """Return the class of CTK's or Slicer's widget of that name, or None. Qt must be started."""
    module = CTK.get(name) or SLICER.get(name)
    return getattr(importlib.import_module(f".{module}", __package__), name) if module else None
