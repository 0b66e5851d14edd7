import json
import math

import pytest
import torch
from torch import nn

from wreckognize.training.job import TrainJob
from wreckognize.training.key import check_fit, data_digest, difference, key_of
from wreckognize.training.packing import (
    pack_gradients,
    pack_network,
    pack_optimizer,
    unpack_gradients,
    unpack_network,
    unpack_optimizer,
)
from wreckognize.training.state import (
    REVISION,
    Best,
    Epoch,
    Facts,
    State,
    UnfitState,
    read_facts,
    read_state,
    weights_folder,
    write_state,
)

TENSORS = {
    "model.weight": torch.arange(24, dtype=torch.float32)
    .reshape(1, 2, 3, 4)
    .to(memory_format=torch.channels_last),
    "model.steps": torch.tensor(7),
    "ema.half": torch.tensor([0.5, -2.0], dtype=torch.bfloat16),
}


def facts(**changes):
    values = {
        "key": {"settings": {"lr0": 0.1}}, "epoch": 2, "finished": False, "best": None,
        "stopper": {"best_fitness": 0.1 + 0.2, "best_epoch": 1, "possible_stop": False}, "scaler": {},
        "groups": [{"lr": 1 / 3, "betas": [0.9, 0.999]}], "scalars": {}, "ema_updates": 5, "loss_updates": None,
        "pending": 1, "batch": 4, "seconds": 1.5, "curves": "epoch,time\n1,2\n",
        "epochs": [Epoch(epoch=1, map50_95=math.nan, roc_area=None)],
    }  # fmt: skip
    return Facts(**{**values, **changes})


def test_a_state_is_read_back_to_the_bit(tmp_path):
    file = tmp_path / "state.safetensors"
    write_state(file, State(facts(), TENSORS))
    state = read_state(file)
    assert state.tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert state.tensors[name].dtype == tensor.dtype
        assert torch.equal(state.tensors[name], tensor)
    assert repr(state.facts) == repr(facts()) == repr(read_facts(file))
    assert [path.name for path in tmp_path.iterdir()] == ["state.safetensors"]


def test_a_state_of_which_any_byte_is_missing_or_changed_is_refused(tmp_path):
    file = tmp_path / "state.safetensors"
    write_state(file, State(facts(), TENSORS))
    whole = file.read_bytes()
    for length in [0, 1, 7, 8, 9, len(whole) // 2, len(whole) - 1]:
        file.write_bytes(whole[:length])
        with pytest.raises(UnfitState, match="torn"):
            read_state(file)
    for place in range(8, len(whole)):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(UnfitState):
            read_state(file)
    file.write_bytes(bytes(len(whole)))  # as a file looks whose blocks were never written
    with pytest.raises(UnfitState, match="torn"):
        read_facts(file)
    file.unlink()
    with pytest.raises(UnfitState, match="there is none"):
        read_state(file)


def test_a_state_of_another_revision_or_kind_is_refused(tmp_path):
    file = tmp_path / "state.safetensors"
    write_state(file, State(facts(revision=REVISION + 1), TENSORS))
    with pytest.raises(UnfitState, match=f"of revision {REVISION + 1}"):
        read_facts(file)
    from safetensors.torch import save_file

    for said in (
        None,
        {"facts": "{}"},
        {"facts": "[]"},
        {"facts": "{"},
        {"facts": json.dumps({"revision": REVISION})},
    ):
        save_file({"a": torch.zeros(1)}, file, said)
        with pytest.raises(UnfitState):
            read_state(file)


def job(folder, **changes):
    for split in ("train", "val"):
        for kind in ("images", "labels"):
            (folder / "data" / kind / split).mkdir(parents=True, exist_ok=True)
    (folder / "data" / "images" / "train" / "0.jpg").write_bytes(b"photo")
    (folder / "data" / "labels" / "train" / "0.txt").write_text("0 0.5 0.5 1 1\n")
    (folder / "start.safetensors").write_bytes(b"weights")
    values = {"weights": str(folder / "start.safetensors"), "data": folder / "data" / "data.yaml", "folder": folder,
              "settings": {"epochs": 3, "lr0": 0.1, "device": "cpu"}, "parent": 1}  # fmt: skip
    return TrainJob(**{**values, **changes})


def test_a_state_fits_the_training_it_was_made_by_and_no_other(tmp_path):
    made = key_of(job(tmp_path))
    assert json.loads(json.dumps(made)) == made
    check_fit(
        facts(key=made),
        tmp_path,
        key_of(job(tmp_path, parent=2, settings={"device": "0", "epochs": 3, "lr0": 0.1})),
    )
    longer = key_of(job(tmp_path, settings={"epochs": 5, "lr0": 0.1}))
    with pytest.raises(UnfitState, match=r"made with other settings \(epochs: 3, now 5\)$"):
        check_fit(facts(key=made), tmp_path, longer)
    assert difference(made, key_of(job(tmp_path, weights="yolov8n.yaml"))) == "other start weights"
    newer = {**made, "versions": {**made["versions"], "torch": "9.9"}}
    assert "other versions (torch: " in difference(made, newer)


def test_every_photo_and_label_counts(tmp_path):
    data = job(tmp_path).data.parent
    seen = {data_digest(data)}
    (data / "labels" / "train.cache").write_bytes(b"the library's own")
    assert data_digest(data) in seen
    changes = [
        lambda: (data / "labels" / "train" / "0.txt").write_text("0 0.5 0.5 1 0.5\n"),
        lambda: (data / "images" / "train" / "0.jpg").write_bytes(b"photograph"),
        lambda: (data / "images" / "val" / "1.jpg").write_bytes(b"photo"),
        lambda: (data / "images" / "val" / "1.jpg").rename(data / "images" / "train" / "1.jpg"),
    ]
    for change in changes:
        change()
        digest = data_digest(data)
        assert digest not in seen
        seen.add(digest)


def test_a_state_whose_best_weights_are_gone_or_altered_is_refused(tmp_path):
    best = weights_folder(tmp_path, 2)
    best.mkdir()
    (best / "best.safetensors").write_bytes(b"weights")
    (best / "model.json").write_text("{}")
    import hashlib

    told = facts(key={}, best=Best(epoch=2, fitness=0.5, sha256=hashlib.sha256(b"weights").hexdigest()))
    check_fit(told, tmp_path, {})
    (best / "model.json").write_text("{")
    with pytest.raises(UnfitState, match=r"best epoch \(2\) are missing or torn"):
        check_fit(told, tmp_path, {})
    (best / "model.json").write_text("{}")
    (best / "best.safetensors").write_bytes(b"weight")
    with pytest.raises(UnfitState, match="missing or torn"):
        check_fit(told, tmp_path, {})


def network():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 4, 1), nn.Flatten(), nn.LazyLinear(2)
    )
    model(torch.zeros(2, 3, 8, 8))
    return model.to(memory_format=torch.channels_last)


OPTIMIZERS = {
    "AdamW": lambda model: torch.optim.AdamW(groups(model), lr=0.01, betas=(0.8, 0.999)),
    "SGD": lambda model: torch.optim.SGD(groups(model), lr=0.01, momentum=0.9, nesterov=True),
    "NAdam": lambda model: torch.optim.NAdam(groups(model), lr=0.01),
    "RMSprop": lambda model: torch.optim.RMSprop(groups(model), lr=0.01, momentum=0.9),
}


def groups(model):
    parameters = list(model.parameters())
    parameters[0].requires_grad_(False)  # a frozen layer has no state
    return [{"params": parameters[:3], "param_group": "weight"}, {"params": parameters[3:], "weight_decay": 0.1}]


def learn(model, optimizer, steps, start=0):
    for step in range(start, start + steps):
        photos = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(step))
        model(photos.contiguous(memory_format=torch.channels_last)).square().sum().backward()
        if step % 2:  # every second batch; the gradients of the first are pending
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_what_is_unpacked_goes_on_as_what_was_packed(tmp_path, name):
    model = network()
    optimizer = OPTIMIZERS[name](model)
    learn(model, optimizer, 5)
    tensors, settings, scalars = pack_optimizer(optimizer)
    state = State(
        facts(groups=settings, scalars=scalars),
        {**pack_network(model, "model"), **pack_gradients(model), **tensors},
    )
    write_state(tmp_path / "state.safetensors", state)
    again = network()
    other = OPTIMIZERS[name](again)
    read = read_state(tmp_path / "state.safetensors")
    unpack_network(again, "model", read.tensors)
    unpack_optimizer(other, read.tensors, read.facts.groups, read.facts.scalars)
    unpack_gradients(again, read.tensors)
    for one, two in zip(model.parameters(), again.parameters(), strict=True):
        assert (one.grad is None) == (two.grad is None)
        assert one.grad is None or one.grad.stride() == two.grad.stride()
    learn(model, optimizer, 5, start=5)
    learn(again, other, 5, start=5)
    for key, value in model.state_dict().items():
        assert torch.equal(value, again.state_dict()[key]), key
    with pytest.raises(ValueError, match="shorter"):
        unpack_optimizer(other, read.tensors, read.facts.groups[:1], {})
