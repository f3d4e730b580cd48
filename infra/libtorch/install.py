#!/usr/bin/env python3
"""Installs LibTorch out of PyTorch's wheels.

    python infra/libtorch/install.py FOLDER [--cuda] [--wheels DIR]

FOLDER gets `lib`, `include` and `build-version`, as LIBTORCH wants them. Without
--cuda the CUDA half of the library stays out: a build that finds it links with
it. pip downloads the pinned wheels and checks their hashes, unless DIR has them
already; each file is checked against the wheel's own record when it is unpacked,
and against `installed.json` when this runs again and has nothing else to do.
"""

import argparse
import base64
import csv
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

HERE = Path(__file__).parent
VERSION = "2.9.0"
# Whatever this interpreter is: the library is the same in every wheel.
TARGET = ["--python-version", "3.11", "--implementation", "cp", "--abi", "cp311", "--abi", "none"]
PLATFORMS = ["manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux2014_x86_64", "manylinux2010_x86_64"]

CPU_LIBRARIES = {"libtorch_cpu.so", "libc10.so", "libgomp.so.1", "libcudart.so.12", "libcupti.so.12"}
# Python's own; no C++ program links them.
PYTHON_LIBRARIES = {"libtorch_python.so", "libshm.so"}
MANIFEST = "installed.json"
STUB = "lib/libtorch.so"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cuda", action="store_true", help="with the CUDA half, for machines with a GPU")
    parser.add_argument("--wheels", type=Path, help="folder that has the wheels; otherwise they are downloaded")
    arguments = parser.parse_args()
    folder = arguments.folder
    pins = [HERE / "requirements.txt"] + [HERE / "requirements-cuda.txt"] * arguments.cuda
    wanted = digest_of(b"".join(path.read_bytes() for path in [*pins, Path(__file__)]))
    kind = "with CUDA" if arguments.cuda else "CPU only"
    reason = damage(folder, wanted)
    if reason is None:
        say(f"{VERSION}, {kind}, is in {folder}")
        return 0
    say(f"{reason}; installing {VERSION}, {kind}")
    try:
        install(folder, pins, arguments.cuda, arguments.wheels, wanted)
    except (OSError, subprocess.SubprocessError, zipfile.BadZipFile, Damaged) as error:
        say(str(error))
        return 1
    say(f"{VERSION}, {kind}, is in {folder}")
    return 0


def say(text: str) -> None:
    """To the error stream: the other one is for what a shell evaluates."""
    print(f"libtorch: {text}", file=sys.stderr)


class Damaged(Exception):
    """A file is not what its record says."""


def damage(folder: Path, wanted: str) -> str | None:
    """Why the folder cannot stay as it is; nothing when it can."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return f"{folder} has none yet"
    if manifest.get("wanted") != wanted:
        return "the pins or this script changed"
    for name, (size, digest) in manifest["files"].items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != size:
            return f"{path} is missing or has another size"
        # Of the headers, of which there are thousands, the size is enough.
        if name.startswith("lib/") and digest_of_file(path) != digest:
            return f"{path} was changed"
    return None


def install(folder: Path, pins: list[Path], cuda: bool, wheels: Path | None, wanted: str) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Beside it: the last step is a rename.
    with tempfile.TemporaryDirectory(prefix=".libtorch-", dir=folder.parent) as work:
        if wheels is None:
            wheels = Path(work) / "wheels"
            download(pins, wheels)
        new = Path(work) / "new"
        files = {}
        for wheel in wheels_of(pins, wheels):
            files.update(unpack(wheel, new, cuda))
        if not cuda:
            files[STUB] = make_stub(new / STUB)
        missing = CPU_LIBRARIES - {PurePosixPath(name).name for name in files}
        if missing:
            raise Damaged(f"the wheels lack {', '.join(sorted(missing))}")
        (new / "build-version").write_text(VERSION + "\n", encoding="utf-8")
        manifest = {"version": VERSION, "wanted": wanted, "files": files}
        (new / MANIFEST).write_text(json.dumps(manifest, indent=0), encoding="utf-8")
        if folder.exists():
            shutil.rmtree(folder)
        os.rename(new, folder)


def download(pins: list[Path], wheels: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--no-deps", "--no-cache-dir"]
    command += ["--only-binary=:all:", "--require-hashes", "--dest", str(wheels), *TARGET]
    command += [f"--platform={platform}" for platform in PLATFORMS]
    command += [f"--requirement={path}" for path in pins]
    subprocess.run(command, check=True, stdout=sys.stderr)


def wheels_of(pins: list[Path], wheels: Path) -> list[Path]:
    found = []
    for line in (line.strip() for path in pins for line in path.read_text(encoding="utf-8").splitlines()):
        if not line or line.startswith("#"):
            continue
        requirement, _, digest = line.partition(" --hash=sha256:")
        name, _, version = requirement.partition("==")
        candidates = list(wheels.glob(f"{name.replace('-', '_')}-{version}-*.whl"))
        matching = [wheel for wheel in candidates if digest_of_file(wheel) == digest]
        if not matching:
            raise Damaged(f"{wheels} has no wheel of {requirement} with the pinned SHA-256")
        found.append(matching[0])
    return found


def unpack(wheel: Path, folder: Path, cuda: bool) -> dict[str, tuple[int, str]]:
    """Size and SHA-256 of each file that was unpacked, by its path in `folder`."""
    files = {}
    with zipfile.ZipFile(wheel) as archive:
        record = read_record(archive)
        for member in archive.infolist():
            name = destination(member.filename, cuda)
            if name is None:
                continue
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(member) as source, path.open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
            found = (path.stat().st_size, digest_of_file(path))
            if record.get(member.filename) != found:
                raise Damaged(f"{member.filename} of {wheel.name} is not what the wheel's record says")
            files[name] = found
    return files


def destination(member: str, cuda: bool) -> str | None:
    """Where a wheel's file goes, if it is needed."""
    path = PurePosixPath(member)
    if member.startswith("torch/include/") and not member.endswith("/"):
        return member.removeprefix("torch/")
    library = path.parent.name == "lib" and ".so" in path.name
    if not library or path.name in PYTHON_LIBRARIES:
        return None
    return f"lib/{path.name}" if cuda or path.name in CPU_LIBRARIES else None


def read_record(archive: zipfile.ZipFile) -> dict[str, tuple[int, str]]:
    [name] = [name for name in archive.namelist() if name.endswith(".dist-info/RECORD")]
    record = {}
    for path, digest, size in csv.reader(io.TextIOWrapper(archive.open(name), encoding="utf-8")):
        if digest.startswith("sha256="):
            encoded = digest.removeprefix("sha256=")
            raw = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
            record[path] = (int(size), raw.hex())
    return record


def make_stub(path: Path) -> tuple[int, str]:
    """A libtorch.so that asks for nothing; the wheel's asks for its CUDA half."""
    command = [os.environ.get("CXX", "c++"), "-shared", "-o", str(path), "-Wl,-soname,libtorch.so", "-x", "c++", os.devnull]
    subprocess.run(command, check=True)
    return path.stat().st_size, digest_of_file(path)


def digest_of_file(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def digest_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
