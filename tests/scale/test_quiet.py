"""No surprise network where Ray and object storage are asked for: they stay on loopback, and nobody else is spoken to.

As in ``tests/offline``: plain processes, watched from within and from without. What Ray would report each hour it
would report each second here.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from bundles import draw_photos, make_bundle
from clusters import CREDENTIALS
from studies import write_study

from watching import Watched, python, unwatched, watched

pytest.importorskip("ray", reason="needs the extra [ray]: make cluster")
pytest.importorskip("moto", reason="needs moto[server]: make cluster")
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("whole_watch")]

LET = {"RAY_USAGE_STATS_ENABLED": "1", "RAY_USAGE_STATS_REPORT_INTERVAL_S": "1"}
"""The environment of somebody who lets Ray report; ours does not even then."""
KEYS = {name: value for name, value in CREDENTIALS.items() if "METADATA" not in name}
"""Of the storage; whether a machine of a cloud asks who it is must not need to be forbidden."""


def go(folder: Path, short: Path, *command: str, **variables: str) -> Watched:
    """A command that may speak by loopback."""
    variables |= LET | {"TMPDIR": str(short)}
    return watched(folder, *command, timeout=900, loopback=True, **variables)


ALONE = """
import ray, sys, time
ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False, _temp_dir=sys.argv[1])
time.sleep(6)
ray.shutdown()
"""


def test_the_watch_sees_what_ray_does_when_it_is_left_alone(tmp_path, short):
    """Else silence would prove nothing. Only where nothing can get out."""
    if unwatched():
        pytest.skip(f"Ray would ask other machines: {unwatched()}")
    seen = go(tmp_path, short, *python(ALONE), str(short))
    assert seen.code == 0, seen.output
    assert "'metadata.google.internal'" in seen.calls
    assert "169.254.169.254" in seen.calls
    assert any("169.254.169.254" in line for line in seen.outside)
    assert ".ray/auth_token" in seen.home


STORED = """
import os, subprocess, sys
from pathlib import Path

import boto3
from moto.moto_server.threaded_moto_server import ThreadedMotoServer

server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
endpoint = "http://127.0.0.1:%d" % server.get_host_and_port()[1]
client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
client.create_bucket(Bucket="photos")
for file in sorted(path for path in Path("bucket").rglob("*") if path.is_file()):
    client.put_object(Bucket="photos", Key=file.relative_to("bucket").as_posix(), Body=file.read_bytes())

def command(*words):
    environment = os.environ | {"AWS_ENDPOINT_URL_S3": endpoint}
    subprocess.run([sys.executable, "-m", "wreckognize", *words], env=environment, check=True)

place = ["--set", f"scale.storage.endpoint={endpoint}", "--set", "scale.storage.region=us-east-1"]
command("run", "study/study.yaml", "--on", "ray", "--out", "s3://photos/runs/tiny", *place)
command("verify", "runs/tiny")
command("predict", "runs/tiny/systems/baseline", "s3://photos/normal", "--on", "ray", "--out", "s3://photos/a.jsonl")
answers = client.get_object(Bucket="photos", Key="a.jsonl")["Body"].read().decode()
assert len(answers.splitlines()) == len(list(Path("bucket/normal").iterdir())), answers
client.head_object(Bucket="photos", Key="runs/tiny/report/index.html")
server.stop()
"""


def in_bucket(file: Path, bucket: Path) -> None:
    """Put the photos of a study's sources below ``bucket`` and name them by URL, as far as that is allowed."""
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    for source in content["sources"]:
        if source["name"] in ("aihub", "normal"):
            bucket.mkdir(exist_ok=True)
            (file.parent / source["images"]).rename(bucket / source["name"])
            source["images"] = f"s3://photos/{source['name']}"
    file.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def test_a_study_on_ray_with_photos_and_run_in_a_bucket_speaks_to_nobody_else(tmp_path, short, tiny_weights):
    file = write_study(tmp_path / "study", tiny_weights, evidence={"draws": 200, "shortcuts": False})
    in_bucket(file, tmp_path / "bucket")
    seen = go(tmp_path, short, *python(STORED), **KEYS, AWS_REGION="us-east-1")
    seen.require_quiet()
    assert any("default_worker.py" in line for line in seen.pythons), "a worker of Ray's was watched, too"
    assert any(line.endswith("training/job.json") for line in seen.pythons), "and the training child"
    assert list(short.iterdir()) == []
    page = (tmp_path / "runs" / "tiny" / "report" / "index.html").read_text(encoding="utf-8")
    assert "s3://…/normal" in page
    assert "127.0.0.1" not in page


VISIT = """
import json, signal, subprocess, sys
from pathlib import Path

import httpx

words = ["serve", "bundle", "--on", "ray", "--replicas", "1", "--port", "8123", "--drain", "0"]
process = subprocess.Popen([sys.executable, "-m", "wreckognize", *words], stdout=subprocess.PIPE, text=True)
for line in process.stdout:
    if line.startswith("{") and json.loads(line)["event"] == "replicas ready":
        break
else:
    sys.exit("the service ended before it was ready")
photo = Path(sys.argv[1]).read_bytes()
answer = httpx.post("http://127.0.0.1:8123/v1/inspect", files={"photos": ("a.jpg", photo)}, timeout=60)
assert answer.status_code == 200, answer.text
process.send_signal(signal.SIGTERM)
rest, _ = process.communicate(timeout=120)
assert process.returncode == 0, rest
"""


def test_the_service_on_ray_speaks_to_nobody_else(tmp_path, short):
    make_bundle(tmp_path / "bundle", imgsz=96)
    photo = draw_photos(tmp_path / "photos", 1)[0]
    seen = go(tmp_path, short, *python(VISIT), str(photo))
    seen.require_quiet()
    assert any("default_worker.py" in line for line in seen.pythons), "Ray's own processes were watched, too"
    assert list(short.iterdir()) == []
