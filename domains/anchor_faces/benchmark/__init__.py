"""The benchmark `rendered-faces`: translations against the truth that only a renderer knows."""
