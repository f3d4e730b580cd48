//! Pictures that came with a request, which the backend stored before it queued the job.

use illumine_store::blobs::Blobs;
use illumine_store::queue::{JobContext, JobFailure};
use illumine_tools::Picture;
use illumine_types::api::InputImage;
use illumine_types::{BlobKey, ImageRef, Problem};

/// The pictures in order, each with its reference.
pub async fn read(
    job: &JobContext,
    images: &[InputImage],
) -> Result<Vec<(Picture, ImageRef)>, JobFailure> {
    let mut read = Vec::new();
    for (index, image) in images.iter().enumerate() {
        let InputImage::InputId(key) = image else {
            return Err(unreadable(
                index,
                "it was not stored before the job was queued",
            ));
        };
        read.push(one(job, index, key).await?);
    }
    Ok(read)
}

async fn one(
    job: &JobContext,
    index: usize,
    key: &BlobKey,
) -> Result<(Picture, ImageRef), JobFailure> {
    let path = Blobs::input_key(key);
    let bytes = job.store.blobs().get(&path).await?;
    let picture = illumine_guard::inspect(bytes, illumine_guard::PictureLimits::default())
        .await
        .map_err(|error| unreadable(index, &error.to_string()))?;
    let reference = ImageRef {
        url: format!("/api/v1/inputs/{key}"),
        id: key.clone(),
        mime: picture.mime.to_owned(),
        width: picture.width,
        height: picture.height,
    };
    Ok((picture, reference))
}

fn unreadable(index: usize, reason: &str) -> JobFailure {
    let detail = format!("input picture {index} cannot be used: {reason}");
    let problem = Problem::new(
        "input_unreadable",
        "An input picture cannot be used",
        detail,
    );
    JobFailure::permanent(problem.with_field(format!("images[{index}]")))
}
