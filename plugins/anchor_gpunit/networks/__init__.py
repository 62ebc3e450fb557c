"""Networks of GP-UNIT, without training or files."""
