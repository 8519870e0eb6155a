"""The XML in which a command line module describes itself, as far as `cli` understands it.

Of the kinds of parameters these are here: numbers, texts, vectors, enumerations, boolean, file,
directory, image and transform.
"""

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field

NODE_TAGS = {"image": ".nrrd", "transform": ".h5"}
# These are left off the command line when empty.
_TEXT_TAGS = (
    "file",
    "directory",
    "string",
    "integer-vector",
    "float-vector",
    "double-vector",
    "string-vector",
)
NUMBER_TAGS = ("integer", "float", "double", "string-enumeration", "integer-enumeration")
NUMBER_TAGS += ("float-enumeration", "double-enumeration")
_KNOWN_TAGS = (*NODE_TAGS, *_TEXT_TAGS, *NUMBER_TAGS, "boolean")


@dataclass(frozen=True)
class Parameter:
    """One parameter of a module, as its XML description gives it.

    :param tag: kind, such as "image", "double" or "boolean".
    :param flag: with its dashes, such as "--fixedVolume"; empty for a positional parameter.
    :param index: place among the positional parameters, or None.
    :param channel: "input", "output" or empty.
    :param reference: for an output transform, the parameter whose node is put under it.
    :param extension: of the temporary file of a node.
    """

    name: str
    tag: str
    flag: str = ""
    index: int = None
    channel: str = ""
    default: str = ""
    reference: str = ""
    extension: str = ""


@dataclass(frozen=True)
class Description:
    """A module: its title, version and parameters by name."""

    title: str
    version: str = ""
    parameters: dict = field(default_factory=dict)


def parse_description(xml):
    """Return the `Description` in a module's XML.

    :param xml: text or bytes, as a program prints it when called with ``--xml``.
    :raises ValueError: it is no description of a module, or has a parameter of an unknown kind.
    """
    try:
        root = ElementTree.fromstring(xml)
    except ElementTree.ParseError as error:
        raise ValueError(f"not the XML description of a command line module: {error}") from error
    if root.tag != "executable":
        raise ValueError(f"not the XML description of a command line module: <{root.tag}>")
    found = {}
    for element in root.iterfind("parameters/*"):
        if element.find("name") is None and element.tag in ("label", "description"):
            continue
        parameter = _parse_parameter(element)
        found[parameter.name] = parameter
    return Description(_text(root, "title"), _text(root, "version"), found)


def _text(element, tag):
    return (element.findtext(tag) or "").strip()


def _parse_parameter(element):
    if element.tag not in _KNOWN_TAGS:
        raise ValueError(f"parameters of the kind <{element.tag}> are not supported headless")
    longflag, flag, index = _text(element, "longflag"), _text(element, "flag"), _text(element, "index")
    if longflag:
        flag = "--" + longflag.lstrip("-")
    elif flag:
        flag = "-" + flag.lstrip("-")
    default = _text(element, "default")
    if element.tag == "boolean":
        default = "true" if default.lower() in ("true", "1") else "false"
    extensions = element.get("fileExtensions", "").split(",")
    return Parameter(
        name=_text(element, "name"),
        tag=element.tag,
        flag=flag,
        index=int(index) if index else None,
        channel=_text(element, "channel"),
        default=default,
        reference=element.get("reference", ""),
        extension=extensions[0].strip() or NODE_TAGS.get(element.tag, ""),
    )
