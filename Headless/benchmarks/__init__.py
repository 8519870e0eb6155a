"""What the benchmark measures: name -> (module with ``measure(repeats) -> rows``, one line of help)."""

BENCHMARKS = {
    "sliders": ("Headless.benchmarks.sliders", "Ω, balance and color map on a volume of 197 × 233 × 189"),
}
