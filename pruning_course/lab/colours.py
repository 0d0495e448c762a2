"""The colours of all figures."""

# Okabe and Ito (2008), "Color Universal Design". The yellow is left out: lines in it are lost on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
