//! Brotli and gzip, slowly and well: it is done once.

use std::io::Write;

use anyhow::Result;

const BROTLI_QUALITY: u32 = 11;
const BROTLI_WINDOW_BITS: u32 = 22;

pub fn brotli(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    let mut writer =
        brotli::CompressorWriter::new(&mut out, 4096, BROTLI_QUALITY, BROTLI_WINDOW_BITS);
    writer.write_all(bytes)?;
    drop(writer);
    Ok(out)
}

pub fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    writer.write_all(bytes)?;
    Ok(writer.finish()?)
}

/// Whether compressing helps: pictures and fonts are compressed already.
pub fn helps(path: &str) -> bool {
    [
        ".html",
        ".css",
        ".js",
        ".wasm",
        ".svg",
        ".json",
        ".txt",
        ".webmanifest",
    ]
    .iter()
    .any(|extension| path.ends_with(extension))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn what_is_compressed_comes_back() {
        let text = b"illuminated ".repeat(200);
        let mut back = Vec::new();
        brotli::Decompressor::new(brotli(&text).unwrap().as_slice(), 4096)
            .read_to_end(&mut back)
            .unwrap();
        assert_eq!(back, text);
        back.clear();
        flate2::read::GzDecoder::new(gzip(&text).unwrap().as_slice())
            .read_to_end(&mut back)
            .unwrap();
        assert_eq!(back, text);
        assert!(brotli(&text).unwrap().len() < text.len());
    }
}
