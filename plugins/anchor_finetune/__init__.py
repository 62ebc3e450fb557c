"""Domains that are transformed copies of a hub's generator: "Unsupervised Image-to-Image Translation via Pre-trained
StyleGAN2 Network" (Huang et al., 2021)."""
