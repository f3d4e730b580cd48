//! What an answer is worth: its pictures are drawn as those of a document would be, then it
//! is scored as in training. Nothing of it is kept.

use std::sync::Arc;

use illumine_agent::policy::given::GivenAnswer;
use illumine_agent::{Agent, GenerationInput, MemoryPictures, NoEvents, PictureStore};
use illumine_rewards::{ImageCount, Requirement, Sample, Score, Verdict};
use illumine_store::queue::{JobContext, JobFailure};
use illumine_types::api::GenerationOptions;
use illumine_types::reward::{RewardAnswer, RewardPicture, RewardRequest, RewardVerdict};
use illumine_types::{Document, EventKind, JobId, Problem};

use super::{Workshop, inputs, request};

pub async fn run(workshop: &Workshop, job: &JobContext) -> Result<(), JobFailure> {
    let asked: RewardRequest = request(job)?;
    let image_num = ImageCount::try_from(asked.image_num)
        .map_err(|error| refused("image_num", error.to_string()))?;
    let scorer = workshop
        .scorer(&asked.factors)
        .map_err(|error| refused("factors", format!("{error:#}")))?;
    let pictures = Arc::new(MemoryPictures::default());
    let mut given = Vec::new();
    for (picture, _) in inputs::read(job, &asked.images).await? {
        let kept = pictures.put(&picture).await;
        given.push(kept.map_err(|error| unscored("storage_failed", error.to_string()))?);
    }
    let agent = Agent::new(
        Arc::new(GivenAnswer::new(asked.answer)),
        workshop.tools(),
        workshop.settings().clone(),
    );
    let input = GenerationInput {
        id: job.id.clone(),
        prompt: asked.question,
        inputs: given,
        options: GenerationOptions {
            seed: asked.seed,
            ..GenerationOptions::default()
        },
        created_at: chrono::Utc::now(),
        queued_ms: u64::try_from(job.queued.as_millis()).unwrap_or(u64::MAX),
    };
    let kept: Arc<dyn PictureStore> = Arc::clone(&pictures) as _;
    let document = agent
        .generate(&input, &NoEvents, kept, job.cancel.clone())
        .await
        .map_err(|error| unscored(error.code(), error.to_string()))?;
    let requires = Requirement {
        image_num,
        tools: asked.tools,
    };
    let sample = Sample::from_document(&document, requires, &*pictures).await;
    let score = scorer
        .score(&sample)
        .await
        .map_err(|error| unscored(error.code(), error.to_string()))?;
    let event = EventKind::Scored {
        score: Box::new(answer(&job.id, &score, &document)?),
    };
    job.store
        .events()
        .publish(&job.id, job.attempt, event)
        .await?;
    Ok(())
}

fn answer(id: &JobId, score: &Score, document: &Document) -> Result<RewardAnswer, JobFailure> {
    Ok(RewardAnswer {
        id: id.clone(),
        verdict: match score.verdict.clone() {
            Verdict::Scored { reward } => RewardVerdict::Scored { reward },
            Verdict::Excluded { code, reason } => RewardVerdict::Excluded { code, reason },
        },
        breakdown: serde_json::to_value(&score.breakdown)
            .map_err(|error| unscored("score_unwritable", error.to_string()))?,
        pictures: document
            .images()
            .map(|image| RewardPicture {
                call: image.call.clone(),
                outcome: image.outcome.clone(),
            })
            .collect(),
    })
}

fn refused(field: &str, reason: impl Into<String>) -> JobFailure {
    let title = "The answer cannot be scored";
    JobFailure::permanent(Problem::new("invalid_value", title, reason).with_field(field))
}

fn unscored(code: &str, reason: impl Into<String>) -> JobFailure {
    JobFailure::permanent(Problem::new(code, "The answer was not scored", reason))
}
