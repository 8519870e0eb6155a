"""The studies behind the pages in docs: each computes a page's figures and writes the page.

name -> (module with ``main(arguments) -> exit code``, one line of help)
"""

from pathlib import Path

from ..paths import output_path
from ..workflow.output_folder import add_overwrite

# The pages, their data and pictures, in the repository.
DOCS = Path(__file__).resolve().parents[2] / "docs"


def add_docs(parser) -> None:
    """The options about where the results go, which ``study`` itself looks after."""
    parser.add_argument(
        "--docs",
        type=output_path,
        default=Path("study-results"),
        metavar="DIR",
        help="folder for data and images (default study-results); for the pages: --docs docs --overwrite",
    )
    add_overwrite(parser)


STUDIES = {
    "model": ("funfuse_cli.studies.model", "train the variants of the network; writes docs/model.md"),
    "evaluation": ("funfuse_cli.studies.evaluation", "compare fusion methods; writes docs/evaluation.md"),
    "field": ("funfuse_cli.studies.field", "the metrics and images of other papers; for docs/field.md"),
    "weights": ("funfuse_cli.studies.weights", "the metrics over λ and Ω, with heat maps"),
    "registration": ("funfuse_cli.studies.registration", "known displacements; writes docs/registration.md"),
    "verdict": ("funfuse_cli.studies.verdict", "wrong registrations told; for docs/registration.md"),
    "tracers": ("funfuse_cli.studies.tracers", "the PET part on maps of many tracers; for docs/tracers.md"),
    "hue": ("funfuse_cli.studies.hue", "does the color depend on the MRI? for docs/hue.md"),
    "display": ("funfuse_cli.studies.display", "are lesions seen in the colors? for docs/display.md"),
    "robustness": ("funfuse_cli.studies.robustness", "odd inputs and many runs; writes docs/robustness.md"),
    "cohort": ("funfuse_cli.studies.cohort", "a cohort, killed again and again; for docs/cohorts.md"),
    "speed": ("funfuse_cli.studies.speed", "times and memory of the command benchmark, for docs/speed.md"),
}
