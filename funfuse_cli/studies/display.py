"""``funfuse.py study display``: are lesions seen, is uptake read from the colors, do edges survive?"""

import argparse
import json
import time
from collections import defaultdict
from typing import Dict, Iterator, List, NamedTuple, Sequence, Tuple

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_gradient_magnitude
from scipy.spatial import cKDTree

from FunFuseSlicer.Logic.color.lab import to_lab
from FunFuseSlicer.Logic.errors import InputError
from FunFuseSlicer.Logic.fusion.models import load_model
from FunFuseSlicer.Logic.methods import METHODS
from FunFuseSlicer.Logic.output_folder import check_writable

from ..paths import input_path
from ..workflow.progress import bar
from . import add_docs
from .display_cases import CORTICAL, DEEP, LESIONS, PATCH, SEEN, Head, heads, images, patch, places
from .display_observer import NOTICEABLE, aucs, channels
from .display_shown import ALONE, MODELS, OVERLAY, Display, Sources, displays

# Places of each kind in a head, by group; realizations of noise.
PLACES = {"FDG": 14, "SPECT": 4, "simulated": 14}
REALIZATIONS = 4
# What takes long sees so many places of each kind in a head, so many realizations, and these lesions.
FEWER = {"FDG": 4, "SPECT": 1, "simulated": 4}
FEWER_REALIZATIONS = 2
FEWER_IMAGES = [0] + [n for n, (change, size) in enumerate(LESIONS, 1) if abs(change) == 0.2 and size == 8.0]
DRAWS, INTERVAL = 1000, (2.5, 97.5)
# Uptake below tells nothing; pixels of a patch whose uptake is read.
LEAST_UPTAKE, READ = 0.05, 200
# Of the edges, in pixels.
SIGMA = 1.0


class Seen(NamedTuple):
    """What the observer sees of one display: by group, one entry a place."""

    features: List[np.ndarray]
    kinds: List[str]


def main(arguments: List[str]) -> int:
    """Measure, and write docs/data/display_*."""
    parser = argparse.ArgumentParser(
        prog="funfuse.py study display",
        description="Put lesions into PETs, show them in many ways, and let an observer model look for them.",
    )
    parser.add_argument("--data", type=input_path, required=True, metavar="DIR", help="folder with 'volumes'")
    parser.add_argument(
        "--methods", nargs="*", choices=tuple(METHODS), metavar="NAME", help="other methods to show (all)"
    )
    add_docs(parser)
    options = parser.parse_args(arguments)
    if not (options.data / "volumes").is_dir():
        raise InputError(f"{options.data} has no folder 'volumes': give the data folder.")
    folder, start = check_writable(options.docs / "data"), time.process_time()
    known = list(METHODS) if options.methods is None else options.methods
    names = [name for name in known if METHODS[name].problem() is None]
    shown = displays(names)
    study = Study(shown)
    readers = list(heads(options.data / "volumes"))
    progress = bar(len(readers), "measuring", "head")
    for number, read in enumerate(readers):
        study.add(read(), names, np.random.default_rng(number))
        progress.update()
    progress.close()
    summary, lesions = study.tables()
    for name, table in (("summary", summary), ("lesions", lesions)):
        table.to_csv(folder / f"display_{name}.csv", index=False, float_format="%.4g", lineterminator="\n")
    facts = {**study.facts(), "seconds": round(time.process_time() - start)}
    (folder / "display_facts.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    return 0


class Study:
    """Collects what is seen and read of each display, head by head."""

    def __init__(self, shown: Sequence[Display]):
        self._shown = list(shown)
        self._by_source: Dict[str, List[int]] = defaultdict(list)
        for number, display in enumerate(shown):
            self._by_source[display.source].append(number)
        self._seen: Dict[Tuple[int, bool, str], Seen] = defaultdict(lambda: Seen([], []))
        self._noise: Dict[str, List[np.ndarray]] = defaultdict(list)
        # Of one display, by place: the error of what is read; and of edges, how they follow and how strong.
        self._read: Dict[int, Dict[int, float]] = defaultdict(dict)
        self._edges: Dict[int, Dict[int, Tuple[float, float]]] = defaultdict(dict)
        self._places = 0
        self._trees = [_palette(display) for display in shown]
        self._heads: List[str] = []

    def add(self, head: Head, methods: Sequence[str], rng: np.random.Generator) -> None:
        """Show the head at some places, with and without lesions."""
        sources, eyes = Sources(head, methods), channels(SEEN, head.spacing[1:])
        self._heads.append(head.name)
        self._noise[head.group].append(eyes.noise)
        so_far: Dict[str, int] = defaultdict(int)
        for place in places(head, PLACES[head.group], rng):
            mri, pets = images(head, place, REALIZATIONS, rng)
            so_far[place.kind] += 1
            self._places += 1
            clean = patch(head.pet, place)[None].astype(np.float32)
            few = pets[:FEWER_REALIZATIONS][:, FEWER_IMAGES]
            for slow, some in ((False, pets), (True, few)):
                if slow and so_far[place.kind] > FEWER[head.group]:
                    continue
                stack = np.concatenate([clean, some.reshape(-1, PATCH, PATCH)])
                for source, pair in sources.of(mri, stack, slow):
                    value, uptake = (_middle(image) for image in pair)
                    for number in self._by_source[source]:
                        lab = to_lab(self._shown[number].colors(value, uptake))
                        features = eyes.see(lab[1:]).reshape(*some.shape[:2], -1)
                        self._note(number, slow, head.group, place.kind, features)
                        if not slow and so_far[place.kind] <= FEWER[head.group]:
                            some_features = features[:FEWER_REALIZATIONS][:, FEWER_IMAGES]
                            self._note(number, True, head.group, place.kind, some_features)
                        misread = self._misread(number, lab[0], _middle(clean)[0])
                        self._read[number][self._places] = misread
                        self._edges[number][self._places] = _edges(lab[0], _middle(mri))

    def _note(self, number: int, few: bool, group: str, kind: str, features: np.ndarray) -> None:
        seen = self._seen[number, few, group]
        seen.features.append(features)
        seen.kinds.append(kind)

    def _misread(self, number: int, lab: np.ndarray, uptake: np.ndarray) -> float:
        """Mean error of the uptake that is read from colors, in percent of the range."""
        # The same pixels and the same eyes for all displays.
        rng = np.random.default_rng(self._places)
        pick = tuple(rng.integers(0, SEEN, (2, READ)))
        colors, right = lab[pick], uptake[pick]
        there = right > LEAST_UPTAKE
        # A reader who just notices NOTICEABLE.
        blurred = colors[there] + rng.normal(0.0, NOTICEABLE / np.sqrt(3), (int(there.sum()), 3))
        tree, said = self._trees[number]
        return 100 * float(np.abs(said[tree.query(blurred)[1]] - right[there]).mean())

    def tables(self) -> Tuple[pd.DataFrame, pd.DataFrame]:
        """A row a display, and one a display, kind of place and lesion."""
        rows: List[dict] = []
        lesions: List[dict] = []
        alone: Dict[Tuple[str, bool, bool], np.ndarray] = {}
        for number, display in enumerate(self._shown):
            # What is slow is compared with the others at the places that it sees.
            for few in (False, True) if display.kind == ALONE else (display.slow,):
                row: Dict[str, object] = {**display.facts, "fewer": few}
                for known, end in ((True, ""), (False, "_unknown")):
                    found, kinds = self._found(number, few, known)
                    drawn = _drawn(found, kinds)
                    if display.kind == ALONE:
                        alone[display.table, few, known] = drawn
                    row.update(_interval(f"auc{end}", drawn))
                    row.update(_interval(f"gap{end}", drawn - alone["gray", few, known]))
                    own = alone.get((display.table, few, known))
                    if known and own is not None:
                        row.update(_interval("gap_own", drawn - own))
                    if known and not few:
                        lesions += [{**display.facts, **each} for each in _by_lesion(found, kinds)]
                if few == display.slow:
                    rows.append({**row, **self._rest(number)})
        return pd.DataFrame(rows), pd.DataFrame(lesions)

    def _found(self, number: int, few: bool, known: bool):
        """By group what :func:`display_observer.aucs` finds, and the kinds of its places."""
        seen = {group: self._seen[number, few, group] for group in self._noise}
        noise = {group: np.mean(each, axis=0) for group, each in self._noise.items()}
        kinds = {group: np.array(each.kinds) for group, each in seen.items()}
        return {
            group: aucs(np.stack(each.features), noise[group], kinds[group], known)
            for group, each in seen.items()
        }, kinds

    def _rest(self, number: int) -> Dict[str, float]:
        """What is read, and the edges, those of the overlay of one half beside them."""
        overlays = {shown.omega: n for n, shown in enumerate(self._shown) if shown.kind == OVERLAY}
        overlay = overlays[0.5]
        edges = np.array(list(self._edges[number].values()))
        others = np.array([self._edges[overlay][place][0] for place in self._edges[number]])
        again = np.random.default_rng(0).integers(0, len(edges), (DRAWS, len(edges)))
        gap = np.array([edges[:, 0] - others, *(edges[one, 0] - others[one] for one in again)]).mean(axis=1)
        return {
            "misread": float(np.mean(list(self._read[number].values()))),
            "edges": edges[:, 0].mean(),
            "strength": edges[:, 1].mean(),
            **_interval("edges_gap", gap),
        }

    def facts(self) -> Dict[str, object]:
        """How it was measured."""
        places, fewer = (
            sum(len(self._seen[0, few, group].kinds) for group in self._noise) for few in (False, True)
        )
        return {
            "heads": self._heads,
            "places": places,
            "places_fewer": fewer,
            "realizations": REALIZATIONS,
            "realizations_fewer": FEWER_REALIZATIONS,
            "draws": DRAWS,
            "displays": len(self._shown),
            "models": {name: load_model(name).sha256 for name in MODELS},
        }


def _drawn(found: Dict[str, np.ndarray], kinds: Dict[str, np.ndarray]) -> np.ndarray:
    """The mean AUC of all lesions: as it is, then with places drawn again, the same ones for all displays.

    Groups and kinds of places count alike.
    """
    rng, each = np.random.default_rng(0), []
    for group, result in found.items():
        mean = result.mean(axis=0)
        for kind in np.unique(kinds[group]):
            at = np.flatnonzero(kinds[group] == kind)
            again = rng.choice(at, (DRAWS, len(at)))
            each.append([_mean_there(mean[np.ix_(one, one)]) for one in (at, *again)])
    return np.mean(each, axis=0)


def _mean_there(values: np.ndarray) -> float:
    """Without NaN; of nothing else NaN, as when one place was drawn again and again."""
    there = values[~np.isnan(values)]
    return float(there.mean()) if len(there) else np.nan


def _interval(name: str, drawn: np.ndarray) -> Dict[str, float]:
    low, high = np.nanpercentile(drawn[1:], INTERVAL)
    return {name: drawn[0], f"{name}_low": low, f"{name}_high": high}


def _by_lesion(found: Dict[str, np.ndarray], kinds: Dict[str, np.ndarray]) -> Iterator[dict]:
    """The AUC of each lesion at each kind of place, groups counting alike."""
    for kind in (CORTICAL, DEEP):
        means = [np.nanmean(each[:, kinds[group] == kind], axis=(1, 2)) for group, each in found.items()]
        for (change, size), auc in zip(LESIONS, np.mean(means, axis=0)):
            yield {"place": kind, "change": change, "size": size, "auc": auc}


def _middle(image: np.ndarray) -> np.ndarray:
    margin = (PATCH - SEEN) // 2
    return image[..., margin : margin + SEEN, margin : margin + SEEN]


def _palette(display: Display) -> Tuple[cKDTree, np.ndarray]:
    """All colors that a display can show, and their uptake."""
    value, uptake = np.meshgrid(np.linspace(0, 1, 86), np.linspace(0, 1, 101), indexing="ij")
    lab = to_lab(display.colors(value.astype(np.float32), uptake.astype(np.float32)))
    return cKDTree(lab.reshape(-1, 3)), uptake.ravel()


def _edges(lab: np.ndarray, mri: np.ndarray) -> Tuple[float, float]:
    """How edges of lightness follow those of the MRI: correlation of gradient magnitudes, and their slope."""
    gray = to_lab(np.repeat(np.rint(255 * mri).astype(np.uint8)[..., None], 3, axis=-1))[..., 0]
    shown, right = (gaussian_gradient_magnitude(image, SIGMA).ravel() for image in (lab[..., 0], gray))
    covariance = np.cov(shown, right)
    spread = np.sqrt(covariance[0, 0] * covariance[1, 1])
    return (float(covariance[0, 1] / spread) if spread else 0.0), float(covariance[0, 1] / covariance[1, 1])
