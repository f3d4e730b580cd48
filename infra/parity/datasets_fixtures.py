"""Files of prompts as pandas, pyarrow and Hugging Face `datasets` write them.

    python infra/parity/datasets_fixtures.py               # writes worker/datasets/tests/fixtures
    python infra/parity/datasets_fixtures.py check FOLDER  # reads *.parquet and *.jsonl of ours
"""

import io
import json
import pathlib
import sys

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

HOME = pathlib.Path(__file__).parents[2] / "worker/datasets/tests/fixtures"


def png(width, height, colour):
    file = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(file, "PNG")
    return file.getvalue()


RED, BLUE = png(4, 3, "red"), png(5, 2, "blue")


def chat(system, user):
    return [{"role": "system", "content": system}, {"role": "user", "content": user}]


def extra(split, image_num, tools, question, **more):
    return {"split": split, "image_num": image_num, "tools": tools, "question": question, **more}


CHATS = [
    {
        "prompt": chat("You may call tools.", "Show me Café Central."),
        "images": [],
        "data_source": "llmi",
        "extra_info": extra("train", 1, ["search"], "Show me Café Central.", index=0),
    },
    {
        "prompt": chat("You may call tools.", "<image>Repaint it at night, then chart the visits."),
        "images": [{"bytes": RED, "path": "red.png"}, {"bytes": BLUE, "path": None}],
        "data_source": "llmi",
        "extra_info": extra("test", 99, ["edit", "code"], "Repaint it.", index=1),
    },
    {
        "prompt": chat("You may call tools.", "Explain tides in words."),
        "images": [],
        "data_source": "llmi",
        "extra_info": extra("train", -1, [], "Explain tides in words.", index=2),
    },
]


def by_pandas():
    # Labels that are no plain range become a column of their own.
    frame = pd.DataFrame(CHATS, index=[7, 3, 5])
    frame.to_parquet(HOME / "pandas.parquet")
    lines = frame.drop(columns="images")
    lines.to_json(HOME / "pandas.jsonl", orient="records", lines=True)


def by_datasets():
    import datasets

    features = datasets.Features(
        {
            "prompt": [{"role": datasets.Value("string"), "content": datasets.Value("string")}],
            "images": datasets.List(datasets.Image()),
            "data_source": datasets.Value("string"),
            "extra_info": {
                "split": datasets.Value("string"),
                "image_num": datasets.Value("int64"),
                "tools": datasets.List(datasets.Value("string")),
                "question": datasets.Value("string"),
                "index": datasets.Value("int64"),
            },
        }
    )
    datasets.Dataset.from_list(CHATS, features=features).to_parquet(HOME / "datasets.parquet")


def by_pyarrow():
    # Plain texts, pictures as bare bytes or absent, one tool as a word, whole
    # numbers that a gap has made decimal; a row group a row.
    rows = [
        {
            "prompt": f"Prompt number {number}.",
            "images": [RED] if number == 1 else None,
            "extra_info": {"image_num": float(number), "tools": "diffusion"},
        }
        for number in range(3)
    ]
    for codec in ["none", "snappy", "gzip", "zstd", "brotli", "lz4"]:
        table = pa.Table.from_pylist(rows)
        pq.write_table(table, HOME / f"{codec}.parquet", compression=codec, row_group_size=1)
    more = [{**row, "ability": "drawing"} for row in rows]
    pq.write_table(pa.Table.from_pylist(more), HOME / "more_columns.parquet")
    more = [{**row, "extra_info": {**row["extra_info"], "difficulty": 3}} for row in rows]
    pq.write_table(pa.Table.from_pylist(more), HOME / "more_fields.parquet")


def check(folder):
    import datasets

    for path in sorted(pathlib.Path(folder).iterdir()):
        kind = {".parquet": "parquet", ".jsonl": "json"}.get(path.suffix)
        if kind is None:
            continue
        frame = pd.read_parquet(path) if kind == "parquet" else pd.read_json(path, lines=True)
        loaded = datasets.load_dataset(kind, data_files=str(path), split="train")
        assert len(frame) == len(loaded)
        assert set(frame.columns) == {"prompt", "images", "data_source", "extra_info"}
        for row in loaded:
            assert row["prompt"][-1]["content"] == row["extra_info"]["question"]
            for picture in row["images"]:
                if kind == "parquet":
                    Image.open(io.BytesIO(picture["bytes"])).load()
        pictures = sum(len(row["images"]) for row in loaded)
        print(path.name, len(loaded), "rows,", pictures, "pictures,", json.dumps(loaded[0]["extra_info"]))


if __name__ == "__main__":
    if sys.argv[1:2] == ["check"]:
        check(sys.argv[2])
    else:
        HOME.mkdir(parents=True, exist_ok=True)
        by_pandas()
        by_datasets()
        by_pyarrow()
