"""The studies behind the pages in docs: each computes a page's figures and writes the page.

name -> (module with ``main(arguments) -> exit code``, one line of help)
"""

STUDIES = {
    "model": ("Headless.studies.model", "train the variants of the network; writes docs/model.md"),
    "evaluation": ("Headless.studies.evaluation", "compare fusion methods; writes docs/evaluation.md"),
    "weights": ("Headless.studies.weights", "the metrics over λ and Ω, with heat maps"),
    "registration": ("Headless.studies.registration", "known displacements; writes docs/registration.md"),
    "robustness": ("Headless.studies.robustness", "odd inputs and many runs; writes docs/robustness.md"),
}
