"""How good outputs are: label maps, points, pictures, and whole sets of pictures."""
