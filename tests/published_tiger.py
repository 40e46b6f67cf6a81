"""TIGER as it is published: its tensors by name, and what they compute, one band at a time.

Slow and plain, and apart from `vsat.networks`: the oracle of our own form.
"""

import torch
from torch.nn import functional

SMALL = {
    "sample_rate": 16_000,
    "num_sources": 2,
    "win": 640,
    "stride": 160,
    "out_channels": 8,
    "in_channels": 12,
    "num_blocks": 3,
    "upsampling_depth": 5,
    "att_n_head": 2,
    "att_hid_chan": 3,
    "att_kernel_size": 8,
    "att_stride": 1,
}
WIDTHS = [1] * 40 + [4] * 10 + [10] * 8 + [20] * 8 + [1]  # bins of each band
DEEP_KERNELS = {"loc_glo_fus": 1, "last_layer": 5}


def shapes(config):
    """Names and shapes of all tensors."""
    width, hidden, depth = (
        config[key] for key in ("out_channels", "in_channels", "upsampling_depth")
    )
    found = {}
    for band, bins in enumerate(WIDTHS):
        found |= layer(f"BN.{band}.0", 2 * bins)
        found |= layer(f"BN.{band}.1", width, 2 * bins, 1)
        found[f"mask.{band}.0.weight"] = (1,)
        found |= layer(f"mask.{band}.1", 4 * config["num_sources"] * bins, width // 2, 1)
    for path in ("separator.freq_path", "separator.frame_path"):
        scales = f"{path}.0"
        found |= layer(f"{scales}.proj_1x1.conv", hidden, width, 1)
        found |= layer(f"{scales}.proj_1x1.norm", hidden)
        found[f"{scales}.proj_1x1.act.weight"] = (1,)
        for scale in range(depth):
            found |= layer(f"{scales}.spp_dw.{scale}.conv", hidden, 1, 5)
            found |= layer(f"{scales}.spp_dw.{scale}.norm", hidden)
        for name, kernel in DEEP_KERNELS.items():
            for scale in range(depth - (name == "last_layer")):
                for part in ("local_embedding", "global_embedding", "global_act"):
                    found[f"{scales}.{name}.{scale}.{part}.conv.weight"] = (hidden, 1, kernel)
                    found |= layer(f"{scales}.{name}.{scale}.{part}.norm", hidden)
        for name in ("fc1", "fc2"):
            found[f"{scales}.globalatt.{name}.conv.weight"] = (hidden, hidden, 1)
            found |= layer(f"{scales}.globalatt.{name}.norm", hidden)
        found |= layer(f"{scales}.globalatt.dwconv", hidden, 1, 5)
        found |= layer(f"{scales}.res_conv", width, hidden, 1)
        heads = {"Queries": config["att_hid_chan"], "Keys": config["att_hid_chan"]}
        heads["Values"] = width // config["att_n_head"]
        for name, size in heads.items():
            for head in range(config["att_n_head"]):
                found |= projection(f"{path}.1.{name}.{head}", size, width)
        found |= projection(f"{path}.1.attn_concat_proj", width, width)
        found |= {f"{path}.2.{name}": (1, width, 1, 1) for name in ("gamma", "beta")}
    found |= layer("separator.concat_block.0", width, 1, 1, 1)
    return found | {"separator.concat_block.1.weight": (1,)}


def layer(name, *shape):
    return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}


def projection(name, size, width):
    norms = {f"{name}.norm.{part}": (1, size, 1, 1) for part in ("gamma", "beta")}
    return layer(f"{name}.conv", size, width, 1, 1) | {f"{name}.act.weight": (1,)} | norms


def random_tensors(config=SMALL):
    generator = torch.Generator().manual_seed(0)
    return {
        name: 0.4 * torch.randn(shape, generator=generator) + 0.1
        for name, shape in shapes(config).items()
    }


class PublishedTiger:
    """Computes what the tensors mean."""

    def __init__(self, tensors, config=SMALL):
        self.tensors, self.config = tensors, config

    @torch.inference_mode()
    def __call__(self, mixture):
        window = torch.hann_window(self.config["win"])
        transform = {"n_fft": self.config["win"], "hop_length": self.config["stride"]}
        spectrum = torch.stft(mixture, **transform, window=window, return_complex=True)
        parts = spectrum.split(WIDTHS, dim=1)
        bands = torch.stack([self.band(n, part) for n, part in enumerate(parts)], 2)  # (B,C,K,N)
        weight, bias = (self["separator.concat_block.0." + name] for name in ("weight", "bias"))
        features = bands
        for block in range(self.config["num_blocks"]):
            if block:
                both = (bands + features) * weight[:, 0] + bias.reshape(-1, 1, 1)
                features = functional.prelu(both, self["separator.concat_block.1.weight"])
            features = self.path("separator.freq_path", features)
            features = self.path("separator.frame_path", features.mT).mT
        separated = [self.masked(n, features[:, :, n], part) for n, part in enumerate(parts)]
        estimates = torch.cat(separated, 2).flatten(0, 1)  # (B*S, F, N)
        length = mixture.shape[1]
        signals = torch.istft(estimates, **transform, window=window, length=length)
        return signals.reshape(len(mixture), -1, length)

    def __getitem__(self, name):
        return self.tensors[name]

    def band(self, band, part):
        both = torch.stack([part.real, part.imag], 1).flatten(1, 2)
        eps = torch.finfo(torch.float32).eps
        return self.conv(self.norm(both, f"BN.{band}.0", eps), f"BN.{band}.1")

    def masked(self, band, features, part):
        sources = self.config["num_sources"]
        active = functional.prelu(features, self[f"mask.{band}.0.weight"])
        values = self.conv(active, f"mask.{band}.1", groups=2)
        values = values.reshape(len(part), 2, 2, sources, *part.shape[1:])
        masks = values[:, 0] * values[:, 1].sigmoid()  # (B, 2, S, W, N)
        real = masks[:, 0] - (masks[:, 0].sum(1, keepdim=True) - 1) / sources
        imaginary = masks[:, 1] - masks[:, 1].sum(1, keepdim=True) / sources
        return torch.complex(real, imaginary) * part.unsqueeze(1)

    def path(self, name, features):
        batch, channels, steps, others = features.shape
        columns = features.permute(0, 3, 1, 2).reshape(-1, channels, steps)
        columns = self.scales(f"{name}.0", columns)
        selected = columns.reshape(batch, others, channels, steps).permute(0, 2, 3, 1)
        attended = self.attention(f"{name}.1", selected)
        return features + self.channel_norm(attended, f"{name}.2")

    def scales(self, name, features):
        expanded = self.conv_norm(features, f"{name}.proj_1x1")
        current = functional.prelu(expanded, self[f"{name}.proj_1x1.act.weight"])
        levels = []
        for scale in range(self.config["upsampling_depth"]):
            stride = 1 if scale == 0 else 2
            current = self.conv_norm(current, f"{name}.spp_dw.{scale}", stride)
            levels.append(current)
        size = current.shape[-1]
        pooled = sum(functional.adaptive_avg_pool1d(level, size) for level in levels)
        hidden = self.conv_norm(pooled, f"{name}.globalatt.fc1")
        hidden = self.conv(hidden, f"{name}.globalatt.dwconv").relu()
        overview = self.conv_norm(hidden, f"{name}.globalatt.fc2")
        fused = [
            self.inject(f"{name}.loc_glo_fus.{scale}", level, overview)
            for scale, level in enumerate(levels)
        ]
        top = len(levels) - 2
        current = self.inject(f"{name}.last_layer.{top}", fused[top], fused[top - 1])
        for scale in reversed(range(top)):
            current = self.inject(f"{name}.last_layer.{scale}", fused[scale], current)
        return features + self.conv(current, f"{name}.res_conv")

    def inject(self, name, local, coarse):
        def spread(values):
            return functional.interpolate(values, size=local.shape[-1], mode="nearest")

        gate = spread(self.conv_norm(coarse, f"{name}.global_act").sigmoid())
        added = spread(self.conv_norm(coarse, f"{name}.global_embedding"))
        return self.conv_norm(local, f"{name}.local_embedding") * gate + added

    def attention(self, name, features):
        found = []
        for head in range(self.config["att_n_head"]):
            query, key, value = (
                self.project(features, f"{name}.{kind}.{head}").transpose(1, 2)
                for kind in ("Queries", "Keys", "Values")
            )
            scores = query.flatten(2) @ key.flatten(2).mT / query[0, 0].numel() ** 0.5
            heard = scores.softmax(-1) @ value.flatten(2)
            found.append(heard.reshape(value.shape).transpose(1, 2))
        return features + self.project(torch.cat(found, 1), f"{name}.attn_concat_proj")

    def project(self, features, name):
        linear = functional.conv2d(features, self[f"{name}.conv.weight"], self[f"{name}.conv.bias"])
        return self.channel_norm(
            functional.prelu(linear, self[f"{name}.act.weight"]), f"{name}.norm"
        )

    def channel_norm(self, features, name):
        mean = features.mean(1, keepdim=True)
        spread = (features.var(1, unbiased=False, keepdim=True) + 1e-5).sqrt()
        return (features - mean) / spread * self[f"{name}.gamma"] + self[f"{name}.beta"]

    def conv_norm(self, features, name, stride=1):
        return self.norm(self.conv(features, f"{name}.conv", stride), f"{name}.norm")

    def conv(self, features, name, stride=1, groups=None):
        weight, bias = self[f"{name}.weight"], self.tensors.get(f"{name}.bias")
        groups = groups or features.shape[1] // weight.shape[1]
        padding = weight.shape[-1] // 2
        return functional.conv1d(features, weight, bias, stride, padding, groups=groups)

    def norm(self, features, name, eps=1e-8):
        weight, bias = self[f"{name}.weight"], self[f"{name}.bias"]
        return functional.group_norm(features, 1, weight, bias, eps)
