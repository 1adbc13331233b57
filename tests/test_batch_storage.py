"""Object storage: a real S3 server on loopback, asked for every pair and given every result."""

import io
from collections.abc import Iterator
from pathlib import Path

import boto3
import numpy as np
import pytest
from moto.server import ThreadedMotoServer
from PIL import Image

from cmsr.app.batch import lock
from cmsr.app.batch.progress import Tally
from cmsr.app.batch.results import Results
from cmsr.app.batch.upload import uploaded
from cmsr.app.cli import main
from cmsr.errors import InputError
from cmsr.io import image_files
from tests.batches import QUICK, batch, make_table, results


class Bucket:
    """The bucket ``here``; a batch knows where it is from the environment alone."""

    def __init__(self, server: str) -> None:
        self._client = boto3.client("s3", endpoint_url=server, region_name="us-east-1")
        self._client.create_bucket(Bucket="here")

    def put(self, name: str, content: bytes) -> None:
        self._client.put_object(Bucket="here", Key=name, Body=content)

    def get(self, name: str) -> bytes:
        content: bytes = self._client.get_object(Bucket="here", Key=name)["Body"].read()
        return content

    def names(self, prefix: str) -> set[str]:
        found = self._client.list_objects_v2(Bucket="here", Prefix=prefix).get("Contents", [])
        return {entry["Key"].removeprefix(prefix) for entry in found}


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        environment.setenv("AWS_ACCESS_KEY_ID", "somebody")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        yield Bucket(f"http://{host}:{port}")
    server.stop()


def put_pairs(bucket: Bucket, folder: Path, count: int) -> str:
    """Put a table and its pairs into a bucket, under the folder's name; return the table's URL."""
    make_table(folder, count)
    for file in folder.iterdir():
        bucket.put(f"{folder.name}/{file.name}", file.read_bytes())
    return f"s3://here/{folder.name}/pairs.csv"


def test_from_bucket_to_bucket(bucket: Bucket, tmp_path: Path) -> None:
    table, out = put_pairs(bucket, tmp_path, 3), f"s3://here/{tmp_path.name}/out"
    assert batch(table, out).done == 3
    ours = {f"p0{index}.{ending}" for index in range(3) for ending in ("tif", "json")}
    made = bucket.names(f"{tmp_path.name}/out/")
    assert made == ours | {"batch.jsonl", "contact_sheet.png"}
    sheet = Image.open(io.BytesIO(bucket.get(f"{tmp_path.name}/out/contact_sheet.png")))
    assert np.ptp(np.asarray(sheet), axis=(0, 1)).min() > 100

    assert batch(tmp_path / "pairs.csv", tmp_path / "out").done == 3
    for name, content in results(tmp_path / "out").items():
        assert bucket.get(f"{tmp_path.name}/out/{name}.tif") == content

    bucket.put(f"{tmp_path.name}/t1.png", (tmp_path / "t2.png").read_bytes())
    again: Tally = batch(table, out)
    assert (again.before, again.changed, again.done) == (2, 1, 1)


def test_from_bucket_to_folder(bucket: Bucket, tmp_path: Path) -> None:
    put_pairs(bucket, tmp_path, 1)
    url = f"s3://here/{tmp_path.name}"
    table = tmp_path / "urls.csv"
    table.write_text(f"name,target,guide\na,{url}/t0.png,{url}/g0.png\nb,{url}/no.png,g0.png\n")
    tally = batch(table, tmp_path / "out")
    assert tally.done == 1
    assert tally.failed == [("b", f"{url}/no.png: no such file")]


def test_one_batch_at_a_time(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = f"s3://here/{tmp_path.name}/out"
    table = make_table(tmp_path, 1)
    with lock.held(out):
        assert main(["batch", str(table), "-o", out, *QUICK]) == 2
    bucket.put(f"{tmp_path.name}/out/.batch/lock", b"killed-run 1000000000")
    assert batch(table, out).done == 1
    with lock.held(out) as run:
        bucket.put(f"{tmp_path.name}/out/.batch/lock", b"another 1000000000")
        results_ = Results(out, run)
        with pytest.raises(Exception, match="no longer holds the lock"):
            results_.publish("p00", table)


NAMED = {
    "no bucket": ({}, "s3://nowhere/out", "s3://nowhere/out: no such file or bucket"),
    "no credentials": (
        {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_EC2_METADATA_DISABLED": "true"},
        "s3://here/out",
        "redentials",
    ),
    "no server": ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "s3://here/out", "s3://here/out"),
}


@pytest.mark.parametrize("case", NAMED)
def test_named_before_any_work(
    case: str,
    bucket: Bucket,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    import fsspec

    environment, out, message = NAMED[case]
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    fsspec.filesystem("s3").clear_instance_cache()
    try:
        assert main(["batch", str(make_table(tmp_path, 1)), "-o", out, *QUICK]) == 2
    finally:
        fsspec.filesystem("s3").clear_instance_cache()
    told = capsys.readouterr().err
    assert len(told.splitlines()) == 1
    assert message in told


def pair_in(folder: Path) -> list[str]:
    """The arguments that upscale a pair in a folder."""
    make_table(folder, 1)
    return ["upscale", str(folder / "t0.png"), str(folder / "g0.png"), *QUICK, "--quiet"]


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of temporary files."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def test_one_image_to_a_bucket_by_workers_as_a_cog(
    bucket: Bucket, tmp_path: Path, scratch: Path
) -> None:
    line, url = pair_in(tmp_path), f"s3://here/{tmp_path.name}/o.tif"
    assert main([*line, "-o", str(tmp_path / "o.tif")]) == 0
    assert main([*line, "-o", url, "--workers", "1", "--cog"]) == 0
    assert bucket.names(f"{tmp_path.name}/") == {"o.tif"}
    (tmp_path / "got.tif").write_bytes(bucket.get(f"{tmp_path.name}/o.tif"))
    usual, got = (image_files.read(tmp_path / name) for name in ("o.tif", "got.tif"))
    assert np.array_equal(got.data, usual.data)
    assert (usual.profile["cog"], got.profile["cog"]) == (False, True)
    assert not list(scratch.glob("cmsr-*"))


def test_an_upload_is_whole_or_not_at_all_and_goes_on(
    bucket: Bucket, tmp_path: Path, scratch: Path
) -> None:
    prefix = f"{tmp_path.name}/"
    url = f"s3://here/{prefix}o.bin"

    def begin() -> None:
        with uploaded(url, overwrite=False) as file:
            file.write_bytes(b"half")
            file.with_name("tiles").mkdir()
            raise InputError(f"{file}: broken")

    with pytest.raises(InputError, match=f"{url}: broken"):
        begin()
    assert bucket.names(prefix) == set()
    with uploaded(url, overwrite=False) as again:
        assert [left.name for left in again.parent.iterdir()] == ["tiles"]
        (again.parent / "tiles").rmdir()
        again.write_bytes(b"whole")
    assert bucket.names(prefix) == {"o.bin"}
    assert bucket.get(f"{prefix}o.bin") == b"whole"
    assert not list(scratch.iterdir())


def test_a_result_that_cannot_be_uploaded_is_kept(
    tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left")

    monkeypatch.setattr("fsspec.implementations.memory.MemoryFileSystem.put_file", full)
    assert main([*pair_in(tmp_path), "-o", "memory://there/o.tif"]) == 2
    (kept,) = scratch.glob("cmsr-*/*")
    assert image_files.read(kept).data.shape == (1, 48, 64)


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("s3://nowhere/o.tif", "s3://nowhere/o.tif: no such file or bucket"),
        ("s3://here/there.tif", "s3://here/there.tif: exists already"),
        ("none://here/o.tif", "none"),
        ("s3://here/o.xyz", "s3://here/o.xyz: "),
    ],
)
def test_where_an_image_cannot_go_is_said_before_the_work(
    bucket: Bucket, place: str, message: str, tmp_path: Path, scratch: Path,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    bucket.put("there.tif", b"old")
    monkeypatch.setattr("cmsr.app.job.Job._upscale", None)
    assert main([*pair_in(tmp_path), "-o", place]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert str(scratch) not in line
    assert bucket.get("there.tif") == b"old"
    assert not list(scratch.iterdir())
