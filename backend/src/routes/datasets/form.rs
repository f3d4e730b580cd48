//! The form of an upload: its files are written to a folder here as they arrive.

use std::path::PathBuf;

use actix_multipart::{Field, Multipart};
use actix_web::HttpRequest;
use actix_web::web::Payload;
use futures::StreamExt;
use illumine_types::dataset::{DatasetFile, NAME_CHARACTERS, UPLOAD_FILES};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;

use crate::body::{self, BodyType};
use crate::error::{ApiError, Result};
use crate::multipart::broken;

/// Bytes of a form beyond those of its files.
const FRAME: usize = 1 << 20;
/// Bytes of the text part: enough for the longest name.
const TEXT: usize = 4 * NAME_CHARACTERS;
/// Characters of a file's name that are kept.
const FILE_NAME: usize = 120;

/// What was sent, as it lies here: `files/000.jsonl`, …
pub struct Upload {
    pub name: String,
    pub files: Vec<Uploaded>,
    /// Removed with this.
    pub folder: TempDir,
}

/// One file.
pub struct Uploaded {
    /// As the uploader called it, without folders.
    pub name: String,
    pub path: PathBuf,
    pub bytes: u64,
}

impl Upload {
    /// Reads the whole form; its files may have `limit` bytes together.
    ///
    /// # Errors
    /// 415 for another type, 413 above the limit, 422 with the field at fault, 400 for a
    /// broken form.
    pub async fn read(request: &HttpRequest, payload: Payload, limit: usize) -> Result<Self> {
        if body::body_type(request.headers())? != BodyType::Multipart {
            return Err(ApiError::UnsupportedMediaType(
                "send `multipart/form-data` with fields `name` and `file`",
            ));
        }
        body::check_length(request.headers(), limit + FRAME)?;
        let folder = tempfile::Builder::new()
            .prefix("illumine-upload-")
            .tempdir()
            .map_err(ApiError::internal)?;
        for part in ["files", "rows"] {
            std::fs::create_dir(folder.path().join(part)).map_err(ApiError::internal)?;
        }
        let mut name = None;
        let mut upload = Self {
            name: String::new(),
            files: Vec::new(),
            folder,
        };
        let mut left = limit;
        let mut parts = Multipart::new(request.headers(), payload);
        while let Some(part) = parts.next().await {
            let mut part = part.map_err(|error| broken(&error))?;
            match part.name().unwrap_or_default() {
                "name" if name.is_some() => {
                    return Err(ApiError::value("name", "this field is given twice"));
                }
                "name" => name = Some(text(&mut part).await?),
                "file" | "file[]" => upload.file(&mut part, limit, &mut left).await?,
                other => {
                    let field: String = other.chars().take(64).collect();
                    let detail = format!("there is no field `{field}`: known are name, file");
                    return Err(ApiError::UnknownField { field, detail });
                }
            }
        }
        upload.name = checked_name(name)?;
        if upload.files.is_empty() {
            let field = "file".to_owned();
            return Err(ApiError::MissingField { field });
        }
        Ok(upload)
    }

    async fn file(&mut self, part: &mut Field, limit: usize, left: &mut usize) -> Result<()> {
        let index = self.files.len();
        let field = format!("file[{index}]");
        let refuse = |detail: String| Err(ApiError::value(field.clone(), detail));
        if index >= UPLOAD_FILES {
            return refuse(format!("at most {UPLOAD_FILES} files are taken"));
        }
        let given = part.content_disposition();
        let given = given.and_then(|given| given.get_filename());
        let name = base_name(given.unwrap_or_default());
        let Some(stored) = DatasetFile::stored_as(&name, index) else {
            return refuse(format!(
                "`{name}` is neither a .parquet nor a .jsonl file: these two are taken"
            ));
        };
        if self.files.iter().any(|file| file.name == name) {
            return refuse(format!("there are two files of the name `{name}`"));
        }
        let path = self.folder.path().join(stored);
        let mut file = tokio::fs::File::create(&path)
            .await
            .map_err(ApiError::internal)?;
        let mut bytes = 0;
        while let Some(chunk) = part.next().await {
            let chunk = chunk.map_err(|error| broken(&error))?;
            *left = left
                .checked_sub(chunk.len())
                .ok_or_else(|| ApiError::PayloadTooLarge {
                    limit_bytes: limit,
                    field: Some(field.clone()),
                })?;
            file.write_all(&chunk).await.map_err(ApiError::internal)?;
            bytes += chunk.len() as u64;
        }
        file.flush().await.map_err(ApiError::internal)?;
        self.files.push(Uploaded { name, path, bytes });
        Ok(())
    }
}

async fn text(part: &mut Field) -> Result<String> {
    let mut bytes = Vec::new();
    while let Some(chunk) = part.next().await {
        let chunk = chunk.map_err(|error| broken(&error))?;
        if bytes.len() + chunk.len() > TEXT {
            return Err(unnamed());
        }
        bytes.extend_from_slice(&chunk);
    }
    String::from_utf8(bytes).map_err(|_| ApiError::value("name", "this is not UTF-8 text"))
}

fn checked_name(name: Option<String>) -> Result<String> {
    let name = name.ok_or_else(|| ApiError::MissingField {
        field: "name".to_owned(),
    })?;
    let name = name.trim();
    let readable = !name.is_empty() && !name.contains(char::is_control);
    if !readable || name.chars().count() > NAME_CHARACTERS {
        return Err(unnamed());
    }
    Ok(name.to_owned())
}

fn unnamed() -> ApiError {
    let detail = format!("give 1 to {NAME_CHARACTERS} characters on one line");
    ApiError::value("name", detail)
}

/// What follows the last separator of either kind, on one line, not too long: the end
/// stays, which says what the file is.
fn base_name(given: &str) -> String {
    let name = given.rsplit(['/', '\\']).next().unwrap_or_default();
    let name: Vec<char> = name.chars().filter(|c| !c.is_control()).collect();
    let from = name.len().saturating_sub(FILE_NAME);
    name.into_iter().skip(from).collect()
}

#[cfg(test)]
mod tests {
    use actix_web::FromRequest as _;
    use actix_web::test::TestRequest;

    use super::*;

    async fn sent(body: &str, limit: usize) -> Result<Upload> {
        let body = body.replace('\n', "\r\n");
        let (request, mut payload) = TestRequest::post()
            .insert_header(("content-type", "multipart/form-data; boundary=x"))
            .set_payload(body)
            .to_http_parts();
        let payload = Payload::from_request(&request, &mut payload).await;
        Upload::read(&request, payload.unwrap(), limit).await
    }

    fn form(files: &[(&str, &str)]) -> String {
        let mut body = "--x\nContent-Disposition: form-data; name=\"name\"\n\nOwls\n".to_owned();
        for (name, content) in files {
            body.push_str(&format!(
                "--x\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\n\n{content}\n"
            ));
        }
        body + "--x--\n"
    }

    #[actix_web::test]
    async fn the_limit_is_of_all_files_together() {
        let files = [("a.jsonl", "12345"), ("b.jsonl", "6789")];
        let upload = sent(&form(&files), 9).await.unwrap();
        let sizes: Vec<u64> = upload.files.iter().map(|file| file.bytes).collect();
        assert_eq!((upload.name.as_str(), sizes), ("Owls", vec![5, 4]));
        let read = std::fs::read(&upload.files[1].path).unwrap();
        assert_eq!(read, b"6789");
        let folder = upload.folder.path().to_owned();
        drop(upload);
        assert!(!folder.exists());
        let told = sent(&form(&files), 8).await.err().unwrap().problem();
        assert_eq!(told.code, "payload_too_large");
        assert_eq!(told.field.as_deref(), Some("file[1]"));
    }

    #[test]
    fn a_files_name_is_its_last_part() {
        assert_eq!(base_name("C:\\data\\rows.jsonl"), "rows.jsonl");
        assert_eq!(base_name("../../rows\n.jsonl"), "rows.jsonl");
        let long = base_name(&format!("{}.parquet", "x".repeat(500)));
        assert_eq!(long.chars().count(), FILE_NAME);
        assert!(long.ends_with("x.parquet"));
    }
}
