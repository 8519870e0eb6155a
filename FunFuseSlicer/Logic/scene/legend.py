"""The color legend of a volume; Slicer shows it in the views where that volume is a layer.

Slicer is imported inside the function, so that this module can be imported anywhere.
"""


def show_legend(volume, visible: bool, title: str) -> None:
    """Show or hide; the legend is made when it is first shown."""
    import slicer

    logic = slicer.modules.colors.logic()
    legend = logic.GetColorLegendDisplayNode(volume)
    if legend is None:
        if not visible:
            return
        legend = logic.AddDefaultColorLegendDisplayNode(volume)
    legend.SetTitleText(title)
    legend.SetVisibility(visible)
