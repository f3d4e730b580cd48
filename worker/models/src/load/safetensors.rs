//! Tensors by name from one safetensors file or a sharded set.
//!
//! Format: <https://github.com/huggingface/safetensors#format>. The header is
//! read once; a tensor's bytes are read from disk when asked for, so that
//! loading never holds a whole shard beside the model.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, Metadata};
use serde::Deserialize;

use crate::error::{ModelError, Result};

/// Longest header that is believed, as in the reference implementation.
const MAX_HEADER_BYTES: u64 = 100_000_000;

/// About how many bytes are read at once where a tensor is taken in parts.
const PART_BYTES: usize = 1 << 20;

/// One safetensors file, opened and its header checked against its length.
#[derive(Debug)]
pub struct SafetensorsFile {
    path: PathBuf,
    file: File,
    metadata: Metadata,
    data_start: u64,
}

impl SafetensorsFile {
    /// Opens `path`.
    ///
    /// # Errors
    /// [`ModelError::Io`]; [`ModelError::Malformed`] for a bad header and for a
    /// file shorter or longer than its header says.
    pub fn open(path: &Path) -> Result<Self> {
        let io = |source| ModelError::io(path, source);
        let malformed = |reason: String| ModelError::malformed(path, reason);
        let mut file = File::open(path).map_err(io)?;
        let file_bytes = file.metadata().map_err(io)?.len();

        let mut length = [0_u8; 8];
        file.read_exact(&mut length)
            .map_err(|_| malformed(format!("truncated: {file_bytes} bytes hold no header")))?;
        let header_bytes = u64::from_le_bytes(length);
        if header_bytes > MAX_HEADER_BYTES || header_bytes + 8 > file_bytes {
            return Err(malformed(format!(
                "truncated or not a safetensors file: the header would take {header_bytes} bytes of {file_bytes}"
            )));
        }
        let mut header = vec![0_u8; header_bytes as usize];
        file.read_exact(&mut header).map_err(io)?;
        let metadata: Metadata = serde_json::from_slice(&header)
            .map_err(|error| malformed(format!("bad header: {error}")))?;

        let data_start = 8 + header_bytes;
        let expected = data_start + metadata.data_len() as u64;
        if file_bytes != expected {
            return Err(malformed(format!(
                "truncated or damaged: the header promises {expected} bytes, the file has {file_bytes}"
            )));
        }
        Ok(Self {
            path: path.to_owned(),
            file,
            metadata,
            data_start,
        })
    }

    /// The names it holds, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names = self.metadata.offset_keys();
        names.sort();
        names
    }

    /// What the header says under `key` beside the tensors.
    pub fn note(&self, key: &str) -> Option<&str> {
        let notes = self.metadata.metadata().as_ref()?;
        notes.get(key).map(String::as_str)
    }

    /// Shape of `name`, where it exists.
    pub fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.metadata.info(name).map(|info| info.shape.clone())
    }

    /// Values of `name` as f32, row-major, with its shape. Integers and booleans
    /// are converted too, which references of token ids use.
    ///
    /// # Errors
    /// [`ModelError::MissingTensor`], [`ModelError::Io`], and
    /// [`ModelError::Malformed`] for a type that is not a plain number.
    pub fn read(&mut self, name: &str) -> Result<(Vec<usize>, Vec<f32>)> {
        let (shape, dtype, bytes) = self.read_bytes(name)?;
        let values = to_f32(dtype, &bytes).ok_or_else(|| self.no_number(name, dtype))?;
        Ok((shape, values))
    }

    /// Values of a weight as f32, row-major, after shape and type are checked.
    ///
    /// # Errors
    /// As [`Self::read`]; [`ModelError::WrongShape`]; [`ModelError::Malformed`]
    /// for a type other than f32, bf16 and f16.
    pub fn read_weight(&mut self, name: &str, expected: &[usize]) -> Result<Vec<f32>> {
        if let Some(info) = self.metadata.info(name) {
            if info.shape != expected {
                return Err(ModelError::WrongShape {
                    path: self.path.clone(),
                    name: name.to_owned(),
                    expected: expected.to_vec(),
                    found: info.shape.clone(),
                });
            }
            if !matches!(info.dtype, Dtype::F32 | Dtype::BF16 | Dtype::F16) {
                let dtype = info.dtype;
                let reason =
                    format!("tensor `{name}` has type {dtype:?}; f32, bf16 or f16 is needed");
                return Err(ModelError::malformed(&self.path, reason));
            }
        }
        Ok(self.read(name)?.1)
    }

    /// Values of `name` as integers, exactly; floats are refused.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_ints(&mut self, name: &str) -> Result<(Vec<usize>, Vec<i64>)> {
        let (shape, dtype, bytes) = self.read_bytes(name)?;
        let values = match dtype {
            Dtype::I64 => chunks(&bytes, i64::from_le_bytes),
            Dtype::I32 => chunks(&bytes, |b| i64::from(i32::from_le_bytes(b))),
            Dtype::U8 | Dtype::BOOL => bytes.iter().map(|&b| i64::from(b)).collect(),
            _ => {
                return Err(ModelError::malformed(
                    &self.path,
                    format!("tensor `{name}` has type {dtype:?}; an integer is needed"),
                ));
            }
        };
        Ok((shape, values))
    }

    /// Calls `take` with the values of `name` as f32, a few whole rows (of its
    /// last dimension) at a time, in order.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_rows(&mut self, name: &str, take: &mut dyn FnMut(&[f32])) -> Result<()> {
        let (shape, dtype, start, end) = self.place(name)?;
        if to_f32(dtype, &[]).is_none() {
            return Err(self.no_number(name, dtype));
        }
        let numbers: usize = shape.iter().product();
        let Some(bytes_a_number) = (end - start).checked_div(numbers) else {
            return Ok(());
        };
        let row = shape.last().map_or(1, |&columns| columns) * bytes_a_number;
        let io = |source| ModelError::io(&self.path, source);
        self.file
            .seek(SeekFrom::Start(self.data_start + start as u64))
            .map_err(io)?;
        let mut buffer = vec![0_u8; (PART_BYTES / row).max(1) * row];
        let mut left = end - start;
        while left > 0 {
            let part = left.min(buffer.len());
            self.file.read_exact(&mut buffer[..part]).map_err(io)?;
            if let Some(values) = to_f32(dtype, &buffer[..part]) {
                take(&values);
            }
            left -= part;
        }
        Ok(())
    }

    /// Shape, type, and first and last byte of `name` in the data.
    fn place(&self, name: &str) -> Result<(Vec<usize>, Dtype, usize, usize)> {
        let info = self
            .metadata
            .info(name)
            .ok_or_else(|| ModelError::MissingTensor {
                path: self.path.clone(),
                name: name.to_owned(),
            })?;
        let (start, end) = info.data_offsets;
        Ok((info.shape.clone(), info.dtype, start, end))
    }

    fn no_number(&self, name: &str, dtype: Dtype) -> ModelError {
        let reason = format!("tensor `{name}` has type {dtype:?}; f32, bf16 or f16 is needed");
        ModelError::malformed(&self.path, reason)
    }

    fn read_bytes(&mut self, name: &str) -> Result<(Vec<usize>, Dtype, Vec<u8>)> {
        let (shape, dtype, start, end) = self.place(name)?;
        let mut bytes = vec![0_u8; end - start];
        self.file
            .seek(SeekFrom::Start(self.data_start + start as u64))
            .and_then(|_| self.file.read_exact(&mut bytes))
            .map_err(|source| ModelError::io(&self.path, source))?;
        Ok((shape, dtype, bytes))
    }
}

fn to_f32(dtype: Dtype, bytes: &[u8]) -> Option<Vec<f32>> {
    Some(match dtype {
        Dtype::F32 => chunks(bytes, f32::from_le_bytes),
        Dtype::BF16 => chunks(bytes, |b| half::bf16::from_le_bytes(b).to_f32()),
        Dtype::F16 => chunks(bytes, |b| half::f16::from_le_bytes(b).to_f32()),
        Dtype::F64 => chunks(bytes, |b| f64::from_le_bytes(b) as f32),
        Dtype::I64 => chunks(bytes, |b| i64::from_le_bytes(b) as f32),
        Dtype::I32 => chunks(bytes, |b| i32::from_le_bytes(b) as f32),
        Dtype::U8 | Dtype::BOOL => bytes.iter().map(|&b| f32::from(b)).collect(),
        _ => return None,
    })
}

fn chunks<const N: usize, T>(bytes: &[u8], convert: impl Fn([u8; N]) -> T) -> Vec<T> {
    let (whole, _) = bytes.as_chunks::<N>();
    whole.iter().map(|chunk| convert(*chunk)).collect()
}

/// All weights of a model folder, in one file or many.
#[derive(Debug)]
pub struct Weights {
    source: PathBuf,
    files: Vec<SafetensorsFile>,
    /// Which file holds which tensor.
    by_name: HashMap<String, usize>,
}

#[derive(Deserialize)]
struct ShardIndex {
    weight_map: BTreeMap<String, String>,
}

impl Weights {
    /// Opens the weights of the model folder `dir`.
    ///
    /// # Errors
    /// [`ModelError::Io`] when neither layout is there or a shard is missing,
    /// [`ModelError::Malformed`] when a file is damaged.
    pub fn open(dir: &Path) -> Result<Self> {
        Self::open_named(dir, "model")
    }

    /// [`Self::open`] for weights in `<stem>.safetensors`, or its shards.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_named(dir: &Path, stem: &str) -> Result<Self> {
        let index = dir.join(format!("{stem}.safetensors.index.json"));
        if index.is_file() {
            Self::open_sharded(dir, &index)
        } else {
            Self::open_single(&dir.join(format!("{stem}.safetensors")))
        }
    }

    fn open_single(path: &Path) -> Result<Self> {
        let file = SafetensorsFile::open(path)?;
        let by_name = file.names().into_iter().map(|name| (name, 0)).collect();
        Ok(Self {
            source: path.to_owned(),
            files: vec![file],
            by_name,
        })
    }

    fn open_sharded(dir: &Path, index: &Path) -> Result<Self> {
        let text =
            std::fs::read_to_string(index).map_err(|source| ModelError::io(index, source))?;
        let map: ShardIndex = serde_json::from_str(&text)
            .map_err(|error| ModelError::malformed(index, error.to_string()))?;
        let mut shards: Vec<&String> = map.weight_map.values().collect();
        shards.sort();
        shards.dedup();

        let mut files = Vec::with_capacity(shards.len());
        let mut numbers = HashMap::new();
        for shard in shards {
            let plain_name = Path::new(shard)
                .file_name()
                .is_some_and(|n| n == shard.as_str());
            if !plain_name {
                let reason = format!("`weight_map`: `{shard}` is not a plain file name");
                return Err(ModelError::malformed(index, reason));
            }
            numbers.insert(shard.clone(), files.len());
            files.push(SafetensorsFile::open(&dir.join(shard))?);
        }
        let by_name = map
            .weight_map
            .iter()
            .filter_map(|(name, shard)| Some((name.clone(), *numbers.get(shard)?)))
            .collect();
        Ok(Self {
            source: index.to_owned(),
            files,
            by_name,
        })
    }

    /// Whether `name` is there.
    pub fn contains(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// Values of `name` as f32, row-major, after its shape is checked.
    ///
    /// # Errors
    /// [`ModelError::MissingTensor`], [`ModelError::WrongShape`], and those of
    /// [`SafetensorsFile::read`].
    pub fn read(&mut self, name: &str, expected: &[usize]) -> Result<Vec<f32>> {
        Ok(self.file(name, expected)?.read(name)?.1)
    }

    /// [`Self::read`] a few whole rows at a time, so that little is held beside
    /// what `take` makes of them.
    ///
    /// # Errors
    /// As [`Self::read`]; rows may have been taken before a failing read.
    pub fn read_rows(
        &mut self,
        name: &str,
        expected: &[usize],
        take: &mut dyn FnMut(&[f32]),
    ) -> Result<()> {
        self.file(name, expected)?.read_rows(name, take)
    }

    /// The file that holds `name`, after its shape is checked.
    fn file(&mut self, name: &str, expected: &[usize]) -> Result<&mut SafetensorsFile> {
        let file = self
            .by_name
            .get(name)
            .and_then(|&number| self.files.get_mut(number))
            .ok_or_else(|| ModelError::MissingTensor {
                path: self.source.clone(),
                name: name.to_owned(),
            })?;
        if let Some(found) = file.shape(name)
            && found != expected
        {
            return Err(ModelError::WrongShape {
                path: file.path.clone(),
                name: name.to_owned(),
                expected: expected.to_vec(),
                found,
            });
        }
        Ok(file)
    }
}
