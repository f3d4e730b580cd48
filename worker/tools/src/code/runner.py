"""One sandbox, one program, one picture.

Runs as the only process of its sandbox. Imports the drawing libraries while
nothing untrusted is near, closes the doors behind itself (limits, seccomp),
says that it is ready, takes one program, answers with one frame and ends.

Frames, both ways: a line with a length, then that many bytes of JSON; an
answer that carries a picture has its PNG right after.
"""
import builtins
import ctypes
import io
import json
import linecache
import os
import resource
import sys
import time
import traceback

PROGRAM = "<program>"
source = sys.stdin.buffer


def take():
    return json.loads(source.read(int(source.readline())))


# The answer's channel leaves descriptor 1, so that print cannot touch it.
answer_fd = os.dup(1)
os.dup2(2, 1)


def answer(header, payload=b""):
    text = json.dumps(header).encode()
    data = memoryview(b"%d\n%s%s" % (len(text), text, payload))
    while data:
        data = data[os.write(answer_fd, data):]


def fail(code, message):
    answer({"status": "error", "code": code, "message": message[:4000]})
    leave()


def leave():
    # No atexit handler, no destructor, no waiting for the program's threads.
    os._exit(0)


# ---------------------------------------------------------------- warming up

setup = take()
sys.path.extend(setup["sites"])
cache = os.environ["MPLCONFIGDIR"]
os.makedirs(cache, exist_ok=True)
for name, text in setup["font_cache"].items():
    with open(os.path.join(cache, name), "w") as file:
        file.write(text)

import warnings

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import dates as mdates
from matplotlib import font_manager, ft2font, ticker
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

PALETTE = ["#3B6FB6", "#E8853A", "#3F9E79", "#C9504C", "#8268B0",
           "#D9A62E", "#4BA3B8", "#C4699B", "#7A8B3C", "#7C6A5D"]


def style():
    sns.set_theme(style="whitegrid", palette=PALETTE, rc={
        "figure.figsize": (8, 5),
        "figure.dpi": 100,
        "figure.max_open_warning": 0,
        "font.size": 11.5,
        "axes.titlesize": 15,
        "axes.titleweight": "semibold",
        "axes.titlepad": 14,
        "axes.labelsize": 12,
        "axes.labelpad": 7,
        "axes.labelcolor": "#3A4048",
        "axes.titlecolor": "#1F242B",
        "text.color": "#1F242B",
        "axes.edgecolor": "#B9C0C8",
        "axes.linewidth": 1.0,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "axes.formatter.useoffset": False,
        "grid.color": "#E6E9ED",
        "grid.linewidth": 0.9,
        "xtick.color": "#555C66",
        "ytick.color": "#555C66",
        "xtick.labelsize": 11,
        "ytick.labelsize": 11,
        "lines.linewidth": 2.2,
        "lines.markersize": 6.5,
        "patch.linewidth": 0.6,
        "legend.fontsize": 11,
        "legend.framealpha": 0.92,
        "legend.edgecolor": "#D9DEE3",
        "figure.titlesize": 17,
        "figure.titleweight": "semibold",
        "date.converter": "concise",
        "image.cmap": "viridis",
    })


# Names that libraries have dropped and that programs still use.
def keep_old_names():
    library = mpl.style.library
    for name in list(library):
        if name.startswith("seaborn-v0_8"):
            library.setdefault(name.replace("-v0_8", ""), library[name])
    if not hasattr(mpl.cm, "get_cmap"):
        mpl.cm.get_cmap = plt.get_cmap
    for old, new in (("float", float), ("int", int), ("bool", bool),
                     ("object", object), ("str", str), ("float_", np.float64)):
        if old not in np.__dict__:
            setattr(np, old, new)


# Scripts beyond DejaVu Sans: the first installed one of each row.
FALLBACKS = [
    ["Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans SC", "Source Han Sans SC",
     "Source Han Sans CN", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "Droid Sans Fallback",
     "Noto Sans JP", "IPAexGothic", "Unifont"],
    ["Noto Emoji", "Symbola", "Unifont Upper"],
    ["Noto Sans Symbols2", "Noto Sans Symbols"],
    ["Noto Sans Devanagari", "Lohit Devanagari"],
    ["Noto Sans Thai", "Noto Sans Thai Looped", "Loma"],
]


def fallback_families():
    installed = {entry.name for entry in font_manager.fontManager.ttflist}
    rows = ([name for name in row if name in installed] for row in FALLBACKS)
    return [row[0] for row in rows if row]


def sans_characters():
    path = font_manager.findfont("DejaVu Sans")
    return frozenset(ft2font.FT2Font(path).get_charmap())


style()
keep_old_names()
families = fallback_families()
characters = sans_characters()
draw_png = Figure.savefig

# -------------------------------------------------- show and savefig, tamed

last_shown = None


def remember(figure):
    global last_shown
    last_shown = figure


def current():
    return plt.gcf() if plt.get_fignums() else None


def neutralise():
    def show(*_, **__):
        remember(current() or last_shown)

    def save_current(*_, **__):
        remember(current() or last_shown)

    def save(self, *_, **__):
        remember(self)

    plt.show = show
    plt.savefig = save_current
    Figure.savefig = save
    Figure.show = save
    plt.switch_backend = mpl.use = lambda *_, **__: None
    plt.pause = lambda *_, **__: None


# ------------------------------------------------------- choosing a figure


def drawn(figure):
    """Whether anything but empty axes is on it."""
    if figure is None:
        return False
    if figure.texts or figure.images or figure.lines or figure.patches or figure.artists:
        return True
    return any(axes.has_data() or axes.texts or axes.tables or axes.artists
               for axes in figure.get_axes())


def choose():
    opened = [plt.figure(number) for number in reversed(plt.get_fignums())] \
        if len(plt.get_fignums()) > 1 else []
    for figure in [current_figure, *opened, last_shown]:
        if drawn(figure):
            return figure
    return None


# ------------------------------------------------------------- finishing it


def untouched_margins(figure):
    pars = figure.subplotpars
    return all(getattr(pars, side) == mpl.rcParams["figure.subplot." + side]
               for side in ("left", "right", "bottom", "top", "wspace", "hspace"))


def use_fallback_fonts(figure):
    """Whether a text held characters that the first font lacks."""
    found = False
    for axes in figure.get_axes():
        axes.get_xticklabels(), axes.get_yticklabels()  # Brings the ticks up to date.
    for text in figure.findobj(Text) if families else []:
        if any(c > "\x7f" and ord(c) not in characters for c in text.get_text()):
            text.set_fontfamily([*text.get_fontfamily(), *families])
            found = True
    return found


def turn_crowded_labels(axes, renderer):
    """Tilts category names that would run into each other; whether it did."""
    if axes.name != "rectilinear" or not axes.axison:
        return False
    if not isinstance(axes.xaxis.get_major_formatter(), (
            ticker.FixedFormatter, ticker.FuncFormatter, mpl.category.StrCategoryFormatter)):
        return False
    labels = [label for label in axes.get_xticklabels()
              if label.get_text() and label.get_visible()]
    if not 2 <= len(labels) <= 60 or any(label.get_rotation() for label in labels):
        return False
    boxes = sorted((label.get_window_extent(renderer) for label in labels), key=lambda b: b.x0)
    if all(left.x1 + 4 <= right.x0 for left, right in zip(boxes, boxes[1:])):
        return False
    for label in labels:
        label.set(rotation=35, ha="right", rotation_mode="anchor")
    return True


def finish(figure):
    """Room for every label, fonts for every character."""
    plain = figure.get_layout_engine() is None and untouched_margins(figure)
    settle = figure.tight_layout if plain else figure.draw_without_rendering
    settle()
    renderer = figure.canvas.get_renderer()
    changed = [turn_crowded_labels(axes, renderer) for axes in figure.get_axes()]
    if use_fallback_fonts(figure) or any(changed):
        settle()


def check_size(figure):
    across, down = figure.get_size_inches()
    if not (0.5 <= across <= 60 and 0.5 <= down <= 60):
        fail("output_too_large", f"the figure measures {across:g} × {down:g} inches; "
             "figsize is in inches, each side from 0.5 to 60")


def frame(figure):
    """What to show, inches: the figure, and what reaches beyond its edges."""
    drawn_box = figure.get_tightbbox(figure.canvas.get_renderer()).padded(0.12)
    return Bbox.union([Bbox.from_bounds(0, 0, *figure.get_size_inches()), drawn_box])


def dots_per_inch(box, limits):
    """About `width` pixels across, legible, and never above the pixel limit."""
    dpi = min(max(limits["width"] / box.width, 80), 200)
    dpi = min(dpi, (limits["pixels"] * 0.95 / (box.width * box.height)) ** 0.5)
    if not dpi >= 30:
        fail("output_too_large", f"the drawing spreads over {box.width:.0f} × {box.height:.0f} "
             "inches: something lies far outside its axes")
    return dpi


def picture(figure, limits):
    check_size(figure)
    # A figure whose canvas was replaced by another backend's.
    mpl.backends.backend_agg.FigureCanvasAgg(figure)
    figure.set_dpi(100)
    try:
        finish(figure)
    except MemoryError:
        raise
    except Exception:
        # Finishing touches only; what cannot be drawn at all fails below.
        traceback.print_exc()
    box = frame(figure)
    file = io.BytesIO()
    draw_png(figure, file, format="png", dpi=dots_per_inch(box, limits), bbox_inches=box)
    return file.getvalue()


# ------------------------------------------------------------ telling errors


def words(error):
    try:
        text = str(error)
    except BaseException:
        text = ""
    name = type(error).__name__
    return f"{name}: {text}"[:600] if text else name


def syntax_message(error):
    line = f"line {error.lineno}: " if error.lineno else ""
    shown = f"\n    {error.text.strip()[:200]}" if error.text else ""
    return f"{line}{type(error).__name__}: {error.msg}{shown}"


def traceback_message(error, lines):
    """The innermost line of the program itself; libraries' frames say little."""
    number, step = None, error.__traceback__
    while step is not None:
        if step.tb_frame.f_code.co_filename == PROGRAM:
            number = step.tb_lineno
        step = step.tb_next
    if not number or number > len(lines):
        return words(error)
    return f"line {number}: {words(error)}\n    {lines[number - 1].strip()[:200]}"


# ------------------------------------------------------- closing the doors


def lower(kind, value):
    hard = resource.getrlimit(kind)[1]
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(kind, (value, value))


def close_doors(limits, filters):
    used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    lower(resource.RLIMIT_CPU, int(used + limits["cpu_s"]) + 1)
    lower(resource.RLIMIT_AS, limits["memory"])
    lower(resource.RLIMIT_FSIZE, limits["file"])
    lower(resource.RLIMIT_NOFILE, 128)
    lower(resource.RLIMIT_NPROC, limits["threads"])
    lower(resource.RLIMIT_STACK, 8 << 20)
    lower(resource.RLIMIT_CORE, 0)

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p)]

    libc = ctypes.CDLL(None, use_errno=True)
    no_new_privs, filter_mode, all_threads = 38, 1, 1
    if libc.prctl(no_new_privs, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "no_new_privs")
    for code in map(bytes.fromhex, filters["programs"]):
        buffer = ctypes.create_string_buffer(code, len(code))
        program = Program(len(code) // 8, ctypes.addressof(buffer))
        if libc.syscall(filters["seccomp"], filter_mode, all_threads, ctypes.byref(program)) != 0:
            raise OSError(ctypes.get_errno(), "seccomp")


def warm():
    """Draws once, so that fonts and lazy imports are in memory."""
    figure, axes = plt.subplots()
    axes.bar(["a", "b"], [1, 2], label="n")
    axes.set(title="Ag", xlabel="x", ylabel="y")
    axes.legend()
    picture(figure, setup["limits"])
    plt.close("all")


def main():
    global current_figure
    limits = setup["limits"]
    warnings.simplefilter("ignore")
    warm()
    neutralise()
    fonts = {name: open(os.path.join(cache, name)).read()
             for name in os.listdir(cache) if name.endswith(".json")}
    close_doors(limits, setup["filters"])
    answer({"status": "ready", "font_cache": {} if setup["font_cache"] else fonts})

    order = take()
    null = os.open("/dev/null", os.O_RDONLY)
    os.dup2(null, 0)
    sys.stdin = open(os.devnull)
    program, lines = order["program"], order["program"].splitlines()
    linecache.cache[PROGRAM] = (len(program), None, [line + "\n" for line in lines], PROGRAM)
    import random
    random.seed(order["seed"])
    np.random.seed(order["seed"] % 2**32)

    space = {"__name__": "__main__", "__builtins__": builtins,
             "plt": plt, "pd": pd, "sns": sns, "np": np}
    try:
        code = compile(program, PROGRAM, "exec", dont_inherit=True)
    except SyntaxError as error:
        fail("python_error", syntax_message(error))
    except (ValueError, RecursionError, MemoryError) as error:
        fail("python_error", words(error))
    try:
        exec(code, space)
    except SystemExit as error:
        if error.code not in (None, 0, False):
            fail("python_error", f"the program ended itself: sys.exit({error.code!r})"[:300])
    except MemoryError as error:
        space.clear()
        fail("out_of_memory", "the program needs more memory than it may have: "
             + traceback_message(error, lines))
    except BaseException as error:
        fail("python_error", traceback_message(error, lines))

    try:
        current_figure = current()
        figure = choose()
        if figure is None:
            fail("no_figure", "the program ran but drew no figure")
        png = picture(figure, limits)
    except MemoryError:
        space.clear()
        fail("out_of_memory", "the figure needs more memory than it may have")
    except BaseException as error:
        fail("python_error", "the figure cannot be drawn: " + traceback_message(error, lines))
    if len(png) > limits["png"]:
        fail("output_too_large", f"the picture has {len(png)} bytes, above {limits['png']}")
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BaseException:
            pass
    answer({"status": "drawn", "bytes": len(png)}, png)
    leave()


main()
