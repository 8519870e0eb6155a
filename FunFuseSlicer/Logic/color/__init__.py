"""Colors: hue and saturation from a functional term, brightness from the fused image."""
