"""The analysis: from an output folder to results, comparisons, audit and factors."""
