"""Compiles the decode kernels for a GPU on a machine without one: registers, spills, memory.

    pip install nvidia-cuda-nvrtc-cu12 nvidia-cuda-nvcc-cu12
    python infra/bench/kernel_registers.py [--architecture 90] [--rows 1 2 4 8]

The shape is Qwen3-4B's. A Markdown row for each kernel and number of sequences.
"""

import argparse
import ctypes
import pathlib
import re
import stat
import subprocess
import sysconfig
import tempfile

SOURCE = pathlib.Path(__file__).parents[2] / "worker/models/src/qwen3/gpu/step.cu"
QWEN3_4B = dict(
    HIDDEN=2560, HEADS=32, KV_HEADS=8, HEAD_DIM=128, INNER=9728, VOCAB=151_936, EPS="1e-6f"
)
NVIDIA = pathlib.Path(sysconfig.get_path("purelib")) / "nvidia"


def ptx(architecture, constants):
    (library,) = NVIDIA.glob("cuda_nvrtc/lib/libnvrtc.so.*")
    nvrtc = ctypes.CDLL(str(library))
    program, size = ctypes.c_void_p(), ctypes.c_size_t()
    nvrtc.nvrtcCreateProgram(ctypes.byref(program), SOURCE.read_bytes(), b"step.cu", 0, None, None)
    options = [f"-D{name}={value}" for name, value in constants.items()]
    options.append(f"--gpu-architecture=compute_{architecture}")
    array = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
    failed = nvrtc.nvrtcCompileProgram(program, len(options), array)
    what = "ProgramLog" if failed else "PTX"
    getattr(nvrtc, f"nvrtcGet{what}Size")(program, ctypes.byref(size))
    text = ctypes.create_string_buffer(size.value)
    getattr(nvrtc, f"nvrtcGet{what}")(program, text)
    if failed:
        raise SystemExit(text.value.decode())
    return text.value


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--architecture", default="90")
    parser.add_argument("--rows", nargs="+", type=int, default=[1, 2, 4, 8])
    arguments = parser.parse_args()
    assembler = NVIDIA / "cuda_nvcc/bin/ptxas"
    assembler.chmod(assembler.stat().st_mode | stat.S_IXUSR)
    print("| sequences | kernel | registers | bytes spilled | bytes of shared memory |")
    print("|--:|---|--:|--:|--:|")
    for rows in arguments.rows:
        # `Shape::constants` in `worker/models/src/qwen3/gpu/shape.rs`.
        constants = dict(QWEN3_4B, ROWS=rows, WARPS=8, CHUNK=8192 // rows)
        with tempfile.TemporaryDirectory() as folder:
            source = pathlib.Path(folder) / "step.ptx"
            source.write_bytes(ptx(arguments.architecture, constants))
            command = [assembler, "-v", f"-arch=sm_{arguments.architecture}", source]
            command += ["-o", source.with_suffix(".cubin")]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
        for part in done.stderr.split("Compiling entry function")[1:]:
            (name,) = re.findall(r"^ '(\w+)'", part)
            found = [
                next(iter(re.findall(pattern, part)), "0")
                for pattern in (r"Used (\d+) registers", r"(\d+) bytes spill stores", r"(\d+) bytes smem")
            ]
            print(f"| {rows} | `{name}` |", " | ".join(found), "|")


if __name__ == "__main__":
    main()
