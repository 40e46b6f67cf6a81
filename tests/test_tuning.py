"""Material, mixing, losses and the loop that training and tuning grow from."""

import numpy as np
import pytest
import soundfile

torch = pytest.importorskip("torch")

from vsat.errors import AudioError
from vsat.metrics import best_permutation, si_sdr_db
from vsat.tuning.losses import (
    clustering_loss,
    pairwise_loss,
    permutation_invariant,
    separation_loss,
)
from vsat.tuning.material import PACK_RATE, Utterance, Voice, corpora, hours, read_pack, write_pack
from vsat.tuning.mixing import Mixer, MixingConfig
from vsat.tuning.training import Prefetched, Training, TrainingConfig

SMALL = TrainingConfig(
    "recurrent_mask", {"width": 16, "hidden": 16, "layers": 1}, batch_size=2, warm_up_steps=5
)


def tone_voices(n=4, seconds=3):
    """Voices that are told apart by their pitch."""
    times = np.arange(PACK_RATE * seconds) / PACK_RATE
    return [
        Voice(
            "tones",
            str(number),
            ((8_000 * np.sin(2 * np.pi * 200 * (number + 1) * times)).astype(np.int16),),
        )
        for number in range(n)
    ]


# Material


def test_a_pack_comes_back_with_its_speakers(tmp_path):
    utterances = []
    for number, voice in enumerate(tone_voices(2)):
        path = tmp_path / f"{number}.flac"
        soundfile.write(path, voice.utterances[0], PACK_RATE)
        utterances += [Utterance(path, "tones", voice.speaker)] * 2
    assert write_pack(utterances, tmp_path / "voices.zip") == 4
    voices = read_pack(tmp_path / "voices.zip")
    assert [(voice.corpus, voice.speaker) for voice in voices] == [("tones", "0"), ("tones", "1")]
    assert [len(voice.utterances) for voice in voices] == [2, 2]
    assert hours(voices) == pytest.approx(12 / 3600, rel=0.01)
    assert list(corpora(voices)) == ["tones"]
    original = tone_voices(2)[1].utterances[0].astype(float)
    decoded = voices[1].utterances[0][: len(original)].astype(float)
    assert si_sdr_db(decoded, original) > 10  # lossy, but the same sound
    assert (tmp_path / "voices.zip").stat().st_size < 60_000


def test_other_rates_and_channels_are_brought_to_one(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros((44_100, 2)), 44_100)
    write_pack([Utterance(tmp_path / "a.wav", "c", "s")], tmp_path / "p.zip")
    assert len(read_pack(tmp_path / "p.zip")[0].utterances[0]) == pytest.approx(16_000, abs=2)


def test_what_is_no_audio_is_named(tmp_path):
    (tmp_path / "a.wav").write_text("no")
    with pytest.raises(AudioError, match=r"a\.wav"):
        write_pack([Utterance(tmp_path / "a.wav", "c", "s")], tmp_path / "p.zip")


# Mixing


def test_the_same_seed_draws_the_same_mixtures():
    one, other = (Mixer(tone_voices(), MixingConfig(), seed=3).batch(4) for _ in range(2))
    np.testing.assert_array_equal(one[0], other[0])
    different = Mixer(tone_voices(), MixingConfig(), seed=4).batch(4)
    assert not np.array_equal(one[0], different[0])


def test_clean_mixtures_are_the_sum_of_their_references():
    config = MixingConfig(noisy=0, segment_s=1.0)
    mixtures, references = Mixer(tone_voices(), config).batch(20)
    assert mixtures.shape == (20, 16_000)
    assert references.shape == (20, 2, 16_000)
    np.testing.assert_allclose(references.sum(1), mixtures, atol=1e-5)
    assert np.abs(mixtures).max() <= 1.6  # 0.9 and at most 4 dB more


def test_two_voices_are_never_the_same_one():
    _, references = Mixer(tone_voices(2), MixingConfig(single=0, partial=0, noisy=0)).batch(10)
    for first, second in references:
        peaks = [np.abs(np.fft.rfft(one)).argmax() for one in (first, second)]
        assert abs(peaks[0] - peaks[1]) > 100


def test_shares_of_single_voices_partial_overlap_and_noise():
    quiet = {"single": 0.0, "partial": 0.0, "noisy": 0.0, "reverberant": 0.0, "filtered": 0.0}
    _, single = Mixer(tone_voices(), MixingConfig(**{**quiet, "single": 1.0})).batch(5)
    assert not single[:, 1].any()
    assert single[:, 0].any(axis=-1).all()
    _, partial = Mixer(tone_voices(), MixingConfig(**{**quiet, "partial": 1.0})).batch(5)
    assert not partial[:, 0, -100:].any()
    assert not partial[:, 1, :100].any()
    mixtures, references = Mixer(tone_voices(), MixingConfig(**{**quiet, "noisy": 1.0})).batch(5)
    noise = mixtures - references.sum(1)
    snr_db = 10 * np.log10((references.sum(1) ** 2).mean(1) / (noise**2).mean(1))
    assert (snr_db > 2.9).all()
    assert (snr_db < 20.1).all()


def test_rooms_keep_the_sum_and_lengthen_the_sound():
    click = np.zeros((4, 4_000), np.float32)
    click[:, 0], click[:, 2_000] = 1.0, 0.5
    config = MixingConfig(noisy=0, reverberant=1, filtered=0, speed=(1, 1))
    mixtures, references = Mixer(tone_voices(), config, [click]).batch(4)
    np.testing.assert_allclose(references.sum(1), mixtures, atol=1e-5)


def test_simulated_rooms_begin_with_the_direct_sound():
    pytest.importorskip("pyroomacoustics")
    from vsat.tuning.rooms import simulate_rooms

    rooms = simulate_rooms(2)
    for room in rooms:
        assert room.shape == (4, 8_000)
        assert (np.abs(room).argmax(axis=1) == 0).all()
        assert (np.abs(room[:, 1_000:]).sum(axis=1) > 0).all()
    np.testing.assert_array_equal(rooms[0], simulate_rooms(1)[0])


# Losses


def random_pair(seed=0, batch=3):
    generator = torch.Generator().manual_seed(seed)
    references = torch.randn(batch, 2, 4_000, generator=generator)
    noise = torch.randn(batch, 2, 4_000, generator=generator)
    return references, references + 0.5 * noise


def test_the_loss_is_minus_si_sdr_where_floor_and_level_do_not_matter(monkeypatch):
    monkeypatch.setattr("vsat.tuning.losses.SNR_SHARE", 0.0)
    monkeypatch.setattr("vsat.tuning.losses.FLOOR", 0.0)
    references, estimates = random_pair()
    pairwise = pairwise_loss(estimates, references, references.sum(1))
    for batch in range(3):
        for e in range(2):
            for r in range(2):
                wanted = -si_sdr_db(estimates[batch, e].numpy(), references[batch, r].numpy())
                assert float(pairwise[batch, e, r]) == pytest.approx(wanted, abs=1e-3)


def test_the_best_order_is_taken_for_each_mixture():
    pairwise = torch.tensor([[[0.0, 5], [7, 1]], [[9.0, 2], [3, 8]]])
    torch.testing.assert_close(permutation_invariant(pairwise), torch.tensor([0.5, 2.5]))
    three = torch.rand(1, 3, 3)
    order = best_permutation(-three[0].numpy())
    wanted = three[0][list(order), [0, 1, 2]].mean()
    torch.testing.assert_close(permutation_invariant(three)[0], wanted)


def test_order_does_not_matter():
    references, estimates = random_pair()
    mixture = references.sum(1)
    torch.testing.assert_close(
        separation_loss(estimates, references, mixture),
        separation_loss(estimates.flip(1), references, mixture),
    )


def test_a_perfect_estimate_reaches_the_floor_and_no_more():
    references, _ = random_pair()
    loss = separation_loss(references, references, references.sum(1))
    assert float(loss) == pytest.approx(-30, abs=0.1)


def test_a_silent_reference_asks_for_silence():
    references, estimates = random_pair()
    references[:, 1] = 0
    mixture = references.sum(1)
    quiet = torch.stack([references[:, 0], 1e-3 * estimates[:, 1]], 1)
    loud = torch.stack([references[:, 0], estimates[:, 1]], 1)
    assert separation_loss(quiet, references, mixture) < separation_loss(loud, references, mixture)
    estimates.requires_grad_()
    separation_loss(estimates, references, mixture).backward()
    assert torch.isfinite(estimates.grad).all()


def test_the_gradient_of_silence_is_finite():
    estimates = torch.zeros(1, 2, 1_000, requires_grad=True)
    references = torch.zeros(1, 2, 1_000)
    separation_loss(estimates, references, references.sum(1)).backward()
    assert torch.isfinite(estimates.grad).all()


def test_clustering_loss_is_least_where_embeddings_follow_the_voices():
    dominance = torch.eye(2)[torch.randint(0, 2, (1, 200))]
    weights = torch.rand(1, 200)
    good = clustering_loss(3 * dominance, dominance, weights)
    bad = clustering_loss(torch.randn(1, 200, 2), dominance, weights)
    assert float(good) == pytest.approx(0, abs=1e-5)
    assert float(bad) > 0.1


# The loop


def steps(training, count, seed=1):
    source = Prefetched(Mixer(tone_voices(), MixingConfig(segment_s=0.5), seed=seed), 2)
    losses = [training.take_step(next(source), PACK_RATE) for _ in range(count)]
    source.close()
    return losses


def test_training_learns_to_tell_tones_apart():
    torch.set_num_threads(1)
    losses = steps(Training(SMALL), 150)
    assert np.mean(losses[-20:]) < np.mean(losses[:20]) - 2


def test_a_checkpoint_goes_on_where_it_was(tmp_path):
    training = Training(SMALL)
    steps(training, 10)
    training.save(tmp_path / "c.pt")
    resumed = Training.resume(tmp_path / "c.pt")
    assert (resumed.step, resumed.audio_s) == (10, training.audio_s)
    assert resumed.config == SMALL
    for name, value in training.network.named_parameters():
        torch.testing.assert_close(resumed.network.get_parameter(name), value, rtol=0, atol=0)
        torch.testing.assert_close(
            resumed.average[name], training.average[name], rtol=1e-3, atol=1e-4
        )
    steps(resumed, 2)
    assert resumed.step == 12


def test_the_averaged_network_lags_behind_the_network():
    training = Training(SMALL)
    start = {name: value.clone() for name, value in training.average.items()}
    steps(training, 20)
    moved = dict(training.network.named_parameters())
    averaged = dict(training.averaged_network().named_parameters())
    for name in ("encoder.weight", "masks.weight"):
        assert 0 < (averaged[name] - start[name]).norm() < (moved[name] - start[name]).norm()


def test_a_batch_that_is_no_number_changes_nothing():
    training = Training(SMALL)
    before = [value.detach().clone() for value in training.network.parameters()]
    mixtures, references = Mixer(tone_voices(), MixingConfig(segment_s=0.5)).batch(2)
    training.take_step((mixtures * np.nan, references), PACK_RATE)
    for value, old in zip(training.network.parameters(), before, strict=True):
        torch.testing.assert_close(value, old, rtol=0, atol=0)


def test_the_auxiliary_head_is_trained_and_kept_out_of_the_network(tmp_path):
    config = TrainingConfig(
        "recurrent_mask", SMALL.parameters, batch_size=2, clustering=1.0, warm_up_steps=5
    )
    training = Training(config)
    names = set(dict(training.network.named_parameters()))
    steps(training, 3)
    training.save(tmp_path / "c.pt")
    resumed = Training.resume(tmp_path / "c.pt")
    torch.testing.assert_close(resumed.clustering.head.weight, training.clustering.head.weight)
    assert set(dict(resumed.averaged_network().named_parameters())) == names
