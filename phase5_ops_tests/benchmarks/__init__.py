"""The benchmarks: that every figure can be measured, and that the page is what was measured."""
