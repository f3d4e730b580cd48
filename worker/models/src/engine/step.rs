//! The engine's loop, on its own thread.

use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Instant;

use super::handle::Shared;
use super::lane::{Lane, of_another_model};
use super::metrics::{Metrics, Rate};
use super::model::EngineModel;
use super::module::Module;
use super::module_lane::ModuleLane;
use super::scheduler::Scheduler;
use super::sequence::{Sequence, Submitted, Vocabulary};
use super::together::Together;
use crate::error::{ModelError, Result};
use crate::lora::AdapterId;
use crate::qwen3::cpu::{CpuDecoder, Scratch};

/// Serves requests until no handle is left and the last one has ended.
pub(super) fn run(mut scheduler: Scheduler<'_>, requests: &Receiver<Submitted>, shared: &Shared) {
    let mut scratch = Scratch::default();
    let mut vocabulary = Vocabulary::default();
    let mut batches = Together::new(&scheduler.model.folder().config);
    let mut totals = Metrics {
        kv_budget_bytes: scheduler.budget.bytes,
        ..Metrics::default()
    };
    let mut rate = Rate::default();
    loop {
        let is_idle =
            |scheduler: &Scheduler<'_>| scheduler.active.is_empty() && scheduler.waiting.is_empty();
        let wait = is_idle(&scheduler);
        // The last handle may go right after its request came.
        if !receive(&mut scheduler, requests, wait) && is_idle(&scheduler) {
            return;
        }
        let cancelled = scheduler.take_ended();
        totals.prompt_tokens_total += scheduler.admit() as u64;
        fail_what_never_fits(&mut scheduler);
        scheduler.read_one_block(&mut scratch);
        totals.preemptions_total += scheduler.make_room_for_a_step();
        let written = step(&mut scheduler, &mut scratch, &mut batches, &mut vocabulary);

        let now = Instant::now();
        rate.add(now, written);
        totals.completion_tokens_total += written as u64;
        totals.tokens_per_s = rate.per_second(now);
        let mut ended = scheduler.take_ended();
        ended.extend(cancelled);
        count(&mut totals, &scheduler, &ended);
        // Whoever hears of an end may look at the figures.
        shared.publish(&totals);
        ended.into_iter().for_each(Sequence::finish);
    }
}

fn count(totals: &mut Metrics, scheduler: &Scheduler<'_>, ended: &[Sequence<'_>]) {
    totals.running = scheduler.active.len();
    totals.waiting = scheduler.waiting.len();
    totals.kv_used_bytes = scheduler.used();
    totals.kv_prefix_bytes = scheduler.prefix_bytes();
    totals.requests_total += ended.len() as u64;
    let cached = ended.iter().filter_map(|sequence| sequence.cached_tokens);
    totals.cache_hit_tokens_total += cached.sum::<usize>() as u64;
}

/// Takes what was submitted, waiting for it when there is nothing else to do.
/// False when no more can come.
fn receive(scheduler: &mut Scheduler<'_>, requests: &Receiver<Submitted>, wait: bool) -> bool {
    if wait {
        match requests.recv() {
            Ok(submitted) => enqueue(scheduler, submitted),
            Err(_) => return false,
        }
    }
    loop {
        match requests.try_recv() {
            Ok(submitted) => enqueue(scheduler, submitted),
            Err(TryRecvError::Empty) => return true,
            Err(TryRecvError::Disconnected) => return false,
        }
    }
}

fn enqueue(scheduler: &mut Scheduler<'_>, submitted: Submitted) {
    let sequence = Sequence::new(scheduler.model, submitted);
    scheduler.waiting.push_back(sequence);
}

/// Submission refuses what does not fit alone; were that ever wrong, a request
/// must not wait for ever.
fn fail_what_never_fits(scheduler: &mut Scheduler<'_>) {
    if scheduler.active.is_empty()
        && let Some(first) = scheduler.waiting.front_mut()
    {
        first.fail(ModelError::Engine(
            "it has no room for the request".to_owned(),
        ));
    }
}

/// Writes one token of every answer whose prompt is read; returns how many.
fn step(
    scheduler: &mut Scheduler<'_>,
    scratch: &mut Scratch,
    batches: &mut Together,
    vocabulary: &mut Vocabulary,
) -> usize {
    let model = scheduler.model;
    let mut writing: Vec<&mut Sequence<'_>> = scheduler
        .active
        .iter_mut()
        .filter_map(|sequence| (!sequence.is_reading() && !sequence.is_over()).then_some(sequence))
        .collect();
    if writing.is_empty() {
        // Nobody is left whose rows they are.
        batches.keep(&[]);
        return 0;
    }
    let outcome = match model.decoder() {
        Some(decoder) => step_together(model, decoder, &mut writing, scratch, vocabulary),
        None => step_batches(model, &mut writing, batches, vocabulary),
    };
    match outcome {
        Ok(written) => written,
        Err(error) => {
            // Nothing tells whose fault it was.
            let reason = error.to_string();
            for sequence in writing {
                sequence.fail(ModelError::Engine(reason.clone()));
            }
            0
        }
    }
}

fn step_together(
    model: &EngineModel,
    decoder: &CpuDecoder,
    writing: &mut [&mut Sequence<'_>],
    scratch: &mut Scratch,
    vocabulary: &mut Vocabulary,
) -> Result<usize> {
    let tokens: Vec<u32> = writing
        .iter()
        .map(|sequence| sequence.next_token())
        .collect();
    let (mut caches, adapters): (Vec<_>, Vec<_>) = writing
        .iter_mut()
        .filter_map(|sequence| match &mut sequence.lane {
            Lane::Paged(paged) => Some(paged.parts()),
            Lane::Module(_) => None,
        })
        .unzip();
    let logits = decoder.step_adapted(&tokens, &mut caches, &adapters, scratch)?;
    let rows = logits.chunks_exact(decoder.config().vocab_size);
    let written = writing
        .iter_mut()
        .zip(rows)
        .filter_map(|(sequence, row)| sequence.choose(model, vocabulary, row).then_some(()));
    Ok(written.count())
}

/// Steps the sequences of each adapter together, by the module.
fn step_batches(
    model: &EngineModel,
    writing: &mut [&mut Sequence<'_>],
    batches: &mut Together,
    vocabulary: &mut Vocabulary,
) -> Result<usize> {
    let vocab = model.folder().config.vocab_size;
    let id_of = |sequence: &Sequence<'_>| match &sequence.lane {
        Lane::Module(lane) => lane.adapter_id(),
        Lane::Paged(_) => None,
    };
    let mut adapters: Vec<Option<AdapterId>> = Vec::new();
    for id in writing.iter().map(|sequence| id_of(sequence)) {
        if !adapters.contains(&id) {
            adapters.push(id);
        }
    }
    batches.keep(&adapters);
    let mut written = 0;
    for id in adapters {
        let mut of_adapter: Vec<_> = writing
            .iter_mut()
            .filter(|sequence| id_of(sequence) == id)
            .collect();
        let tokens: Vec<u32> = of_adapter
            .iter()
            .map(|sequence| sequence.next_token())
            .collect();
        let mut lanes: Vec<&mut ModuleLane> = of_adapter
            .iter_mut()
            .filter_map(|sequence| match &mut sequence.lane {
                Lane::Module(lane) => Some(&mut **lane),
                Lane::Paged(_) => None,
            })
            .collect();
        if lanes.len() != tokens.len() {
            return Err(of_another_model());
        }
        let adapter = lanes.first().and_then(|lane| lane.adapter()).cloned();
        let module = Module::of(model, adapter.as_ref())?;
        let logits = batches.step(id, module, &mut lanes, &tokens)?;
        for (sequence, row) in of_adapter.iter_mut().zip(logits.chunks_exact(vocab)) {
            written += usize::from(sequence.choose(model, vocabulary, row));
        }
    }
    Ok(written)
}
