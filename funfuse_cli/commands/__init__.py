"""The commands of ``funfuse``: name -> (module, one line of help)."""

COMMANDS = {
    "demo": ("funfuse_cli.commands.demo", "fuse a real MRI-PET pair and write a scene for Slicer"),
    "fuse": ("funfuse_cli.commands.fuse", "fuse your own MRI and PET"),
    "bids": ("funfuse_cli.commands.bids", "fuse a whole cohort, from BIDS or a table of pairs"),
    "evaluate": ("funfuse_cli.commands.evaluate", "measure fused images, or compare methods"),
    "values": ("funfuse_cli.commands.values", "measure regions in the PET and in the parts"),
    "train": ("funfuse_cli.commands.train", "train the fusion network on your own pairs"),
    "learn": ("funfuse_cli.commands.learn", "learn what comparison methods need"),
    "uptake": ("funfuse_cli.commands.uptake", "turn a pseudo-colored PET back into uptake"),
    "study": ("funfuse_cli.studies.command", "compute the figures of the pages in docs"),
    "benchmark": ("funfuse_cli.commands.benchmark", "measure how fast it is on this computer"),
    "pictures": ("funfuse_cli.commands.pictures", "make the pictures of panel and views anew"),
    "test": ("funfuse_cli.commands.test", "run the tests"),
}

# About the repository itself: nothing for an installation without it.
OF_THE_REPOSITORY = ("study", "test")

# Their results are what they print; those of the others are files.
PRINT_RESULTS = ("evaluate", "values", "study", "benchmark")
