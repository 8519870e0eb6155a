#!/usr/bin/env python3
"""A command line program with the parameters of BRAINSFit that FunFuse uses; registers with SimpleITK.

For tests, which run it as a process of its own in BRAINSFit's place. Called with --xml it describes
itself as the Slicer execution model wants it; names, kinds, defaults and file endings are BRAINSFit's.
Two environment variables are for the tests:

BRAINSFIT_PROGRAM_LOG       a file; each call appends its arguments as a line of JSON
BRAINSFIT_PROGRAM_BEHAVIOR  crash, hang, error (exit code 1, the reason on both streams),
                            stdout-error (the reason on standard output only), garbage (an output file
                            that is no transform), silent (no output file), far (a transform that puts
                            the heads apart), refuse-moments (error for that start only), refuse-affine
                            (error for the second run only)
"""

import argparse
import json
import os
import sys
import time

MODES = ("Off", "useMomentsAlign", "useCenterOfHeadAlign", "useGeometryAlign", "useCenterOfROIAlign")
MASKS = ("NOMASK", "ROIAUTO", "ROI")
TRANSFORM_FILES = 'fileExtensions=".h5,.hdf5,.mat,.txt"'

# (tag with attributes, name, default, channel, choices)
PARAMETERS = (
    ("image", "fixedVolume", "", "input", ()),
    ("image", "movingVolume", "", "input", ()),
    ("double", "samplingPercentage", "0.002", "", ()),
    (
        f'transform {TRANSFORM_FILES} type="linear" reference="movingVolume"',
        "linearTransform",
        "",
        "output",
        (),
    ),
    ("image", "outputVolume", "", "output", ()),
    (f"transform {TRANSFORM_FILES}", "initialTransform", "", "input", ()),
    ("string-enumeration", "initializeTransformMode", "Off", "", MODES),
    ("boolean", "useRigid", "false", "", ()),
    ("boolean", "useScaleVersor3D", "false", "", ()),
    ("boolean", "useScaleSkewVersor3D", "false", "", ()),
    ("boolean", "useAffine", "false", "", ()),
    ("string-enumeration", "maskProcessingMode", "NOMASK", "", MASKS),
    ('image type="label"', "fixedBinaryVolume", "", "input", ()),
    ('image type="label"', "movingBinaryVolume", "", "input", ()),
    ("integer-vector", "numberOfIterations", "1500", "", ()),
    ("string-enumeration", "costMetric", "MMI", "", ("MMI", "MSE", "NC", "MIH")),
)


def main(arguments):
    if arguments == ["--xml"]:
        print(describe())
        return 0
    options = parse(arguments)
    if os.environ.get("BRAINSFIT_PROGRAM_LOG"):
        with open(os.environ["BRAINSFIT_PROGRAM_LOG"], "a", encoding="utf-8") as log:
            log.write(json.dumps(arguments) + "\n")
    behavior = os.environ.get("BRAINSFIT_PROGRAM_BEHAVIOR", "")
    print("<filter-start>\n<filter-name>stand-in</filter-name>\n</filter-start>", flush=True)
    code = misbehave(behavior, options)
    if code is not None:
        return code
    check(options)
    load_libraries()
    result = register(options)
    if behavior == "far":
        away = sitk.TranslationTransform(3, (0.0, 0.0, 500.0))
        result = sitk.AffineTransform(3)
        result.SetTranslation(away.GetOffset())
    if options.linearTransform:
        sitk.WriteTransform(result, options.linearTransform)
    if options.outputVolume:
        fixed, moving = sitk.ReadImage(options.fixedVolume), sitk.ReadImage(options.movingVolume)
        sitk.WriteImage(sitk.Resample(moving, fixed, result), options.outputVolume)
    print(
        "<filter-end>\n<filter-name>stand-in</filter-name>\n</filter-end>\nFinal metric reached", flush=True
    )
    return 0


def load_libraries():
    """Late, because the description and the misbehavior need none, and tests want them quickly."""
    global np, sitk
    import numpy as np
    import SimpleITK as sitk


def describe():
    """The XML description."""
    lines = ["<?xml version='1.0' encoding='utf-8'?>", "<executable>", "<category>Registration</category>"]
    lines += ["<title>General Registration (BRAINS)</title>", "<version>stand-in</version>"]
    lines += ["<description>A stand-in for tests.</description>", "<parameters>", "<label>All</label>"]
    lines.append("<description>All parameters.</description>")
    for tag, name, default, channel, choices in PARAMETERS:
        lines.append(f"<{tag}><name>{name}</name><longflag>{name}</longflag><label>{name}</label>")
        lines.append(f"<description>{name}</description><default>{default}</default>")
        lines += [f"<element>{choice}</element>" for choice in choices]
        lines += [f"<channel>{channel}</channel>"] if channel else []
        lines.append(f"</{tag.split()[0]}>")
    return "\n".join([*lines, "</parameters>", "</executable>"])


def parse(arguments):
    parser = argparse.ArgumentParser(allow_abbrev=False)
    types = {"double": float, "integer-vector": lambda text: [int(part) for part in text.split(",")]}
    for tag, name, default, _, choices in PARAMETERS:
        if tag == "boolean":
            parser.add_argument(f"--{name}", action="store_true")
        else:
            kind = types.get(tag, str)
            parser.add_argument(f"--{name}", type=kind, default=kind(default), choices=choices or None)
    return parser.parse_args(arguments)


def misbehave(behavior, options):
    """What the tests ask for; an exit code, or None to go on."""
    if behavior == "crash":
        os.abort()
    if behavior == "hang":
        print("working forever", flush=True)
        while True:
            time.sleep(1)
    if behavior == "error":
        print("reading the images")
        print("ERROR: the heart is not a brain", file=sys.stderr)
        return 1
    if behavior == "stdout-error":
        print("Error:  user can only specify one output transform type.")
        return 1
    if behavior == "garbage":
        with open(options.linearTransform, "w", encoding="utf-8") as file:
            file.write("this is no transform")
        return 0
    if behavior == "silent":
        return 0
    if behavior == "refuse-moments" and options.initializeTransformMode == "useMomentsAlign":
        print("the moments of the images are not those of a brain", file=sys.stderr)
        return 1
    if behavior == "refuse-affine" and options.useAffine:
        print("the affine stage failed", file=sys.stderr)
        return 1
    return None


def check(options):
    if not (options.fixedVolume and options.movingVolume):
        sys.exit("ERROR: both volumes are needed")
    if options.initialTransform and options.initializeTransformMode != "Off":
        sys.exit("ERROR: an initial transform excludes an initialization")
    if options.maskProcessingMode == "ROI" and not (options.fixedBinaryVolume and options.movingBinaryVolume):
        sys.exit("ERROR: Must specify mask file names when ROI is used")
    if options.maskProcessingMode != "ROI" and (options.fixedBinaryVolume or options.movingBinaryVolume):
        sys.exit("ERROR: masks are given, but not used")


def register(options):
    """The transform from fixed to moving points (LPS), as one affine transform."""
    fixed = sitk.ReadImage(options.fixedVolume, sitk.sitkFloat32)
    moving = sitk.ReadImage(options.movingVolume, sitk.sitkFloat32)
    masks = None, None
    if options.maskProcessingMode == "ROIAUTO":
        masks = head_mask(fixed), head_mask(moving)
    elif options.maskProcessingMode == "ROI":
        masks = tuple(
            sitk.ReadImage(f, sitk.sitkUInt8) for f in (options.fixedBinaryVolume, options.movingBinaryVolume)
        )
    matrix, offset = initial(options, fixed, moving, masks)
    center = fixed.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2.0 for n in fixed.GetSize()])
    stages = (
        (options.useRigid, sitk.VersorRigid3DTransform, 3),
        (options.useScaleVersor3D, sitk.ScaleVersor3DTransform, 6),
        (options.useAffine, sitk.AffineTransform, 9),
    )
    for wanted, kind, turns in stages:
        if wanted:
            print(f"stage {kind.__name__}", flush=True)
            matrix, offset = optimize(options, fixed, moving, masks[0], kind, turns, center, matrix, offset)
    result = sitk.AffineTransform(3)
    result.SetMatrix(matrix.ravel().tolist())
    result.SetTranslation(offset.tolist())
    return result


def head_mask(image):
    mask = sitk.BinaryMorphologicalClosing(sitk.OtsuThreshold(image, 0, 1), [3, 3, 3])
    return sitk.BinaryFillhole(mask)


def initial(options, fixed, moving, masks):
    """Matrix and offset, fixed to moving."""
    if options.initialTransform:
        transform = sitk.ReadTransform(options.initialTransform)
        offset = np.array(transform.TransformPoint((0.0, 0.0, 0.0)))
        columns = [np.array(transform.TransformPoint(np.eye(3)[a].tolist())) - offset for a in range(3)]
        return np.stack(columns, axis=1), offset
    if options.initializeTransformMode == "Off":
        return np.eye(3), np.zeros(3)
    if options.initializeTransformMode == "useGeometryAlign":
        centers = [
            np.array(i.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2.0 for n in i.GetSize()]))
            for i in (fixed, moving)
        ]
    else:
        weights = [fixed, moving] if options.initializeTransformMode == "useMomentsAlign" else masks
        centers = [center_of_mass(image) for image in weights]
    return np.eye(3), centers[1] - centers[0]


def center_of_mass(image):
    array = np.maximum(sitk.GetArrayViewFromImage(image).astype(float), 0.0)
    ijk = [
        float((array.sum(axis=tuple(b for b in range(3) if b != a)) * np.arange(array.shape[a])).sum())
        for a in (2, 1, 0)
    ]
    return np.array(image.TransformContinuousIndexToPhysicalPoint([x / array.sum() for x in ijk]))


def optimize(options, fixed, moving, mask, kind, turns, center, matrix, offset):
    """Improve by one stage: a correction of the given kind in fixed space, then what was found so far."""
    start = sitk.AffineTransform(3)
    start.SetMatrix(matrix.ravel().tolist())
    start.SetTranslation(offset.tolist())
    correction = kind(3) if kind is sitk.AffineTransform else kind()
    correction.SetCenter(center)
    method = sitk.ImageRegistrationMethod()
    method.SetNumberOfThreads(1)
    method.SetMetricAsMattesMutualInformation(32)
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentage(min(1.0, 4.0 * options.samplingPercentage), 1)
    if mask is not None:
        method.SetMetricFixedMask(sitk.BinaryDilate(mask, [2, 2, 2]))
    method.SetInterpolator(sitk.sitkLinear)
    method.SetShrinkFactorsPerLevel([4, 2])
    method.SetSmoothingSigmasPerLevel([4.0, 2.0])
    method.SetSmoothingSigmasAreSpecifiedInPhysicalUnits(True)
    iterations = min(80, options.numberOfIterations[0])
    method.SetOptimizerAsRegularStepGradientDescent(2.0, 0.02, iterations, 0.7)
    weights = [3600.0] * 3 + [1.0] * 3 + [3600.0] * 3
    method.SetOptimizerScales([3600.0] * 9 + [1.0] * 3 if turns == 9 else weights[: turns + 3])
    method.SetMovingInitialTransform(start)
    method.SetInitialTransform(correction, inPlace=True)
    method.Execute(fixed, moving)
    shift = np.array(correction.TransformPoint((0.0, 0.0, 0.0)))
    columns = [np.array(correction.TransformPoint(np.eye(3)[a].tolist())) - shift for a in range(3)]
    return matrix @ np.stack(columns, axis=1), matrix @ shift + offset


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
