//! What of a configuration a run on Ray can follow.

use super::resolve::FieldError;
use super::settings::TrainingConfig;
use super::{DEMO_MODEL, PolicyChoice};

impl TrainingConfig {
    /// Checks what `engine: ray` asks beyond [`Self::validate`]: verl trains models
    /// that the cluster's machines can open, and does not know every setting of ours.
    ///
    /// # Errors
    /// The first field that cannot be used.
    pub fn check_for_ray(&self) -> Result<(), FieldError> {
        let refuse = |field: &str, reason: &str| {
            Err(FieldError {
                field: field.to_owned(),
                reason: reason.to_owned(),
            })
        };
        if self.model == DEMO_MODEL || PolicyChoice::parse(&self.model).is_some() {
            return refuse(
                "model",
                "on Ray, name a model of Hugging Face or a folder that every machine of the \
                 cluster has: `Qwen/Qwen3-4B-Instruct-2507`",
            );
        }
        let is_plain = |c: char| !c.is_control() && !matches!(c, '\'' | '"' | '\\' | '$');
        if !self.model.chars().all(is_plain) {
            return refuse(
                "model",
                "a model on Ray has no quotes, backslashes or `$` in its name",
            );
        }
        let settings = &self.settings;
        if settings.patience != 0 {
            return refuse(
                "settings.patience",
                "verl does not end a run early: give 0, or choose the engine `burn`",
            );
        }
        if !settings
            .prompts_per_step
            .is_multiple_of(settings.minibatches)
        {
            return refuse(
                "settings.minibatches",
                "on Ray it must divide `prompts_per_step`",
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::training::{Engine, Preset};

    #[test]
    fn the_presets_of_the_paper_can_be_trained_on_ray() {
        let on_ray = Preset::ALL.map(Preset::config);
        let on_ray: Vec<_> = on_ray.iter().filter(|c| c.engine == Engine::Ray).collect();
        assert_eq!(on_ray.len(), 3);
        for config in on_ray {
            config.check_for_ray().unwrap();
        }
    }

    #[test]
    fn what_verl_cannot_follow_is_refused_by_its_field() {
        type Change = fn(&mut TrainingConfig);
        let cases: [(&str, Change); 6] = [
            ("model", |c| c.model = "demo".into()),
            ("model", |c| {
                c.model = "run_01J9ZD1N7H0000000000000000/step-000010".into();
            }),
            ("model", |c| c.model = "x' trainer.logger=[wandb]".into()),
            ("model", |c| c.model = "${oc.env:HOME}".into()),
            ("settings.patience", |c| c.settings.patience = 2),
            ("settings.minibatches", |c| c.settings.minibatches = 7),
        ];
        for (field, change) in cases {
            let mut config = Preset::Qwen34bGrpo.config();
            change(&mut config);
            assert_eq!(config.check_for_ray().unwrap_err().field, field);
        }
    }
}
