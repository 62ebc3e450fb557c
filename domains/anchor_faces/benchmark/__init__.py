"""The benchmark `rendered-faces`: measures translations against the truth that only a renderer knows."""
