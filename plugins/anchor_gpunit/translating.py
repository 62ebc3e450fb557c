"""Stage II of GP-UNIT: adversarial training of a translator on a frozen content encoder (section 4 of the paper).

``min_G max_D L_adv + lambda_1 L_con + lambda_2 L_sty + lambda_3 L_msk + lambda_4 L_rec`` over pictures of two domains
that have nothing to do with each other. At the end, a sampler of styles learns the codes of the target's pictures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from anchor_gpunit import losses
from anchor_gpunit.comparing import Identity, compared_rows, network_without_hub
from anchor_gpunit.imle import SamplerTraining, train_sampler, with_rare_styles
from anchor_gpunit.networks.blocks import folded_weights
from anchor_gpunit.networks.configs import ContentConfig, DiscriminatorConfig, GeneratorConfig
from anchor_gpunit.networks.content import ContentEncoder
from anchor_gpunit.networks.discriminator import Discriminator
from anchor_gpunit.networks.generator import Generated, Generator
from anchor_gpunit.networks.sampler import StyleSampler
from anchor_gpunit.prior import ContentPrior
from anchor_gpunit.shapes import Change
from anchor_gpunit.translating_options import TranslateOptions
from anchor_gpunit.translator import translator_architecture, translator_parts
from anchor_hub.errors import DataError, UsageError
from anchor_hub.modality import Modality
from anchor_hub.modality.pictures import from_unit
from anchor_hub.training.base import Batch, Contents, Recipe, RecipeOptions, Samples, TrainingContext, TrainingPlan
from anchor_hub.training.engine.average import WeightAverage, average_decay

SOURCE, TARGET = "source", "target"
BETAS = (0.0, 0.99)
#: With fewer pictures on a side, training is refused.
FEWEST = 10
#: Pictures whose style codes are computed at once.
CODED = 64


class Made(NamedTuple):
    """What the generator makes of a batch.

    :param maps: the content encoder's, of the source. :param translated: ``y^`` and its masks.
    :param again: ``y-``, the target reconstructed. :param intensity: ``[B]``, or None: 1.
    """

    maps: tuple[Tensor, ...]
    translated: Generated
    again: Tensor
    intensity: Tensor | None


class TranslateRecipe(Recipe):
    """Trains generator, style encoder and discriminator, and exports the generator's average with a style sampler.

    :param prior: the frozen content encoder; None: one that learns here. :param ends: the modalities of both sides.
    """

    name = "gp-unit"
    kind: ClassVar[str] = "translator"
    Options: ClassVar[type[RecipeOptions]] = TranslateOptions
    data: ClassVar[tuple[str, ...]] = (SOURCE, TARGET)
    requires: ClassVar[tuple[str, ...]] = ("prior",)
    optional: ClassVar[tuple[str, ...]] = ("prior",)

    def __init__(
        self, prior: ContentPrior | None, ends: Mapping[str, Modality], options: TranslateOptions, called: str = ""
    ) -> None:
        for data, modality in ends.items():
            if not modality.traits.picture:
                raise UsageError(f"recipe gp-unit: the {data} must be colour pictures, not {modality.name}")
        self.prior, self.ends, self.options, self.called = prior, dict(ends), options, called
        self.config, self.critic_config = self._configs()
        self.size = self.config.size
        layers = self.critic_config.blocks + 4
        if not 1 <= options.value("style_layer") <= layers:
            raise UsageError(f"style_layer: a discriminator of {self.size} px has layers 1 to {layers}")
        self.identity = Identity(options.identity) if options.identity else None
        self.target: Samples | None = None

    def _configs(self) -> tuple[GeneratorConfig, DiscriminatorConfig]:
        options, value = self.options, self.options.value
        if self.prior is None and options.content == "prior":
            raise UsageError(
                "recipe gp-unit needs a prior; say which one: --requires prior=NAME (anchor priors list), or learn the "
                "content here: --set content=learned"
            )
        if self.prior is not None and options.content == "learned":
            raise UsageError("content=learned needs no prior: leave --requires prior=NAME out")
        if self.prior is not None and options.size not in (None, self.prior.config.size):
            raise UsageError(
                f"prior {self.prior.name}: is of {self.prior.config.size} px, size={options.size} does not fit; leave "
                "size out, or train a prior of that size"
            )
        try:
            content = ContentConfig(options.size or 64, value("width")) if self.prior is None else self.prior.config
            generator = GeneratorConfig(
                content.size, content.content_side, content.width, value("width"), value("style_width"),
                value("style_halvings"), options.intensity,
            )  # fmt: skip
            return generator, DiscriminatorConfig(
                content.size, value("discriminator_width"), value("discriminator_max_width")
            )
        except ValueError as error:
            raise UsageError(f"recipe gp-unit: {error}") from None

    @classmethod
    def build(cls, plan: TrainingPlan, options: Any, required: Mapping[str, Any]) -> TranslateRecipe:
        if len(plan.targets) > 1:
            raise UsageError(f"recipe gp-unit learns one target, not {len(plan.targets)}: give one --to NAME")
        prior = required.get("prior")
        if prior is not None and not isinstance(prior, ContentPrior):
            raise UsageError("recipe gp-unit builds on a content encoder of GP-UNIT; --requires names another prior")
        return cls(prior, {data: plan.modality(data) for data in cls.data}, options, plan.name)

    def modality(self, data: str) -> Modality:
        return self.ends[data]

    def images_per_step(self, batch: int | None) -> int:
        return batch or int(self.options.value("batch"))

    def fitted(self, data: Mapping[str, Samples]) -> TranslateRecipe:
        """This recipe. :raises DataError: so few pictures on a side that the networks could only repeat them."""
        for side in self.data:
            count = len(data[side])
            if count < FEWEST:
                pictures = f"{count} {side} picture{'' if count == 1 else 's'}"
                raise DataError(
                    f"translator {self.called!r}: {pictures} cannot show what the {side} looks like; give {FEWEST} or "
                    "more (hundreds for variety)"
                )
        self.target = data[TARGET]
        return self

    def __getstate__(self) -> dict[str, Any]:
        """Without the target's pictures: only the process that writes the bundle needs them."""
        return {**self.__dict__, "target": None}

    # -- what learns ---------------------------------------------------------------------------------------------------

    def setup(self, context: TrainingContext) -> None:
        self.context, options = context, self.options
        self.generator = context.place(Generator(self.config)).train()
        if not options.skips:
            self.generator.dynamic.requires_grad_(False)
        self.critic = context.place(Discriminator(self.critic_config)).train()
        self.average = WeightAverage(self.generator)
        learning: list[torch.nn.Module] = [self.generator]
        if self.prior is None:
            encoder = ContentEncoder(replace(self.config.content, spectral=True))
            self.encoder = context.place(encoder).train()
            learning.append(self.encoder)
        else:
            self.encoder = self.prior.encoder.to(context.device)
        self.learning = torch.nn.ModuleList(learning)
        decay, rate = options.value("weight_decay"), options.value("learning_rate")
        self.optimizer = _adam(self.learning, rate, decay)
        self.critic_optimizer = _adam(self.critic, options.value("discriminator_learning_rate"), decay)
        wants = options.weight("perceptual") > 0
        self.perceptual = network_without_hub(options.perceptual, self.size, context.device) if wants else None

    # -- one step ------------------------------------------------------------------------------------------------------

    def step(self, batches: Mapping[str, Batch], index: int) -> Mapping[str, float | Tensor]:
        source, target = self._pictures(batches)
        mirrored = float(torch.rand(())) < self.options.mirror_style
        styled = target.flip(-1) if mirrored else target
        intensity = torch.rand(len(source)).to(source) if self.options.intensity else None
        found: dict[str, Tensor] = {}
        with self.context.autocast():
            made = self._made(source, target, styled, intensity)
        if self.options.value("share_fakes"):
            found |= self._critic_step(target, made.translated.images.detach())
        found |= self._generator_step(made, target, index)
        if not self.options.value("share_fakes"):
            with self.context.autocast(), torch.no_grad():
                fresh = self._translated(source, styled, intensity).images
            found |= self._critic_step(target, fresh)
        found |= self._penalty(target, index)
        images = (index + 1) * self.context.batch
        decay = average_decay(self.context.batch, images, self.options.value("half_life"))
        self.average.update(self.generator, decay)
        return {name: value.detach() for name, value in found.items()}

    def _pictures(self, batches: Mapping[str, Batch]) -> tuple[Tensor, Tensor]:
        """Source and target ``[B, 3, H, W]``, mirrored and cropped alike."""
        found = [self.ends[side].to_network(batches[side].images) for side in self.data]
        change = Change(len(found[0]), self.options.value("jitter"))
        source, target = (self.context.place(change(images, self.size)) for images in found)
        return source, target

    def _made(self, source: Tensor, target: Tensor, styled: Tensor, intensity: Tensor | None) -> Made:
        """What the generator makes; a frozen content encoder computes without gradients."""
        with torch.set_grad_enabled(self.prior is None):
            maps = self.encoder(torch.cat((source, target)))
        of_source = tuple(part[: len(source)] for part in maps)
        of_target = tuple(part[len(source) :] for part in maps)
        codes = self.generator.style(styled)
        translated = self.generator(of_source, codes, use_skips=self.options.skips, intensity=intensity)
        with_skips = self.options.skips and self.options.reconstruct_with_skips
        again = self.generator(of_target, codes, use_skips=with_skips, intensity=intensity)
        return Made(of_source, translated, again.images, intensity)

    def _translated(self, source: Tensor, styled: Tensor, intensity: Tensor | None) -> Generated:
        made: Generated = self.generator(
            self.encoder(source), self.generator.style(styled), use_skips=self.options.skips, intensity=intensity
        )
        return made

    def _mask_share(self, index: int) -> float:
        """The part of its weight that L_msk has in a step."""
        rise = self.options.value("mask_rise")
        return min(1.0, index * self.context.batch / rise) if rise else 1.0

    def _generator_step(self, made: Made, target: Tensor, index: int) -> dict[str, Tensor]:
        options, images = self.options, made.translated.images
        layers = (options.value("style_layer"),)
        self.critic.requires_grad_(False)
        with self.context.autocast():
            logits, (style,) = self.critic(images, layers)
            with torch.no_grad():
                _, (wanted,) = self.critic(target, layers)
            content = self.encoder(images)[0]
        found = {
            "adversarial": losses.generator_loss(logits.float(), saturating=options.value("adversarial") == "minmax"),
            "content": losses.content_loss(content.float(), made.maps[0].float()),
            "style": losses.style_loss(style.float(), wanted.float()),
            "reconstruction": losses.reconstruction_loss(made.again.float(), target),
        }
        if made.translated.masks:
            found["mask"] = _mask_loss(made)
        if self.perceptual is not None:
            rows = compared_rows(len(target), options.value("compared"))
            with torch.no_grad(), self.context.autocast():
                goal = self.perceptual.describe(target[rows])
            with self.context.autocast():
                found["perceptual"] = self.perceptual.distance(made.again[rows], goal).float().mean()
        if self.identity is not None:
            found["identity"] = self.identity(images, target)
        weights = {term: options.weight(term) for term in found}
        if "mask" in weights:
            weights["mask"] *= self._mask_share(index)
        total = sum((weights[term] * value for term, value in found.items()), start=target.new_zeros(()))
        self.context.descend(self.learning, self.optimizer, total)
        return found

    def _critic_step(self, target: Tensor, translated: Tensor) -> dict[str, Tensor]:
        self.critic.requires_grad_(True)
        with self.context.autocast():
            logits, _ = self.critic(torch.cat((target, translated.to(target))))
        real, fake = logits.float().chunk(2)
        loss = losses.discriminator_loss(real, fake)
        self.context.descend(self.critic, self.critic_optimizer, loss)
        return {"discriminator": loss, "real_logit": real.mean(), "fake_logit": fake.mean()}

    def _penalty(self, target: Tensor, index: int) -> dict[str, Tensor]:
        """R1 in float32: torch's second derivatives of bfloat16 convolutions on the CPU are wrong."""
        weight, every = self.options.weight("r1"), self.options.value("r1_every")
        if not weight or index % every:
            return {}
        self.critic.requires_grad_(True)
        images = target.detach().requires_grad_(True)
        penalty = losses.r1_penalty(self.critic(images)[0], images)
        self.context.descend(self.critic, self.critic_optimizer, weight * every * penalty)
        return {"r1": penalty}

    # -- what the trainer asks for -------------------------------------------------------------------------------------

    @torch.no_grad()
    def samples(self, batches: Mapping[str, Batch]) -> Mapping[str, Any]:
        """Sources in the styles of the targets below them, with and without skips; sources in one style."""
        source, target = (self.context.place(self.ends[side].to_network(batches[side].images)) for side in self.data)
        count = min(len(source), len(target))
        source, target, network = source[:count], target[:count], self.average.module
        encoder = self._still_encoder()
        with self.context.autocast():
            maps, codes = encoder(source), network.style(target)
            rows = {"source": source, "target": target}
            rows["translated"] = network(maps, codes, use_skips=self.options.skips).images
            if self.options.skips:
                rows["translated by the coarse content alone"] = network(maps, codes, use_skips=False).images
            rows["in one style"] = network(maps, codes[:1].expand(count, -1), use_skips=self.options.skips).images
            rows["target again"] = network(encoder(target), codes, use_skips=False).images
        return {name: list(from_unit(row).cpu()) for name, row in rows.items()}

    def _still_encoder(self) -> ContentEncoder:
        """The content encoder in eval mode, without spectral norms."""
        if self.prior is not None:
            return self.encoder
        still = ContentEncoder(self.config.content)
        still.load_state_dict(folded_weights(self.encoder.state_dict()))
        return still.to(self.context.device).eval()

    def state_dict(self) -> dict[str, Any]:
        return {
            "learning": self.learning.state_dict(),
            "critic": self.critic.state_dict(),
            "average": self.average.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "critic_optimizer": self.critic_optimizer.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.learning.load_state_dict(state["learning"])
        self.critic.load_state_dict(state["critic"])
        self.average.module.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.critic_optimizer.load_state_dict(state["critic_optimizer"])

    def contents(self) -> Contents:
        """The averaged generator and a sampler of its styles; with them the content encoder, where it learned here."""
        own = self._still_encoder() if self.prior is None else None
        parts = translator_parts(self.average.module, self.sampler(), own, half=self.options.half)
        architecture = translator_architecture(self.config, own.config if own is not None else None)
        card = f"# {self.called}\n\nGP-UNIT: the content of the source in the style of a picture of the target.\n"
        return Contents(architecture, parts, card)

    @torch.no_grad()
    def codes(self) -> Tensor:
        """The averaged style codes ``[N, D]`` of the target's pictures."""
        assert self.target is not None
        count, found = len(self.target), []
        for first in range(0, count, CODED):
            rows = [self.target.rows[index] for index in range(first, min(first + CODED, count))]
            images = self.ends[TARGET].to_network(self.ends[TARGET].collate(rows)).to(self.context.device)
            found.append(self.average.module.style(images).float())
        return torch.cat(found)

    def sampler(self) -> StyleSampler:
        """A sampler trained on the style codes of the target; the run's seed decides all that is random."""
        codes = self.codes()
        codes = with_rare_styles(codes) if self.options.rare_styles else codes
        with torch.random.fork_rng(), torch.enable_grad():
            torch.manual_seed(self.context.seed)
            sampler = StyleSampler(self.config.style_dim).to(codes.device)
            draws = torch.Generator().manual_seed(self.context.seed)
            return train_sampler(sampler, codes, draws, SamplerTraining(codes_seen=self.options.value("sampler_codes")))


def _mask_loss(made: Made) -> Tensor:
    """L_msk of equation 6; of intensity i, (1 - i) times as much: masks may be as large as the intensity lets them."""
    if made.intensity is None:
        return losses.mask_loss([mask.float() for mask in made.translated.masks])
    sparse = sum(mask.float().abs().flatten(1).mean(1) for mask in made.translated.masks)
    loss: Tensor = ((1 - made.intensity) * sparse).mean()
    return loss


def _adam(module: torch.nn.Module, learning_rate: float, weight_decay: float) -> torch.optim.Adam:
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    return torch.optim.Adam(parameters, lr=learning_rate, betas=BETAS, weight_decay=weight_decay, fused=True)
