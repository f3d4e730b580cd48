//! Policies that training runs made, loaded when a document asks for one.

use std::sync::Arc;

use illumine_agent::policy::Policy;
use illumine_agent::policy::burn::BurnPolicy;
use illumine_store::Store;
use illumine_store::queue::JobFailure;
use illumine_types::Problem;
use illumine_types::training::PolicyChoice;
use tokio::sync::Mutex;

use super::training::checkpoint;

/// The one that was asked for last stays in memory.
#[derive(Default)]
pub struct TrainedPolicies(Mutex<Option<(PolicyChoice, Arc<BurnPolicy>)>>);

impl TrainedPolicies {
    /// Brings a checkpoint here and loads it, unless it is loaded.
    pub async fn open(
        &self,
        store: &Store,
        choice: &PolicyChoice,
        device: &str,
    ) -> Result<Arc<dyn Policy>, JobFailure> {
        // Held while it loads: others wait for the same one.
        let mut loaded = self.0.lock().await;
        if let Some((name, policy)) = &*loaded
            && name == choice
        {
            return Ok(Arc::clone(policy) as _);
        }
        // Room for the new one; documents that are being written keep the old.
        *loaded = None;
        let folder = checkpoint(store, choice).await?;
        let (name, device) = (choice.name(), device.to_owned());
        let opened = tokio::task::spawn_blocking(move || {
            let path = folder.path().to_string_lossy().into_owned();
            let policy = BurnPolicy::load(&path, &device)?;
            Ok::<_, illumine_agent::policy::PolicyError>((policy, folder))
        });
        let failed = |reason: String| {
            let title = "The trained policy cannot be loaded";
            JobFailure::permanent(Problem::new("policy_unavailable", title, reason))
        };
        let opened = opened.await.map_err(|error| failed(error.to_string()))?;
        let (policy, _folder) = opened.map_err(|error| failed(error.to_string()))?;
        let summary = format!("trained here: {name}");
        let policy = Arc::new(policy.named(&name, &summary));
        *loaded = Some((choice.clone(), Arc::clone(&policy)));
        Ok(policy as _)
    }
}
