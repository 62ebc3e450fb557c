"""The translator backend `gp-unit`: "Unsupervised Image-to-Image Translation with Generative Prior" (Yang et al., CVPR
2022), which translates through the content that a class-conditional GAN draws alike in all its classes."""
