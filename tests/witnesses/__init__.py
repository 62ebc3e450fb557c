"""What published code does and the product does not, number for number: witnesses of parity, for tests alone."""
