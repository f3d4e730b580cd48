//! Tables of losses, and derivatives against finite differences.

use super::*;

const TOTALS: Totals = Totals {
    answers: 2,
    tokens: 5,
    limit: 10,
};

/// One token under GRPO: its loss, its derivative and whether it is clipped.
fn token(objective: &Objective, ratio: f64, advantage: f64) -> (f64, f64, bool) {
    let logp = [ratio.ln() as f32];
    let answer = AnswerTokens {
        logp: &logp,
        old_logp: &[0.0],
        reference: None,
        advantage,
    };
    let totals = Totals {
        answers: 1,
        tokens: 1,
        limit: 1,
    };
    let loss = answer_loss(objective, answer, totals);
    let gradient = f64::from(loss.gradient[0]);
    (loss.loss, gradient, loss.sums.clipped > 0.0)
}

#[test]
fn a_ratio_is_clipped_only_where_that_makes_the_loss_larger() {
    let objective = Objective {
        dual_clip: Some(3.0),
        ..Objective::grpo()
    };
    // (ratio, advantage) → loss, derivative by the log-probability, clipped
    let table = [
        ((1.0, 1.0), (-1.0, -1.0, false)),
        ((1.1, 2.0), (-2.2, -2.2, false)),
        ((1.5, 1.0), (-1.2, 0.0, true)),
        ((0.5, 1.0), (-0.5, -0.5, false)),
        ((0.5, -1.0), (0.8, 0.0, true)),
        ((1.5, -1.0), (1.5, 1.5, false)),
        ((4.0, -1.0), (3.0, 0.0, false)),
        ((1.0, 0.0), (0.0, 0.0, false)),
    ];
    for ((ratio, advantage), (loss, gradient, clipped)) in table {
        let ours = token(&objective, ratio, advantage);
        let near = |left: f64, right: f64| (left - right).abs() < 1e-5;
        assert!(
            near(ours.0, loss) && near(ours.1, gradient) && ours.2 == clipped,
            "{ratio}, {advantage}: {ours:?}"
        );
    }
}

#[test]
fn a_ratio_beyond_all_bounds_stays_a_number() {
    for (ratio, advantage) in [(1e30, -1.0), (1e-30, 1.0), (1e30, 1.0)] {
        let (loss, gradient, _) = token(&Objective::grpo(), ratio, advantage);
        assert!(
            loss.is_finite() && gradient.is_finite(),
            "{loss} {gradient}"
        );
    }
}

#[test]
fn aggregations_weigh_tokens_as_they_say() {
    let weight = |aggregation| token_weight(aggregation, 4, TOTALS);
    assert_eq!(weight(Aggregation::TokenMean), 0.2);
    assert_eq!(weight(Aggregation::SeqMeanTokenMean), 0.125);
    assert_eq!(weight(Aggregation::SeqMeanTokenSumNorm), 0.05);
}

#[test]
fn derivatives_are_those_of_finite_differences() {
    let logp = [-0.4_f32, -2.0, -1.1, -0.2];
    let (old, reference) = ([-0.5_f32, -1.6, -1.0, -0.9], [-1.0_f32, -1.9, -0.3, -0.4]);
    let weighted = |kl_estimate| Objective {
        kl_weight: 0.3,
        kl_estimate,
        ..Objective::grpo()
    };
    for (objective, advantage) in [
        (weighted(KlEstimate::K1), 0.7),
        (weighted(KlEstimate::K2), -0.7),
        (weighted(KlEstimate::K3), 0.4),
    ] {
        let loss = |logp: &[f32]| {
            let answer = AnswerTokens {
                logp,
                old_logp: &old,
                reference: Some(&reference),
                advantage,
            };
            answer_loss(&objective, answer, TOTALS)
        };
        let gradient = loss(&logp).gradient;
        for token in 0..logp.len() {
            let moved = |by: f32| {
                let mut moved = logp;
                moved[token] += by;
                loss(&moved).loss
            };
            let measured = (moved(1e-3) - moved(-1e-3)) / 2e-3;
            let ours = f64::from(gradient[token]);
            assert!(
                (measured - ours).abs() < 1e-3,
                "{token}: {measured}, {ours}"
            );
        }
    }
}

#[test]
fn a_divergence_in_the_reward_is_told_and_costs_no_loss() {
    let answer = AnswerTokens {
        logp: &[-1.0, -2.0],
        old_logp: &[-1.0, -2.0],
        reference: Some(&[-1.5, -1.0]),
        advantage: 0.5,
    };
    let with = |kl_weight, kl_in| Objective {
        kl_weight,
        kl_in,
        kl_estimate: KlEstimate::K1,
        ..Objective::grpo()
    };
    let none = answer_loss(&with(0.0, KlPlace::Loss), answer, TOTALS);
    let reward = with(0.1, KlPlace::Reward);
    assert_eq!(answer_loss(&reward, answer, TOTALS), none);
    let loss = with(0.1, KlPlace::Loss);
    assert_ne!(answer_loss(&loss, answer, TOTALS).gradient, none.gradient);
    assert!((none.sums.kl - -0.5).abs() < 1e-6);

    assert!(reward.rewards_nearness() && !loss.rewards_nearness());
    assert!(!with(0.0, KlPlace::Reward).rewards_nearness());
    // Σ (logp − ref), of K1; Σ (logp − ref)² / 2, of K2.
    let sum = |estimate| {
        let objective = Objective {
            kl_estimate: estimate,
            ..reward.clone()
        };
        objective.answer_divergence(answer.logp, &[-1.5, -1.0])
    };
    assert!((sum(KlEstimate::K1) - -0.5).abs() < 1e-6);
    assert!((sum(KlEstimate::K2) - 0.625).abs() < 1e-6);
}
