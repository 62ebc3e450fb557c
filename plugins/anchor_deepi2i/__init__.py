"""Translators between many classes by transferring a GAN: "DeepI2I: Enabling Deep Hierarchical Image-to-Image
Translation by Transferring from GANs" (Wang, Yu, van de Weijer, 2020)."""
