"""Streams: every patch once, the same for any number of workers, and resumed anywhere."""

import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
import voxpatch
from conftest import LAYOUT, SHAPE, child, labels, scan
from nifti import write_nifti

PATCH = (5, 6, 7)
IMAGES = {"ct": {"scaled": True}, "label": {}}


def stream(many, **options):
    options = {"patches_per_visit": 3, "seed": 5, **options}
    return voxpatch.PatchStream(many, voxpatch.UniformSampler(PATCH), IMAGES, **options)


def same(found, expected):
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert (a.subject, a.start, a.position) == (b.subject, b.start, b.position)
        for image in IMAGES:
            np.testing.assert_array_equal(a[image], b[image])


def test_patches_are_those_of_their_subject_at_their_start(many):
    patches = list(stream(many))
    assert len(patches) == len(stream(many)) == 15
    for patch in patches:
        region = tuple(slice(s, s + n) for s, n in zip(patch.start, PATCH, strict=True))
        dense = scan(SHAPE, seed=int(patch.subject[-1]))[region]
        np.testing.assert_array_equal(patch["ct"], dense.astype("f4"))
        np.testing.assert_array_equal(patch["label"], labels()[region])
        assert patch["ct"].flags.writeable and patch["ct"].flags.c_contiguous
        volume = many[patch.subject]["ct"]
        expected = volume.affine @ np.array([*patch.start[::-1], 1.0])
        np.testing.assert_allclose(patch.affine[:, 3], expected)
        assert patch.shape == PATCH and patch.choice == "uniform"
        assert patch.padding == ((0, 0),) * 3 and patch.spacing == (1.0, 1.0, 1.0)
    subjects = [patch.subject for patch in patches]
    assert all(subjects.count(name) == 3 for name in many)
    assert subjects != sorted(subjects), "shuffled"


def test_content_and_order_are_the_same_for_any_number_of_workers(many):
    expected = list(stream(many, workers=0))
    for workers in (1, 3):
        same(list(stream(many, workers=workers)), expected)
    same(list(stream(many, ahead_bytes=1, workers=2)), expected)


def test_epochs_follow_each_other(many):
    patches = stream(many)
    first = list(patches)
    assert next(patches, None) is None and patches.remaining == 0
    patches.next_epoch()
    assert patches.epoch == 1 and patches.remaining == 15
    second = list(patches)
    assert [p.start for p in first] != [p.start for p in second]
    patches.set_epoch(0)
    same(list(patches), first)
    same(list(stream(many, epoch=1)), second)


def test_a_stream_is_resumed_anywhere_with_any_number_of_workers(many):
    expected = list(stream(many))
    before = stream(many, workers=2)
    for _ in range(7):
        next(before)
    state = before.state_dict()
    for workers in (0, 1, 3):
        after = stream(many, workers=workers)
        after.load_state_dict(state)
        assert after.remaining == 8
        same(list(after), expected[7:])
    with pytest.raises(voxpatch.errors.InvalidArgumentError):
        stream(many, patches_per_visit=4).load_state_dict(state)
    with pytest.raises(voxpatch.errors.InvalidArgumentError):
        stream(many).load_state_dict({"epoch": 1})


def test_ranks_share_an_epoch(many):
    ranks = [list(stream(many, rank=rank, world=4)) for rank in range(4)]
    positions = sorted(patch.position for rank in ranks for patch in rank)
    assert positions == list(range(12)) and {len(rank) for rank in ranks} == {3}
    repeated = [list(stream(many, rank=rank, world=4, remainder="repeat")) for rank in range(4)]
    assert {patch.position for rank in repeated for patch in rank} == set(range(15))


def test_batches_are_patches_put_together(many):
    patches = list(stream(many))
    batches = list(stream(many).batches(4))
    assert [len(batch) for batch in batches] == [4, 4, 4, 3]
    assert [len(batch) for batch in stream(many).batches(4, drop_last=True)] == [4] * 3
    flat = iter(patches)
    for batch in batches:
        for n in range(len(batch)):
            patch = next(flat)
            assert (batch.subjects[n], tuple(batch.starts[n])) == (patch.subject, patch.start)
            np.testing.assert_array_equal(batch["ct"][n], patch["ct"])
            np.testing.assert_array_equal(batch.affines[n], patch.affine)
    with pytest.raises(voxpatch.errors.InvalidArgumentError):
        next(stream(many).batches(0))


def test_xyz_turns_patches_and_places(many):
    xyz = voxpatch.open(many.store, axes="xyz")
    turned = list(
        voxpatch.PatchStream(
            xyz, voxpatch.UniformSampler(PATCH[::-1]), IMAGES, patches_per_visit=3, seed=5
        )
    )
    for a, b in zip(turned, stream(many), strict=True):
        assert a.start == b.start[::-1] and a["ct"].shape == PATCH[::-1]
        np.testing.assert_array_equal(a["ct"], b["ct"].T)


def test_images_are_looked_at_as_they_are_asked_for(store):
    dataset = voxpatch.open(store)
    options = {"subjects": ["case01"], "patches_per_visit": 2}
    images = {"mr": {"frames": "all", "dtype": "float32"}, "ct": {"normalise": "z_score"}}
    for patch in voxpatch.PatchStream(dataset, voxpatch.UniformSampler(4), images, **options):
        assert patch["mr"].shape == (3, 4, 4, 4) and patch["mr"].dtype == np.float32
        expected = dataset["case01/ct"].read(patch.start, 4, normalise="z_score")
        np.testing.assert_array_equal(patch["ct"], expected)
    padded = {"ct": {"pad": -7}}
    sampler = voxpatch.UniformSampler((30, 8, 8), pad_small_volumes=True)
    patch = next(voxpatch.PatchStream(dataset, sampler, padded, subjects=["case01"]))
    assert (patch["ct"][0] == -7).all() and patch.padding[0] == (4, 5)
    with pytest.raises(TypeError, match="blur"):
        voxpatch.PatchStream(dataset, sampler, {"ct": {"blur": 1}}, subjects=["case01"])


def threads():
    """Threads of this process, those of the engine too."""
    return len(os.listdir("/proc/self/task"))


class Corner:
    """A sampler in Python."""

    patch = PATCH

    def __init__(self, wrong_at=None):
        self.wrong_at = wrong_at

    def draw(self, shape, index, seed, epoch):
        if index == self.wrong_at:
            raise LookupError("no such corner")
        return [n - p - index % 9 for n, p in zip(shape, self.patch, strict=True)]


def test_a_sampler_may_be_written_in_python(many):
    patches = list(voxpatch.PatchStream(many, Corner(), IMAGES, patches_per_visit=3, workers=2))
    corner = np.subtract(SHAPE, PATCH)
    found = sorted(patch.start for patch in patches if patch.subject == "case0")
    assert found == sorted(tuple(corner - n) for n in range(3))
    with pytest.raises(TypeError, match="no sampler"):
        voxpatch.PatchStream(many, object(), IMAGES)


def test_a_sampler_in_python_needs_no_chosen_frame(store):
    options = {"subjects": ["case01"], "patches_per_visit": 2}
    images = {"mr": {"frames": "all"}}
    patches = list(voxpatch.PatchStream(voxpatch.open(store), Corner(), images, **options))
    assert [patch["mr"].shape for patch in patches] == [(3, *PATCH)] * 2


def test_an_exception_of_a_sampler_comes_out(many):
    patches = voxpatch.PatchStream(many, Corner(1), IMAGES, patches_per_visit=3, workers=2)
    with pytest.raises(voxpatch.errors.SubjectError, match="no such corner") as found:
        list(patches)
    assert isinstance(found.value.__cause__, LookupError) and found.value.subject


def test_a_stream_that_is_dropped_in_the_middle_ends(many):
    before = threads()
    for _ in range(20):
        patches = voxpatch.PatchStream(many, Corner(), IMAGES, patches_per_visit=9999, workers=3)
        next(patches)
        assert threads() == before + 3
        del patches
    assert threads() == before


def test_a_damaged_subject_is_named_or_left_out(many, tmp_path):
    for n in range(3):
        image = write_nifti(tmp_path / "a.nii", scan(SHAPE, seed=n))
        voxpatch.convert(image, tmp_path / "s", f"case{n}/ct", **LAYOUT)
    for shard in (tmp_path / "s/case1").rglob("c/*/*/*"):
        content = bytearray(shard.read_bytes())
        content[: len(content) // 2] = bytes(len(content) // 2)
        shard.write_bytes(content)
    dataset = voxpatch.open(tmp_path / "s")
    with pytest.raises(voxpatch.errors.SubjectError, match="case1") as found:
        list(voxpatch.PatchStream(dataset, voxpatch.UniformSampler(PATCH), "ct"))
    assert found.value.subject == "case1" and "case1" in found.value.path
    rest = voxpatch.PatchStream(dataset, voxpatch.UniformSampler(PATCH), "ct", on_error="skip")
    assert {patch.subject for patch in rest} == {"case0", "case2"}
    (skipped,) = rest.skipped
    assert (skipped["subject"], skipped["patches"]) == ("case1", 8)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("sampler", [voxpatch.UniformSampler(PATCH), Corner()])
def test_forked_children_go_on_with_the_stream(many, sampler):
    def begun():
        options = {"patches_per_visit": 3, "workers": 2, "seed": 5}
        return voxpatch.PatchStream(many, sampler, IMAGES, **options)

    expected, patches = list(begun()), begun()
    next(patches)
    for _ in range(20):
        assert child(lambda: same([next(patches)], expected[1:2])) == 0
    same(list(patches), expected[1:])


@pytest.mark.parametrize("on_error", ["raise", "skip"])
@pytest.mark.parametrize("workers", [0, 2])
def test_ctrl_c_in_a_sampler_is_never_swallowed(many, on_error, workers):
    class Interrupted(Corner):
        def draw(self, shape, index, seed, epoch):
            if index == 1:
                raise KeyboardInterrupt
            return super().draw(shape, index, seed, epoch)

    options = {"patches_per_visit": 3, "workers": workers, "on_error": on_error}
    with pytest.raises(KeyboardInterrupt):
        for _ in range(3):
            list(voxpatch.PatchStream(many, Interrupted(), IMAGES, **options))


def test_an_exception_is_the_cause_of_its_own_error_alone(many, tmp_path):
    # One that was passed over is not that of the next error, of another stream.
    options = {"patches_per_visit": 3, "on_error": "skip"}
    passed = voxpatch.PatchStream(many, Corner(1), IMAGES, **options)
    assert len(list(passed)) == 10 and "no such corner" in passed.skipped[0]["error"]
    voxpatch.convert(scan(SHAPE), tmp_path / "s", "a/ct", **LAYOUT)
    for shard in (tmp_path / "s").rglob("c/*/*/*"):
        shard.write_bytes(bytes(shard.stat().st_size))
    damaged = voxpatch.PatchStream(
        voxpatch.open(tmp_path / "s"), voxpatch.UniformSampler(PATCH), "ct"
    )
    with pytest.raises(voxpatch.errors.SubjectError) as found:
        list(damaged)
    assert found.value.__cause__ is None


def test_arrays_are_aligned_and_never_written_to_while_they_are_there(many):
    def addresses(batch):
        return {batch[name].ctypes.data for name in IMAGES}

    # One batch is read ahead, and two are with the caller.
    options = {"workers": 1, "ahead_bytes": 0}
    patches = voxpatch.PatchStream(many, voxpatch.UniformSampler(PATCH), IMAGES, **options)
    held = list(patches.batches(4))
    kept = [{name: batch[name].copy() for name in IMAGES} for batch in held]
    places = set().union(*map(addresses, held))
    assert all(place % 64 == 0 for place in places) and len(places) == 2 * len(held)
    for name in IMAGES:
        flags = held[0][name].flags
        assert flags.c_contiguous and flags.writeable
    # A view keeps the memory of its array.
    view = held[-1]["ct"][0, 1:]
    seen = view.copy()
    for batch, copy in zip(held, kept, strict=True):
        assert all((batch[name] == copy[name]).all() for name in IMAGES)
    del held, batch
    for _ in range(3):
        patches.next_epoch()
        for batch in patches.batches(4):
            for name in IMAGES:
                batch[name][...] = 0
    assert (view == seen).all()


def test_ctrl_c_ends_the_wait_for_a_batch_and_takes_nothing(many):
    opened = threading.Event()

    class Late(Corner):
        def draw(self, shape, index, seed, epoch):
            assert index == 0 or opened.wait(20), "Ctrl-C was not seen"
            return super().draw(shape, index, seed, epoch)

    options = {"patches_per_visit": 8, "workers": 1, "seed": 2}
    patches = voxpatch.PatchStream(many, Late(), IMAGES, **options)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            next(patches.batches(40))
    finally:
        timer.join()
        signal.signal(signal.SIGINT, before)
    assert patches.remaining == 40
    opened.set()
    expected = list(voxpatch.PatchStream(many, Corner(), IMAGES, **options))
    same(list(patches), expected)


def test_a_handler_of_a_signal_may_raise_what_it_likes(many):
    def late(signum, frame):
        raise TimeoutError("too late")

    before = signal.signal(signal.SIGALRM, late)
    opened = threading.Event()

    class Late(Corner):
        def draw(self, shape, index, seed, epoch):
            opened.wait(20)
            return super().draw(shape, index, seed, epoch)

    patches = voxpatch.PatchStream(many, Late(), IMAGES, workers=1)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with pytest.raises(TimeoutError, match="too late"):
            next(patches)
    finally:
        signal.signal(signal.SIGALRM, before)
        opened.set()
    assert next(patches).position == 0


def test_jitter_moves_patches_as_a_dataset_of_patches_does(many):
    sampler = voxpatch.LabelSampler(PATCH, {2: 1})
    options = {"sample_by": "label", "patches_per_visit": 40, "seed": 1}
    still = list(voxpatch.PatchStream(many, sampler, IMAGES, **options))
    moved = list(voxpatch.PatchStream(many, sampler, IMAGES, jitter=(1, 2, 0), **options))
    by = np.subtract([patch.start for patch in moved], [patch.start for patch in still])
    assert (by.min(0) == (-1, -2, 0)).all() and (by.max(0) == (1, 2, 0)).all()
    for patch in moved:
        z, y, x = (slice(a, a + n) for a, n in zip(patch.start, PATCH, strict=True))
        assert (patch["label"] == labels()[z, y, x]).all() and (patch["label"] == 2).any()
    xyz = voxpatch.open(many.store, axes="xyz")
    sampler = voxpatch.LabelSampler(PATCH[::-1], {2: 1})
    turned = voxpatch.PatchStream(xyz, sampler, IMAGES, jitter=(0, 2, 1), **options)
    assert [patch.start[::-1] for patch in turned] == [patch.start for patch in moved]


def test_signals_lose_no_patch(many):
    class Interrupted(Exception):
        pass

    def interrupt(signum, frame):
        # Not at the end, where the exception could come behind the loop.
        if len(given) < 900:
            raise Interrupted

    before = signal.signal(signal.SIGALRM, interrupt)
    options = {"patches_per_visit": 200, "workers": 2, "seed": 3}
    patches = voxpatch.PatchStream(many, voxpatch.UniformSampler(PATCH), IMAGES, **options)
    # The handler may run in Python code behind the call too: the engine's own count is compared.
    given = []
    handle = patches._stream

    # A function, because the jump at the end of a loop lies outside of the loop's own `try`.
    def take():
        while (found := handle.next()) is not None:
            given.append(found[1]["position"])

    try:
        while True:
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.002)
                take()
                break
            except Interrupted:
                assert handle.remaining in (1000 - len(given), 999 - len(given))
                given = list(range(1000 - handle.remaining))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert given == list(range(1000))


def test_a_process_ends_while_threads_call_a_sampler_in_python(many):
    script = f"""
import time, voxpatch
class Corner:
    patch = (5, 6, 7)
    def draw(self, shape, index, seed, epoch):
        time.sleep(0.01)
        return [n - p - index % 9 for n, p in zip(shape, self.patch)]
stream = voxpatch.PatchStream(
    voxpatch.open({many.store!r}), Corner(), "ct", workers=3, patches_per_visit=1000,
    ahead_bytes=1 << 30,
)
next(stream)
"""
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_a_stream_that_is_closed_says_so(many):
    patches = stream(many)
    patches._stream.close()
    with pytest.raises(RuntimeError, match="closed"):
        next(patches)
