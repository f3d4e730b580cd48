use illumine_types::training::TrainingRun;
use leptos::prelude::*;
use leptos_router::NavigateOptions;
use leptos_router::hooks::use_navigate;

use super::session::RunSession;
use crate::components::icon::{Glyph, Icon};
use crate::components::moment::Moment;
use crate::components::status::Complaint;
use crate::components::training::badge::StateBadge;
use crate::components::training::confirm::Confirm;
use crate::state::chart::number;
use crate::state::training::words::{algorithm_name, engine_name};

/// How far the run is, what is wrong with it, and what can be done.
#[component]
pub fn Header() -> impl IntoView {
    let session = expect_context::<RunSession>();
    let name = Memo::new(move |_| {
        let run = session.run.read();
        run.as_ref().map(|run| run.config.name.clone())
    });
    let lost = session.connection_lost;
    view! {
        <header class="run-header">
            <p class="crumb"><a href="/training">"Training"</a></p>
            <div class="training-head">
                <h1>{name}</h1>
                <Actions/>
            </div>
            <Facts/>
            <Complaint words=session.complaint/>
            <Alarm/>
            <div role="status">
                <Show when=move || lost.get()>
                    <p class="notice">"The connection was lost. It continues here as soon as it is back."</p>
                </Show>
            </div>
        </header>
    }
}

#[component]
fn Facts() -> impl IntoView {
    let session = expect_context::<RunSession>();
    move || {
        let run = session.run.read();
        run.as_ref().map(|run| {
            let TrainingRun { job, config, summary } = run;
            let best = summary.best_reward.map(|best| {
                let at = summary.best_step.map(|step| format!(", after step {step}"));
                format!("best reward {}{}", number(best), at.unwrap_or_default())
            });
            let last = summary.reward.map(|reward| format!("last reward {}", number(reward)));
            let with = format!("{} on {}", algorithm_name(config.algorithm), engine_name(config.engine));
            view! {
                <ul class="facts run-facts">
                    <li><StateBadge state=job.status/></li>
                    <li data-testid="run-step">{format!("step {} of {}", summary.step, config.settings.steps)}</li>
                    {best.map(|best| view! { <li>{best}</li> })}
                    {last.map(|last| view! { <li>{last}</li> })}
                    <li>{with}</li>
                    <li>{config.model.clone()}</li>
                    <li><Moment at=job.created_at/></li>
                </ul>
            }
        })
    }
}

/// What is wrong now, or why the run has failed.
#[component]
fn Alarm() -> impl IntoView {
    let session = expect_context::<RunSession>();
    let alarm = Memo::new(move |_| {
        let run = session.run.read();
        let run = run.as_ref()?;
        let problem = run.job.error.as_ref();
        let failed = problem.map(|problem| (problem.title.clone(), problem.detail.clone()));
        let waits = run.summary.alarm.clone().map(|alarm| {
            let title = if run.job.status.is_final() {
                "Why it stopped"
            } else {
                "The run needs you"
            };
            (title.to_owned(), alarm)
        });
        waits.or(failed)
    });
    move || {
        alarm.get().map(|(title, words)| {
            view! {
                <section class="notice failed" role="alert" data-testid="run-alarm">
                    <Icon glyph=Glyph::Alert/>
                    <div><h2>{title}</h2><p>{words}</p></div>
                </section>
            }
        })
    }
}

#[component]
fn Actions() -> impl IntoView {
    let session = expect_context::<RunSession>();
    let navigate = StoredValue::new_local(use_navigate());
    let ended = Memo::new(move |_| {
        session
            .status()
            .is_some_and(illumine_types::JobState::is_final)
    });
    // A run that has made all its steps has nothing to go on with.
    let unfinished = Memo::new(move |_| {
        let run = session.run.read();
        run.as_ref()
            .is_some_and(|run| run.summary.step < run.config.settings.steps)
    });
    let go = move |path: &str| {
        navigate.with_value(|navigate| navigate(path, NavigateOptions::default()));
    };
    let resume = move |_| {
        session.resume(Callback::new(move |id: String| {
            go(&format!("/training/{id}"))
        }));
    };
    let delete = Callback::new(move |()| session.delete(Callback::new(move |()| go("/training"))));
    let stop = Callback::new(move |()| session.stop());
    view! {
        <div class="actions">
            <Show when=move || !ended.get()>
                <Confirm id="stop-run" glyph=Glyph::Stop label="Stop" question="Stop this run?"
                    words="It finishes the step under way and keeps a checkpoint. It can be resumed later."
                    keep="Let it run" busy=session.busy act=stop/>
            </Show>
            <Show when=move || ended.get() && unfinished.get()>
                <button type="button" class="button" data-testid="resume-run"
                    disabled=move || session.busy.get() on:click=resume>
                    <Icon glyph=Glyph::Play/>"Resume"
                </button>
            </Show>
            <Show when=move || ended.get()>
                <Confirm id="delete-run" glyph=Glyph::Trash label="Delete" question="Delete this run?"
                    words="Its checkpoints, its samples and all that it measured are removed for good."
                    keep="Keep it" danger=true busy=session.busy act=delete/>
            </Show>
        </div>
    }
}
