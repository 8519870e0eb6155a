"""The page of the study, in plain sentences that follow from the numbers."""

from typing import Dict, Iterable, List, Sequence

from ..workflow.wording import count
from .model_measure import TERMS, Row
from .model_robust import MOST_OUTSIDE
from .model_runs import CLOSE, MINUTES, spread
from .model_study import HELD_OUT, LAMBDA, METHOD_LABELS, TEST

GROUP_TITLE = {TEST: "test pairs", HELD_OUT: "held-out patients"}
ABLATION_PLOT, LAMBDA_PLOT, CHANGES_PLOT = (
    "model_ablation.png",
    "model_lambda.png",
    "model_generalization.png",
)

# A mean change of the picture below so many gray levels of 255 is not seen without amplification.
UNSEEN = 2.0


def page(results: Row) -> str:
    """The whole page in Markdown.

    :param results: what :func:`model.collect` returns; parts that are empty are left out and named.
    """
    sections = (_head, _budget, _ablation, _patients, _runs, _lambda, _pictures, _changes, _range, _reading)
    blocks = [block for section in sections for block in section(results)]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _head(results: Row) -> Iterable[str]:
    yield "# The fusion network: evidence"
    yield (
        "What the network's choices are worth, how sure that is, and where it fails. This page and its plots "
        "are written by one command from its own measurements (kept in `results.json` in its folder of "
        "results): do not edit them by hand."
    )
    yield f"```\n{results['command']}\n```"
    if results["missing"]:
        yield "**This page is not complete.** Not computed yet, and left out below:"
        yield "\n".join(f"- {part}: {what}" for part, what in results["missing"].items())


def _budget(results: Row) -> Iterable[str]:
    budget = results["budget"]
    yield "## Budget and data"
    seeds = ", ".join(str(seed) for seed in budget["seeds"])
    lines = [
        f"Ablation: {budget['steps']} steps for every variant, {count(len(budget['seeds']), 'seed')} "
        f"({seeds}); the paper's preset {budget['paper_steps']} steps of its own protocol. The same crops in "
        "the same order for all that have the default protocol.",
        f"Fine-tuning for one λ: {budget['tune_steps']} steps each, one-cycle to {budget['tune_rate']:g}.",
        f"Pixels optimized directly: {budget['bound_steps']} steps of Adam for every pair, from the plain "
        "average.",
    ]
    if budget["batch"] or budget["crop"]:
        lines.append(
            f"A trial with batches of {budget['batch'] or 'the usual size'} and crops of "
            f"{budget['crop'] or 'the usual size'}: its numbers say little."
        )
    for name in ("training", TEST, HELD_OUT):
        if name in budget["pairs"]:
            patients = budget["patients"][name]
            lines.append(
                f"{GROUP_TITLE.get(name, name).capitalize()}: {count(budget['pairs'][name], 'pair')} of "
                f"{count(len(patients), 'patient')} ({', '.join(patients)})."
            )
    for name, sha256 in budget["models"].items():
        lines.append(f"Shipped model `{name}`: sha256 `{sha256[:16]}…`.")
    if results.get("machine"):
        lines.append(f"Computer: {results['machine']}.")
    yield _bullets(lines)
    yield (
        "The loss is that of the paper, eq. (4), lower is better, measured on the fused image as it is: "
        "neither clipped nor rounded. MSE is on the range [0, 1]. No held-out patient and no test pair was "
        "trained on."
    )


# --- Ablation -----------------------------------------------------------------------------------------


def _ablation(results: Row) -> Iterable[str]:
    rows = results["ablation"]
    if not rows:
        return
    yield "## Ablation"
    yield (
        "Each variant differs from the default preset in what its name says. Another rule 1, BatchNorm, "
        "biases and tanh leave no parts that add up, and so none to price: compare these variants with "
        "the row without that price. Trained variants have a short "
        "budget, so compare them with each other and with the first row; the shipped models were trained "
        "longer."
    )
    yield f"![loss of every variant]({_image(ABLATION_PLOT)})"
    for group in _groups(results):
        yield f"On the {GROUP_TITLE[group]}, λ = {LAMBDA:g}:"
        yield _table(
            ["", "steps", "seeds", "loss ↓", "spread", "SSIM_MRI ↑", "SSIM_PET ↑", "MSE_MRI ↓", "MSE_PET ↓"],
            [_ablation_cells(row, group) for row in rows],
        )
    yield _bullets(_ablation_said(rows))


def _ablation_cells(row: Row, group: str) -> List[str]:
    trained = row["kind"] == "trained"
    cells = [row["label"], str(row["steps"]) if trained else "–", str(len(row["seeds"])) if trained else "–"]
    diverged = row.get("diverged") or {}
    mean = row["groups"].get(group)
    if mean is None:
        steps = ", ".join(str(step) for step in diverged.values())
        return [*cells, f"diverged at step {steps}" if diverged else "–", *["–"] * 5]
    more = "" if not diverged else f" ({len(diverged)} more diverged)"
    several = trained and len(row["seeds"]) - len(diverged) > 1
    return [
        *cells,
        _number(mean["loss"]) + more,
        _number(mean["spread"]) if several else "–",
        *(_number(mean[name]) for name in TERMS),
    ]


def _ablation_said(rows: List[Row]) -> List[str]:
    said = []
    by_name = {row["name"]: row for row in rows}
    default, bound = by_name.get("default"), by_name.get("bound")
    if default is not None and _below(default, float("inf")):
        ours = default["groups"][TEST]["loss"]
        beating = [
            f"{row['label']} by {_number(ours - row['groups'][TEST]['loss'])}"
            for row in rows
            if row["kind"] == "trained" and row is not default and _below(row, ours)
        ]
        if beating:
            said.append(f"Lower than the default on the test pairs on this budget: {'; '.join(beating)}.")
        else:
            said.append("No other trained variant is lower than the default on the test pairs.")
        if len(default["seeds"]) < 2:
            said.append(
                "One seed only: a difference of the size of the spread between seeds, see below, decides "
                "nothing."
            )
    if bound is not None and "average" in by_name:
        for name, group in GROUP_TITLE.items():
            average = by_name["average"]["groups"].get(name)
            limit = bound["groups"].get(name)
            for row in rows:
                if row["kind"] == "shipped" and average and limit and name in row["groups"]:
                    said.append(_way_to_bound(row, name, group, average["loss"], limit["loss"]))
    for row in rows:
        if row.get("diverged"):
            said.append(f"Diverged: {row['label']}, {count(len(row['diverged']), 'run')}.")
    return said


def _way_to_bound(row: Row, name: str, group: str, average: float, limit: float) -> str:
    loss = row["groups"][name]["loss"]
    if loss <= limit:
        return (
            f"On the {group}, `{row['name']}` is below what the direct optimization found: that needs more "
            "steps to be a bound."
        )
    if loss >= average:
        return f"On the {group}, `{row['name']}` is not below the plain average."
    share = (average - loss) / (average - limit)
    return (
        f"On the {group}, `{row['name']}` goes {_percent(share, 0)} of the way from the plain average to the "
        "pixels optimized directly."
    )


def _below(row: Row, loss: float) -> bool:
    mean = row["groups"].get(TEST)
    return mean is not None and mean["loss"] is not None and mean["loss"] < loss


# --- Every pair ---------------------------------------------------------------------------------------


def _patients(results: Row) -> Iterable[str]:
    rows = results["patients"]
    if not rows:
        return
    yield "## Every unseen patient"
    names = [name for name in rows[0] if name not in ("group", "patient", "pairs")]
    names += [name for name in ("bound",) if name not in names and any(name in row for row in rows)]
    labels = {**METHOD_LABELS, "bound": "pixels directly"}
    cells = []
    for row in rows:
        known = [row[name] for name in names if row.get(name) is not None and name != "bound"]
        lowest = min(known)
        what = results["descriptions"].get(row["patient"], "")
        line = [GROUP_TITLE[row["group"]], row["patient"], what, str(row["pairs"])]
        for name in names:
            text = _number(row.get(name))
            line.append(f"**{text}**" if name != "bound" and row.get(name) == lowest else text)
        cells.append(line)
    yield f"Loss at λ = {LAMBDA:g}; bold is the lowest, the optimized pixels apart."
    heads = [labels.get(name, f"`{name}`") for name in names]
    yield _table(["", "patient", "images", "pairs", *heads], cells, left=3)
    said = []
    for model, groups in results["won"].items():
        for group, won in groups.items():
            said.append(
                f"{GROUP_TITLE[group].capitalize()}: `{model}` is lower than average, maximum and Laplacian "
                f"pyramid alike on {won['all']} of {count(won['pairs'], 'pair')} (than the average on "
                f"{won['average']}, the maximum on {won['maximum']}, the pyramid on "
                f"{won['laplacian_pyramid']})."
            )
    yield _bullets(said)


# --- Runs ---------------------------------------------------------------------------------------------


def _runs(results: Row) -> Iterable[str]:
    if results["seeds"]:
        yield "## Seeds"
        rows = results["seeds"]
        yield f"The same recipe with several seeds; loss at λ = {LAMBDA:g}."
        yield _run_table(results, rows)
        said = []
        for objective in dict.fromkeys(row["objective"] for row in rows):
            own = [row for row in rows if row["objective"] == objective]
            seeds = {row["seed"] for row in own}
            for group, numbers in spread(own).items():
                deviation = numbers["deviation"]
                said.append(
                    f"Objective {_or_dash(objective)}, {count(len(own), 'run')} with "
                    f"{count(len(seeds), 'seed')}, {GROUP_TITLE[group]}: mean {_number(numbers['mean'])}, "
                    + ("" if deviation is None else f"standard deviation {_number(deviation)}, ")
                    + f"highest and lowest {_percent(numbers['range'], 2)} of the mean apart."
                )
        good = sum(row.get("below_average") == row.get("test_pairs") for row in rows)
        said.append(f"{good} of {count(len(rows), 'run')} are below the plain average on every test pair.")
        yield _bullets(said)
    if results["preset"]:
        yield "## Training again"
        rows = results["preset"]
        yield "Runs of the train command, against the shipped model with the same objective."
        yield _run_table(results, rows)
        said = []
        for row in rows:
            if row["from_shipped"] is None:
                continue
            near = row["from_shipped"] <= CLOSE
            fast = row["minutes"] is not None and row["minutes"] <= MINUTES
            said.append(
                f"{row['name']}: {_signed(row['from_shipped'])} from the shipped `{row['shipped']}`, "
                f"{'within' if near else 'not within'} {_percent(CLOSE, 0)}; "
                + (
                    "time unknown."
                    if row["minutes"] is None
                    else f"{row['minutes']:.0f} minutes, {'within' if fast else 'more than'} {MINUTES:.0f}."
                )
                + (" It started from the weights of an earlier run." if row["continued"] else "")
            )
        yield _bullets(said)


def _run_table(results: Row, rows: List[Row]) -> str:
    groups = _groups(results)
    cells = []
    for row in rows:
        first = [row["name"], _or_dash(row["objective"]), _or_dash(row["seed"]), _or_dash(row["steps"])]
        first.append("yes" if row["continued"] else "no")
        first.append("–" if row["minutes"] is None else f"{row['minutes']:.1f}")
        first += [_number(row["losses"][group]) for group in groups]
        cells.append([*first, "–" if row["from_shipped"] is None else _signed(row["from_shipped"])])
    heads = ["run", "objective", "seed", "steps", "from earlier weights", "minutes"]
    heads += [f"loss, {GROUP_TITLE[group]}" for group in groups]
    return _table([*heads, "against shipped"], cells)


# --- λ ------------------------------------------------------------------------------------------------


def _lambda(results: Row) -> Iterable[str]:
    rows = results["lambda"]
    if not rows:
        return
    models = list(results["budget"]["models"])
    yield "## λ"
    yield (
        f"One network serves every λ. Is it as good as one for each? `{models[0]}` was fine-tuned for every "
        "λ by itself, from its own weights at that λ; the gap says by how much the one network's loss is "
        "above. "
        "Asked is 2 % at most, 10 % at λ = 0."
    )
    yield f"![loss and gap over λ]({_image(LAMBDA_PLOT)})"
    for group in _groups(results):
        columns = ["average", *models, "alone"]
        heads = ["plain average", *(f"`{name}`" for name in models), f"`{models[0]}`, this λ alone"]
        judged = group == (HELD_OUT if HELD_OUT in results["budget"]["pairs"] else TEST)
        cells = []
        for row in rows:
            losses = row["groups"].get(group, {})
            line = [f"{row['lambda']:g}", *(_number(losses.get(column)) for column in columns)]
            if judged:
                verdict = "–" if "gap" not in row else "kept" if row["kept"] else "**beyond**"
                gap = _signed(row["gap"]) if "gap" in row else "diverged" if row["diverged"] else "–"
                line += [gap, verdict]
            cells.append(line)
        yield f"Loss on the {GROUP_TITLE[group]}:"
        yield _table(["λ", *heads, *(["gap", "limit"] if judged else [])], cells)
    yield _bullets(_lambda_said(results, models))


def _lambda_said(results: Row, models: Sequence[str]) -> List[str]:
    said = []
    judged = [row for row in results["lambda"] if "gap" in row]
    beyond = [f"{row['lambda']:g} ({_signed(row['gap'])})" for row in judged if not row["kept"]]
    if judged and not beyond:
        said.append(f"The limit is kept at all {len(judged)} values of λ that were measured.")
    elif judged:
        said.append(f"The limit is not kept at λ = {', '.join(beyond)}.")
    idle = [f"{row['lambda']:g}" for row in judged if row["gap"] <= 0]
    if idle:
        said.append(
            f"At λ = {', '.join(idle)} fine-tuning ended no better than where it started: there the gap says "
            "only that so many steps of it bring nothing."
        )
    zero = next((row for row in results["lambda"] if row["lambda"] == 0), None)
    if zero is not None:
        for group, losses in zero["groups"].items():
            if {"average", models[0]} <= losses.keys():
                said.append(
                    f"At λ = 0 the plain average is the optimum: {_number(losses['average'], 5)} on the "
                    f"{GROUP_TITLE[group]}, `{models[0]}` {_number(losses[models[0]], 5)}."
                )
    for model, changes in (results["picture_change"] or {}).items():
        said.append(f"How far the picture of `{model}` moves: {_moved(changes)} (test pairs).")
    return said


def _moved(changes: Dict[str, float]) -> str:
    """What the mean differences from λ = 0.8 say."""
    others = {float(lam): change for lam, change in changes.items() if float(lam) != LAMBDA}
    listed = ", ".join(f"{change:.1f} at λ = {lam:g}" for lam, change in others.items())
    unseen = [f"{lam:g}" for lam, change in others.items() if change < UNSEEN]
    text = f"mean difference from λ = {LAMBDA:g} over the head, in gray levels of 255: {listed}"
    if unseen:
        text += f"; below {UNSEEN:g}, that is hardly visible, at λ = {', '.join(unseen)}"
    return text


def _pictures(results: Row) -> Iterable[str]:
    pictures = results["pictures"]
    if not pictures:
        return
    yield "## What λ does to the picture"
    yield f"![fused images over λ]({_image('model_pictures.png')})"
    yield (
        f"*One axial slice. Upper row of each model: fused image. Lower row: its difference from λ = "
        f"{LAMBDA:g}, {pictures['amplified']} times amplified; orange is brighter, blue is darker. "
        f"{results['credit']}*"
    )
    lines = [f"`{model}`: {_moved(changes)}." for model, changes in pictures["changes"].items()]
    yield _bullets(lines)


# --- Changes and range --------------------------------------------------------------------------------


def _changes(results: Row) -> Iterable[str]:
    rows = results["generalization"]
    if not rows:
        return
    yield "## Changed inputs"
    yield (
        "The inputs are changed on purpose, then fused, and measured against the changed inputs. The plain "
        "average of the same inputs is the measure: its loss changes too."
    )
    yield f"![loss against the average for every change]({_image(CHANGES_PLOT)})"
    models = list(dict.fromkeys(row["model"] for row in rows))
    for group in _groups(results):
        some = {row["change"]: {} for row in rows if row["group"] == group}
        for row in rows:
            if row["group"] == group:
                some[row["change"]][row["model"]] = row
        if not some:
            continue
        pairs = next(iter(next(iter(some.values())).values()))["pairs"]
        yield f"On {count(pairs, 'pair')} of the {GROUP_TITLE[group]}, λ = {LAMBDA:g}:"
        heads = ["change", "plain average"]
        for model in models:
            heads += [f"`{model}`", "against average", "better on"]
        cells = []
        for found in some.values():
            one = next(iter(found.values()))
            line = [one["text"], _number(one["average"])]
            for model in models:
                row = found.get(model)
                line += (
                    ["–"] * 3
                    if row is None
                    else [
                        _number(row["loss"]),
                        _signed(row["loss"] / row["average"] - 1),
                        f"{row['better']}/{row['pairs']}",
                    ]
                )
            cells.append(line)
        yield _table(heads, cells)
    yield _bullets(_changes_said(rows, models))
    lesions = [row for row in rows if row["lesion_fused"] is not None]
    if lesions:
        yield (
            "Lesions: the share of the lesion's contrast in the PET that arrives in the fused image, and in "
            "the PET's part. The plain average passes on 50 %."
        )
        yield _table(
            ["lesion", "images", "model", "in the fused image", "in the PET's part"],
            [
                [
                    row["text"],
                    GROUP_TITLE[row["group"]],
                    f"`{row['model']}`",
                    _percent(row["lesion_fused"], 0),
                    _percent(row["lesion_part"], 0),
                ]
                for row in lesions
            ],
            left=3,
        )


def _changes_said(rows: List[Row], models: Sequence[str]) -> List[str]:
    said = []
    for model in models:
        own = [row for row in rows if row["model"] == model]
        worse = [
            f"{row['text']} ({GROUP_TITLE[row['group']]}, {_signed(row['loss'] / row['average'] - 1)})"
            for row in own
            if row["loss"] >= row["average"]
        ]
        if worse:
            said.append(f"`{model}` does not beat the plain average here: {'; '.join(worse)}.")
        else:
            nearest = max(own, key=lambda row: row["loss"] / row["average"])
            said.append(
                f"`{model}` beats the plain average under every change; least with {nearest['text']} "
                f"({GROUP_TITLE[nearest['group']]}): {_signed(nearest['loss'] / nearest['average'] - 1)}."
            )
    return said


def _range(results: Row) -> Iterable[str]:
    rows = results["range"]
    if not rows:
        return
    yield "## Range and parts"
    yield (
        "Inputs lie in [0, 1]. Outside: share of pixels where the fused image leaves [0, 1] by more than "
        "0.01. Limited: the network's last step keeps the fused image between black and the brightest that "
        "either input shows within 11 pixels; this is the share of the head that it changes by more than "
        "0.01, where contrast of the network is lost. Negative: share of the head where a part is below "
        "-0.02. Each as mean over pairs and, in brackets, of the worst pair. Completeness: largest "
        "difference of MRI part + PET part from the fused image, which is computed a second time in the "
        "ordinary way."
    )
    cells = []
    for row in rows:
        mean, worst = row["mean"], row["worst"]
        columns = ("outside", "limited", "C1_negative", "C2_negative")
        cells.append(
            [
                f"`{row['model']}`",
                f"{row['lambda']:g}",
                GROUP_TITLE[row["group"]],
                *(f"{_percent(mean[name], 3)} ({_percent(worst[name], 3)})" for name in columns),
                f"{worst['lowest']:.3f} … {worst['highest']:.3f}",
                f"{worst['completeness']:.0e}",
            ]
        )
    heads = ["model", "λ", "images", "outside", "limited", "MRI part negative", "PET part negative"]
    yield _table([*heads, "lowest … highest", "completeness"], cells, left=3)
    said = []
    for model in dict.fromkeys(row["model"] for row in rows):
        own = [row for row in rows if row["model"] == model]
        over = [row for row in own if row["worst"]["outside"] > MOST_OUTSIDE]
        if over:
            worst = max(over, key=lambda row: row["worst"]["outside"])
            said.append(
                f"`{model}`: more than {_percent(MOST_OUTSIDE, 1)} of a pair's pixels are outside in "
                f"{count(len(over), 'row')} above; the worst is {worst['worst_pair']} at λ = "
                f"{worst['lambda']:g} with {_percent(worst['worst']['outside'], 2)}."
            )
        else:
            said.append(
                f"`{model}`: no pair has more than {_percent(MOST_OUTSIDE, 1)} of its pixels outside."
            )
        limited, mri, pet = (
            max(row["worst"][name] for row in own) for name in ("limited", "C1_negative", "C2_negative")
        )
        said.append(f"`{model}`: limited is at most {_percent(limited, 1)} of a head, over all λ above.")
        said.append(
            f"`{model}`: negative parts fill at most {_percent(mri, 1)} of a head in the MRI's part and "
            f"{_percent(pet, 1)} in the PET's, over all λ above."
        )
    yield _bullets(said)


def _reading(results: Row) -> Iterable[str]:
    yield "## How to read this"
    yield _bullets(
        [
            "The objective `detail` was chosen while looking at the test pairs, so that its numbers there "
            "are not those of a blind test. The held-out patients were not looked at for that.",
            "`faithful` is trained on the very loss that is tabulated here; `detail` asks for more than that "
            "loss, so a higher loss is its purpose and no defect.",
            "Few patients, from one public atlas. A test pair is one slice of one subject; the pairs of one "
            "held-out patient are neighbors and count as one case rather than as many.",
            "The direct optimization of pixels starts from the average and ends in a local optimum: nearly a "
            "bound, not a proven one. It needs both inputs' loss for every image and is no method.",
            "A lower loss is no proof of a better picture for a reader; there was no reader study.",
            "On another processor the last digits differ.",
        ]
    )


# --- Markdown -----------------------------------------------------------------------------------------


def _groups(results: Row) -> List[str]:
    return [name for name in (TEST, HELD_OUT) if name in results["budget"]["pairs"]]


def _image(name: str) -> str:
    return f"images/{name}"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> str:
    lines = ["| " + " | ".join(heads) + " |"]
    lines.append("|" + "---|" * left + "---:|" * (len(heads) - left))
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _number(value, digits: int = 4) -> str:
    if value is None or value != value:  # NaN differs from itself
        return "–"
    return f"{value:.{digits}f}" if abs(value) < 1000 else f"{value:.1e}"


def _percent(share: float, digits: int) -> str:
    return f"{100 * share:.{digits}f} %"


def _signed(share: float) -> str:
    return f"{100 * share:+.1f} %"


def _or_dash(value) -> str:
    return "–" if value is None else str(value)
