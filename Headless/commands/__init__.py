"""The commands of ``funfuse.py``: name -> (module, one line of help)."""

COMMANDS = {
    "demo": ("Headless.commands.demo", "fuse a real MRI-PET pair and write a scene for Slicer"),
    "fuse": ("Headless.commands.fuse", "fuse your own MRI and PET"),
    "evaluate": ("Headless.commands.evaluate", "measure fused images, or compare methods"),
    "train": ("Headless.commands.train", "train the fusion network on your own pairs"),
    "learn": ("Headless.commands.learn", "learn what comparison methods need"),
    "uptake": ("Headless.commands.uptake", "turn a pseudo-colored PET back into uptake"),
    "study": ("Headless.commands.study", "compute the figures of the pages in docs"),
    "benchmark": ("Headless.commands.benchmark", "measure how fast it is on this computer"),
    "pictures": ("Headless.commands.pictures", "make the pictures of panel and views anew"),
    "test": ("Headless.commands.test", "run the tests"),
}
