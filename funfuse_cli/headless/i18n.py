"""`slicer.i18n` for an application with no translation loaded.

Source: Base/Python/slicer/i18n.py of Slicer, where a text without translation comes back unchanged.
"""

__all__ = ["tr", "translate", "getContext"]

import os


def translate(context, text):
    """Return the text; the context comes first, as in Slicer.

    :param context: name of the translation context, such as the module's name.
    :param text: text to translate.
    """
    import slicer

    return slicer.app.translate(context, text)


def tr(text):
    """Return the text. In Slicer the context is found from the caller's source file."""
    return text


def getContext(sourceFile):
    """Return the translation context of a source file: its name, after its package's name if it has one."""
    name = os.path.basename(sourceFile)
    if not os.path.isfile(sourceFile):
        return name
    name = name.replace(".py", "")
    folder = os.path.dirname(sourceFile)
    if os.path.isfile(os.path.join(folder, "__init__.py")):
        return f"{os.path.basename(folder)}.{name}"
    return name
