//! Pictures of any size to patches.
//!
//! Follows `Qwen2VLImageProcessor` of
//! `transformers/models/qwen2_vl/image_processing_qwen2_vl.py`, the torchvision
//! one, which `AutoImageProcessor` gives for Qwen2.5-VL where torchvision is
//! installed; the one on Pillow rounds otherwise in its resizing. Each picture keeps its own size, rounded so that whole
//! merged patches cover it ("dynamic resolution", arXiv:2502.13923, §2.1.1).

use std::sync::Arc;

use super::picture::Picture;
use super::processor_config::ProcessorConfig;
use super::resample::resize_bicubic;
use crate::error::{ModelError, Result};

/// Longest side over shortest that the reference accepts.
const MAX_ASPECT: f64 = 200.0;

/// Patches of a picture: frames, rows and columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Grid {
    /// Frames of patches; 1 for a still picture.
    pub t: usize,
    /// Rows.
    pub h: usize,
    /// Columns.
    pub w: usize,
}

impl Grid {
    /// Patches in all.
    pub fn patches(&self) -> usize {
        self.t * self.h * self.w
    }

    /// Vectors, and so places in the prompt, after squares of `merge_size` ×
    /// `merge_size` patches are merged.
    pub fn merged(&self, merge_size: usize) -> usize {
        self.patches() / (merge_size * merge_size)
    }
}

/// What the vision tower reads.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Patches {
    /// `[patches, 3 × temporal_patch × patch × patch]`, row-major, the pictures
    /// one after the other; within a picture the patches of a merged square lie
    /// together.
    pub pixel_values: Vec<f32>,
    /// One a picture.
    pub image_grid_thw: Vec<Grid>,
}

impl Patches {
    /// Bytes that they take.
    pub const fn bytes(&self) -> usize {
        self.pixel_values.len() * size_of::<f32>()
    }

    /// The patches to be shared; none when there is no picture.
    pub fn into_shared(self) -> Option<Arc<Self>> {
        (!self.image_grid_thw.is_empty()).then(|| Arc::new(self))
    }
}

/// Turns pictures into patches.
#[derive(Clone, Debug)]
pub struct ImageProcessor {
    config: ProcessorConfig,
    /// For each colour, the number that each level becomes.
    levels: [[f32; 256]; 3],
}

impl ImageProcessor {
    /// A processor with these settings.
    ///
    /// # Errors
    /// [`ModelError::Config`] when `config` is of no use.
    pub fn new(config: ProcessorConfig) -> Result<Self> {
        if let Some(reason) = config.fault() {
            return Err(ModelError::Config {
                field: "preprocessor_config",
                reason,
            });
        }
        Ok(Self {
            levels: levels(&config),
            config,
        })
    }

    /// Its settings.
    pub fn config(&self) -> &ProcessorConfig {
        &self.config
    }

    /// The grid that `picture` will have.
    ///
    /// # Errors
    /// [`ModelError::Picture`] for a picture of a single pixel, of sides that
    /// differ by more than 200 times, or of sides that do not fit where resizing
    /// is switched off.
    pub fn grid(&self, picture: &Picture) -> Result<Grid> {
        let [width, height] = self.resized(picture)?;
        let patch = self.config.patch_size;
        Ok(Grid {
            t: 1,
            h: height / patch,
            w: width / patch,
        })
    }

    /// The patches of `pictures`.
    ///
    /// # Errors
    /// Those of [`Self::grid`].
    pub fn process(&self, pictures: &[Picture]) -> Result<Patches> {
        let grids: Result<Vec<Grid>> = pictures.iter().map(|one| self.grid(one)).collect();
        let image_grid_thw = grids?;
        let patches: usize = image_grid_thw.iter().map(Grid::patches).sum();
        let mut pixel_values = Vec::with_capacity(patches * self.config.patch_width());
        for (picture, grid) in pictures.iter().zip(&image_grid_thw) {
            let patch = self.config.patch_size;
            let from = [picture.width(), picture.height()];
            let to = [grid.w * patch, grid.h * patch];
            let rgb = resize_bicubic(picture.rgb(), from, to);
            self.patchify(&rgb, *grid, &mut pixel_values);
        }
        Ok(Patches {
            pixel_values,
            image_grid_thw,
        })
    }

    /// Width and height after resizing.
    fn resized(&self, picture: &Picture) -> Result<[usize; 2]> {
        let (width, height) = (picture.width(), picture.height());
        let refuse = |reason: String| {
            Err(ModelError::Picture {
                name: picture.name().to_owned(),
                reason,
            })
        };
        if width * height == 1 {
            return refuse("is a single pixel, with nothing to see; give a larger one".to_owned());
        }
        let aspect = width.max(height) as f64 / width.min(height) as f64;
        if aspect > MAX_ASPECT {
            return refuse(format!(
                "{width}×{height}: one side is more than {MAX_ASPECT} times the other; crop it or cut it into pieces"
            ));
        }
        let factor = self.config.factor();
        if self.config.do_resize {
            let (min, max) = (self.config.min_pixels, self.config.max_pixels);
            let [height, width] = smart_resize(height, width, factor, min, max);
            return Ok([width, height]);
        }
        if !width.is_multiple_of(factor) || !height.is_multiple_of(factor) {
            return refuse(format!(
                "{width}×{height} is not a multiple of {factor} on each side, and `do_resize` is off; resize it"
            ));
        }
        Ok([width, height])
    }

    /// Appends the patches of a picture of the grid's size.
    fn patchify(&self, rgb: &[u8], grid: Grid, out: &mut Vec<f32>) {
        let (patch, merge) = (self.config.patch_size, self.config.merge_size);
        let stride = grid.w * patch * 3;
        for square_row in (0..grid.h).step_by(merge) {
            for square_column in (0..grid.w).step_by(merge) {
                for row in square_row..square_row + merge {
                    for column in square_column..square_column + merge {
                        let corner = row * patch * stride + column * patch * 3;
                        self.push_patch(&rgb[corner..], stride, out);
                    }
                }
            }
        }
    }

    /// Colours before frames before rows, as the reference's axes.
    fn push_patch(&self, corner: &[u8], stride: usize, out: &mut Vec<f32>) {
        let patch = self.config.patch_size;
        for (colour, levels) in self.levels.iter().enumerate() {
            let start = out.len();
            for row in corner.chunks(stride).take(patch) {
                let (pixels, _) = row[..patch * 3].as_chunks::<3>();
                out.extend(
                    pixels
                        .iter()
                        .map(|pixel| levels[usize::from(pixel[colour])]),
                );
            }
            let frame = start..out.len();
            for _ in 1..self.config.temporal_patch_size {
                out.extend_from_within(frame.clone());
            }
        }
    }
}

/// Height and width, rounded to multiples of `factor`, of `min_pixels` to
/// `max_pixels` pixels (or as near above as rounding and the smallest side
/// allow), with the aspect kept as well as that lets it.
pub fn smart_resize(
    height: usize,
    width: usize,
    factor: usize,
    min_pixels: usize,
    max_pixels: usize,
) -> [usize; 2] {
    let unit = factor as f64;
    let sides = [height as f64, width as f64];
    // Python rounds halves to even.
    let rounded = sides.map(|side| (side / unit).round_ties_even() as usize * factor);
    let pixels = rounded[0] * rounded[1];
    let area = sides[0] * sides[1];
    if pixels > max_pixels {
        let shrink = (area / max_pixels as f64).sqrt();
        sides.map(|side| (((side / shrink / unit).floor() as usize) * factor).max(factor))
    } else if pixels < min_pixels {
        let grow = (min_pixels as f64 / area).sqrt();
        sides.map(|side| (side * grow / unit).ceil() as usize * factor)
    } else {
        rounded
    }
}

/// Rescaling and normalising of each level, in the order of operations of
/// `rescale_and_normalize` (`transformers/image_processing_backends.py`).
fn levels(config: &ProcessorConfig) -> [[f32; 256]; 3] {
    let scale = config.rescale_factor.unwrap_or(1.0);
    std::array::from_fn(|colour| {
        std::array::from_fn(|level| {
            let level = level as f32;
            match config.normalize {
                Some((mean, deviation)) => {
                    let fused = |value: f64| value as f32 * (1.0 / scale) as f32;
                    (level - fused(mean[colour])) / fused(deviation[colour])
                }
                None => level * scale as f32,
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn processor() -> ImageProcessor {
        ImageProcessor::new(ProcessorConfig::default()).unwrap()
    }

    fn picture(width: usize, height: usize) -> Picture {
        Picture::from_rgb("strip.png", width, height, vec![9; width * height * 3]).unwrap()
    }

    #[test]
    fn sizes_as_the_reference_gives_them() {
        // Printed by `smart_resize` of transformers 5.23.
        for (height, width, expected) in [
            (57, 91, [56, 84]),
            (1, 40, [28, 364]),
            (14, 42, [56, 112]),
            (42, 70, [56, 56]),
            (4000, 3000, [1148, 840]),
            (1080, 1920, [728, 1316]),
        ] {
            let ours = smart_resize(height, width, 28, 3136, 1_003_520);
            assert_eq!(ours, expected, "{height}×{width}");
        }
    }

    #[test]
    fn a_small_bound_still_gives_one_merged_patch() {
        assert_eq!(smart_resize(500, 3, 28, 1, 784), [28, 28]);
    }

    #[test]
    fn pictures_that_no_size_fits_are_named_with_a_remedy() {
        for (width, height, remedy) in [(1, 1, "larger"), (30_000, 10, "crop"), (1, 201, "crop")] {
            let error = processor().process(&[picture(28, 28), picture(width, height)]);
            let error = error.unwrap_err().to_string();
            assert!(
                error.contains("strip.png") && error.contains(remedy),
                "{error}"
            );
        }
        processor().grid(&picture(1, 200)).unwrap();
    }

    #[test]
    fn without_resizing_the_sides_must_fit() {
        let config = ProcessorConfig {
            do_resize: false,
            ..ProcessorConfig::default()
        };
        let processor = ImageProcessor::new(config).unwrap();
        assert_eq!(processor.grid(&picture(28, 56)).unwrap().patches(), 8);
        let error = processor.grid(&picture(29, 56)).unwrap_err().to_string();
        assert!(error.contains("do_resize"), "{error}");
    }
}
