use illumine_types::training::TrainingSample;
use leptos::prelude::*;

use crate::state::chart::number;
use crate::state::training::score::{Explained, Judge, Term, Verdict};

/// Why an answer was worth what it was.
#[component]
pub fn Score(sample: TrainingSample) -> impl IntoView {
    let Explained {
        verdict,
        terms,
        absent,
        judges,
        facts,
    } = Explained::of(&sample);
    let (title, reason) = match verdict {
        Verdict::Scored(reward) => (format!("Reward {}", number(reward)), None),
        Verdict::Excluded(reason) => ("Left out of its group".to_owned(), Some(reason)),
        Verdict::Failed(reason) => ("No score".to_owned(), Some(reason)),
        Verdict::Unknown => (
            "No score".to_owned(),
            Some("The score could not be read.".to_owned()),
        ),
    };
    let facts = facts.into_iter().map(|(name, value)| {
        view! { <div><dt>{name}</dt><dd>{value}</dd></div> }
    });
    let absent = absent.into_iter().map(|(name, reason)| {
        view! { <li><strong>{name}</strong>{(!reason.is_empty()).then(|| format!(": {reason}"))}</li> }
    });
    let absent: Vec<_> = absent.collect();
    view! {
        <aside class="score" aria-label="Score" data-testid="score">
            <h3>{title}</h3>
            {reason.map(|reason| view! { <p class="score-reason">{reason}</p> })}
            {(!terms.is_empty()).then(|| view! { <Terms terms/> })}
            {(!absent.is_empty()).then(|| view! {
                <h4>"Does not apply"</h4><ul class="score-absent">{absent}</ul>
            })}
            {judges.into_iter().map(|judge| view! { <Judged judge/> }).collect_view()}
            <dl class="provenance">{facts.collect_view()}</dl>
        </aside>
    }
}

#[component]
fn Terms(terms: Vec<Term>) -> impl IntoView {
    let rows = terms.into_iter().map(|term| {
        view! {
            <tr>
                <th scope="row">{term.name}</th>
                <td class="right">{number(term.weight)}</td>
                <td class="right">{number(term.value)}</td>
                <td class="right">{number(term.contribution)}</td>
            </tr>
        }
    });
    view! {
        <div class="table-scroll" tabindex="0" role="region" aria-label="Terms of the reward">
            <table class="data-table">
                <thead><tr>
                    <th>"Term"</th>
                    <th class="right">"Weight"</th>
                    <th class="right">"Value"</th>
                    <th class="right">"Adds"</th>
                </tr></thead>
                <tbody>{rows.collect_view()}</tbody>
            </table>
        </div>
    }
}

#[component]
fn Judged(judge: Judge) -> impl IntoView {
    let value = judge.value.map(|value| format!(" {}", number(value)));
    let scores = judge.scores.into_iter().map(|(name, value)| {
        view! { <div><dt>{name}</dt><dd>{value}</dd></div> }
    });
    view! {
        <section class="score-judge">
            <h4 title=judge.by>{judge.name}{value}</h4>
            <dl class="provenance">{scores.collect_view()}</dl>
            {judge.words.map(|words| view! {
                <details><summary>"What it said"</summary><p class="score-words">{words}</p></details>
            })}
        </section>
    }
}
