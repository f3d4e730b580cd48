//! From a run's settings to verl's (0.9, `verl/trainer/config/ppo_trainer.yaml`).

use illumine_types::JobId;
use illumine_types::training::{
    Activations, AdvantageScale, Aggregation, Algorithm, KlPlace, TrainingConfig,
};

/// What every run has, what models need of the machines, what starts it, and what
/// scores it: `infra/ray`.
pub const COMMON: &str = include_str!("../../../../../infra/ray/common.overrides");
const DENSE: &str = include_str!("../../../../../infra/ray/qwen3-4b-grpo.overrides");
const MIXTURE: &str = include_str!("../../../../../infra/ray/qwen3-30b-a3b-gspo.overrides");
const VISION: &str = include_str!("../../../../../infra/ray/qwen2.5-vl-7b-grpo.overrides");
pub const START: &str = include_str!("../../../../../infra/ray/train.sh");
pub const REWARD: &str = include_str!("../../../../../infra/ray/reward.py");

/// Of `data.max_prompt_length` in [`COMMON`].
const PROMPT_TOKENS: u32 = 4096;
/// verl wants a bound of the dual clip; this one never binds.
const NO_DUAL_CLIP: f64 = 1e6;

/// What the machines are to do for a model, by its name: a mixture of experts, one that
/// sees, or a plain one.
pub fn machines(model: &str) -> &'static str {
    let name = model.to_ascii_lowercase();
    let has = |word: &str| name.split(['-', '_', '/', '.']).any(|part| part == word);
    let is_mixture = has("moe")
        || name.split(['-', '_', '/']).any(|part| {
            part.len() > 2
                && part.starts_with('a')
                && part.ends_with('b')
                && part[1..part.len() - 1].parse::<f64>().is_ok()
        });
    match (has("vl"), is_mixture) {
        (_, true) => MIXTURE,
        (true, false) => VISION,
        (false, false) => DENSE,
    }
}

/// The run's own overrides, one `key=value` each, in Hydra's grammar. The configuration
/// was checked by [`TrainingConfig::check_for_ray`].
///
/// `time_limit_s` goes to the reward function; verl knows nothing like `samples_every`
/// and `most_excluded`.
pub fn overrides(config: &TrainingConfig, run: &JobId) -> Vec<String> {
    let settings = &config.settings;
    let mut all = Vec::new();
    let mut set = |key: &str, value: String| all.push(format!("{key}={value}"));
    let actor = "actor_rollout_ref.actor";
    let rollout = "actor_rollout_ref.rollout";

    set("actor_rollout_ref.model.path", quoted(&config.model));
    set(
        "data.train_batch_size",
        settings.prompts_per_step.to_string(),
    );
    set(
        "data.max_response_length",
        settings.max_answer_tokens.to_string(),
    );
    set("data.seed", settings.seed.to_string());
    set(
        "data.val_max_samples",
        settings.validation_prompts.to_string(),
    );

    let mode = match config.algorithm {
        Algorithm::Grpo => "vanilla",
        Algorithm::Gspo => "gspo",
    };
    set(&format!("{actor}.policy_loss.loss_mode"), mode.into());
    let scale = settings.advantage_scale == AdvantageScale::Deviation;
    set("algorithm.norm_adv_by_std_in_grpo", scale.to_string());
    let aggregation = match settings.aggregation {
        Aggregation::TokenMean => "token-mean",
        Aggregation::SeqMeanTokenMean => "seq-mean-token-mean",
        Aggregation::SeqMeanTokenSumNorm => "seq-mean-token-sum-norm",
    };
    set(&format!("{actor}.loss_agg_mode"), aggregation.into());
    set(&format!("{actor}.clip_ratio"), real(settings.clip_high));
    set(&format!("{actor}.clip_ratio_low"), real(settings.clip_low));
    set(
        &format!("{actor}.clip_ratio_high"),
        real(settings.clip_high),
    );
    let dual = settings.dual_clip.unwrap_or(NO_DUAL_CLIP);
    set(&format!("{actor}.clip_ratio_c"), real(dual));
    set(
        &format!("{actor}.entropy_coeff"),
        real(settings.entropy_weight),
    );
    let weighs = settings.kl_weight != 0.0;
    let in_loss = weighs && settings.kl_in == KlPlace::Loss;
    set(&format!("{actor}.use_kl_loss"), in_loss.to_string());
    set(&format!("{actor}.kl_loss_coef"), real(settings.kl_weight));
    let in_reward = weighs && settings.kl_in == KlPlace::Reward;
    set("algorithm.use_kl_in_reward", in_reward.to_string());
    set("algorithm.kl_ctrl.kl_coef", real(settings.kl_weight));

    set(&format!("{actor}.ppo_epochs"), settings.epochs.to_string());
    let minibatch = settings.prompts_per_step / settings.minibatches.max(1);
    set(
        &format!("{actor}.ppo_mini_batch_size"),
        minibatch.to_string(),
    );
    // verl refuses a limit that one answer alone could exceed.
    let longest = PROMPT_TOKENS.saturating_add(settings.max_answer_tokens);
    let tokens = settings.tokens_per_micro_batch.max(longest);
    set(
        &format!("{actor}.ppo_max_token_len_per_gpu"),
        tokens.to_string(),
    );
    set(
        &format!("{actor}.data_loader_seed"),
        settings.seed.to_string(),
    );
    set(&format!("{actor}.optim.lr"), real(settings.learning_rate));
    set(
        &format!("{actor}.optim.lr_warmup_steps"),
        settings.warmup_steps.to_string(),
    );
    let model = "actor_rollout_ref.model";
    let recomputes = settings.activations == Activations::Recompute;
    set(
        &format!("{model}.enable_gradient_checkpointing"),
        recomputes.to_string(),
    );
    set(
        &format!("{model}.lora_rank"),
        settings.lora_rank.to_string(),
    );
    // verl takes a whole number.
    let alpha = settings.lora_alpha.round();
    set(&format!("{model}.lora_alpha"), format!("{alpha:.0}"));
    set(
        &format!("{actor}.optim.weight_decay"),
        real(settings.weight_decay),
    );
    set(
        &format!("{actor}.optim.clip_grad"),
        real(settings.max_grad_norm),
    );
    set(&format!("{actor}.grad_clip"), real(settings.max_grad_norm));

    set(&format!("{rollout}.n"), settings.samples.to_string());
    set(
        &format!("{rollout}.temperature"),
        real(settings.temperature),
    );
    set(&format!("{rollout}.seed"), settings.seed.to_string());

    set("trainer.experiment_name", quoted(run.as_str()));
    set("trainer.total_training_steps", settings.steps.to_string());
    // An epoch has a step or more: so many never end a run early.
    set("trainer.total_epochs", settings.steps.to_string());
    set("trainer.save_freq", settings.checkpoint_every.to_string());
    set(
        "trainer.max_actor_ckpt_to_keep",
        settings.keep_checkpoints.to_string(),
    );
    let validates = settings.validate_every > 0;
    let every = match validates {
        true => settings.validate_every.to_string(),
        false => "-1".into(),
    };
    set("trainer.test_freq", every);
    set("trainer.val_before_train", validates.to_string());
    all
}

/// With a point or an exponent, so that it is read as no whole number.
fn real(value: f64) -> String {
    format!("{value:?}")
}

/// [`TrainingConfig::check_for_ray`] lets nothing pass that would need an escape.
fn quoted(text: &str) -> String {
    format!("'{text}'")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Write;
    use std::path::{Path, PathBuf};
    use std::process::{Command, Stdio};

    use illumine_types::training::Preset;
    use serde_json::{Value, json};

    use super::*;

    fn run() -> JobId {
        JobId::parse("run_01J9ZD1N7H0000000000000000").unwrap()
    }

    fn map(config: &TrainingConfig) -> BTreeMap<String, String> {
        let all = overrides(config, &run());
        let pairs = all.iter().map(|one| one.split_once('=').unwrap());
        let map: BTreeMap<_, _> = pairs
            .map(|(key, value)| (key.into(), value.into()))
            .collect();
        assert_eq!(map.len(), all.len(), "a key is set twice");
        map
    }

    #[test]
    fn settings_that_differ_reach_verl() {
        let mut config = Preset::Qwen34bGrpo.config();
        config.settings.kl_weight = 0.01;
        config.settings.minibatches = 4;
        config.settings.lora_rank = 16;
        config.settings.validate_every = 0;
        config.settings.dual_clip = None;
        config.settings.advantage_scale = AdvantageScale::None;
        config.settings.max_answer_tokens = 30_000;
        let map = map(&config);
        for (key, value) in [
            ("actor_rollout_ref.actor.use_kl_loss", "true"),
            ("actor_rollout_ref.actor.kl_loss_coef", "0.01"),
            ("algorithm.use_kl_in_reward", "false"),
            ("actor_rollout_ref.actor.ppo_mini_batch_size", "32"),
            ("actor_rollout_ref.actor.clip_ratio_c", "1000000.0"),
            ("actor_rollout_ref.actor.ppo_max_token_len_per_gpu", "34096"),
            ("algorithm.norm_adv_by_std_in_grpo", "false"),
            ("actor_rollout_ref.model.lora_rank", "16"),
            ("actor_rollout_ref.model.lora_alpha", "32"),
            (
                "actor_rollout_ref.model.enable_gradient_checkpointing",
                "true",
            ),
            ("trainer.test_freq", "-1"),
            ("trainer.val_before_train", "false"),
        ] {
            assert_eq!(map[key], value, "{key}");
        }
        config.settings.kl_in = KlPlace::Reward;
        let map = self::map(&config);
        for (key, value) in [
            ("actor_rollout_ref.actor.use_kl_loss", "false"),
            ("algorithm.use_kl_in_reward", "true"),
            ("algorithm.kl_ctrl.kl_coef", "0.01"),
        ] {
            assert_eq!(map[key], value, "{key}");
        }
    }

    #[test]
    fn a_models_name_tells_what_it_needs() {
        for (model, machines_for) in [
            ("Qwen/Qwen3-4B-Instruct-2507", DENSE),
            ("/models/mine", DENSE),
            ("Qwen/Qwen3-30B-A3B-Instruct-2507", MIXTURE),
            ("Qwen/Qwen2.5-VL-7B-Instruct", VISION),
            ("/models/vlad-8b", DENSE),
        ] {
            assert_eq!(machines(model), machines_for, "{model}");
        }
    }

    #[test]
    fn the_limit_of_prompts_is_the_recipes() {
        let line = format!("data.max_prompt_length={PROMPT_TOKENS}");
        assert!(COMMON.lines().any(|found| found == line));
    }

    /// verl's own configuration takes every key and reads every value as it was meant.
    /// `cargo xtask test` installs it.
    #[test]
    fn every_presets_overrides_compose_with_verls_configuration() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let python = std::env::var_os("ILLUMINE_RAY_PYTHON")
            .map_or_else(|| root.join(".illumine/ray/bin/python"), PathBuf::from);
        assert!(
            python.exists(),
            "no Python at {}: `cargo xtask test` sets it up, or name one that has `verl` in ILLUMINE_RAY_PYTHON",
            python.display()
        );
        for preset in [
            Preset::Qwen34bGrpo,
            Preset::Qwen330bA3bGspo,
            Preset::Qwen25Vl7bGrpo,
        ] {
            let config = preset.config();
            let composed = compose(&python, &config);
            let actor = &composed["actor_rollout_ref"]["actor"];
            let settings = &config.settings;
            assert_eq!(composed["actor_rollout_ref"]["model"]["path"], config.model);
            assert_eq!(actor["clip_ratio_low"], settings.clip_low);
            assert_eq!(actor["clip_ratio_high"], settings.clip_high);
            assert_eq!(actor["optim"]["lr"], settings.learning_rate);
            assert_eq!(composed["actor_rollout_ref"]["rollout"]["n"], 8);
            assert_eq!(
                composed["actor_rollout_ref"]["rollout"]["response_length"],
                8192
            );
            assert_eq!(composed["trainer"]["total_training_steps"], 400);
            assert_eq!(composed["trainer"]["logger"], json!(["console"]));
            assert_eq!(
                composed["reward"]["custom_reward_function"]["path"],
                "reward.py"
            );
            let (mode, aggregation) = match config.algorithm {
                Algorithm::Grpo => ("vanilla", "token-mean"),
                Algorithm::Gspo => ("gspo", "seq-mean-token-mean"),
            };
            assert_eq!(actor["policy_loss"]["loss_mode"], mode);
            assert_eq!(actor["loss_agg_mode"], aggregation);
        }
    }

    fn compose(python: &Path, config: &TrainingConfig) -> Value {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../infra/ray/");
        let mut child = Command::new(python)
            .arg(format!("{root}check.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let own = overrides(config, &run()).join("\n");
        let all = format!("{COMMON}\n{}\n{own}\n", machines(&config.model));
        child
            .stdin
            .take()
            .unwrap()
            .write_all(all.as_bytes())
            .unwrap();
        let done = child.wait_with_output().unwrap();
        let told = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{told}");
        serde_json::from_slice(&done.stdout).unwrap()
    }
}
