//! Paints a grid of pictures and prints their captions:
//! `cargo run --release -p illumine-train --example painter_grid -- OUT.png [first] [edits]`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use illumine_train::painter::{Painter, SIDE, paint, to_image};
use image::RgbImage;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let out = arguments.get(1).expect("name the PNG");
    let first: u64 = arguments.get(2).map_or(0, |text| text.parse().unwrap());
    let edits = arguments.get(3).is_some();
    let painter = Painter::training(1);
    let (columns, rows) = (8_u32, 6_u32);
    let mut grid = RgbImage::new(columns * (SIDE as u32 + 2), rows * (SIDE as u32 + 2));
    let begun = std::time::Instant::now();
    for cell in 0..columns * rows {
        let scene = if edits {
            let example = painter.edit(first + u64::from(cell / 2));
            println!("{cell}: {}", example.instruction);
            if cell % 2 == 0 {
                example.before
            } else {
                example.after
            }
        } else {
            let example = painter.example(first + u64::from(cell));
            println!("{cell}: {}", example.caption);
            example.scene
        };
        let picture = to_image(&paint(&scene).pixels);
        let (x, y) = (
            cell % columns * (SIDE as u32 + 2),
            cell / columns * (SIDE as u32 + 2),
        );
        image::imageops::replace(&mut grid, &picture, i64::from(x), i64::from(y));
    }
    println!(
        "{:.1} ms a picture",
        begun.elapsed().as_secs_f64() * 1e3 / f64::from(columns * rows)
    );
    grid.save(out).unwrap();
}
