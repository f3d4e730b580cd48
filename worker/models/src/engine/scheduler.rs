//! Who is read and written now, and who waits.

use std::collections::VecDeque;

use super::budget::KvBudget;
use super::config::EngineConfig;
use super::model::EngineModel;
use super::prefix::PrefixCache;
use super::sequence::Sequence;
use crate::qwen3::cpu::Scratch;

pub(super) struct Scheduler<'m> {
    pub(super) model: &'m EngineModel,
    pub(super) budget: KvBudget,
    pub(super) prefix: PrefixCache,
    /// In the order of arrival.
    pub(super) waiting: VecDeque<Sequence<'m>>,
    /// In the order of arrival, all before any that waits.
    pub(super) active: Vec<Sequence<'m>>,
    max_concurrency: usize,
    prefix_reuse: bool,
    /// Counts prompts' blocks, so that prompts take turns.
    turn: usize,
}

impl<'m> Scheduler<'m> {
    pub(super) fn new(model: &'m EngineModel, budget: KvBudget, config: &EngineConfig) -> Self {
        Self {
            model,
            budget,
            prefix: PrefixCache::default(),
            waiting: VecDeque::new(),
            active: Vec::new(),
            max_concurrency: config.max_concurrency.max(1),
            prefix_reuse: config.prefix_reuse,
            turn: 0,
        }
    }

    /// Takes out every sequence that ended or was cancelled.
    pub(super) fn take_ended(&mut self) -> Vec<Sequence<'m>> {
        let mut ended: Vec<_> = self.active.extract_if(.., Sequence::is_over).collect();
        let mut waiting = VecDeque::with_capacity(self.waiting.len());
        for mut sequence in self.waiting.drain(..) {
            match sequence.is_over() {
                true => ended.push(sequence),
                false => waiting.push_back(sequence),
            }
        }
        self.waiting = waiting;
        ended
    }

    /// Lets those that wait join, in order, while their prompts fit. Returns the
    /// prompt tokens of those that came for the first time.
    pub(super) fn admit(&mut self) -> usize {
        let mut prompt_tokens = 0;
        while self.active.len() < self.max_concurrency {
            let Some(mut sequence) = self.waiting.pop_front() else {
                break;
            };
            let is_new = sequence.cached_tokens.is_none();
            if self.prefix_reuse {
                // What is shared is not charged again.
                sequence.reuse(&mut self.prefix);
            }
            // A block for each that is being written, or this one would soon
            // have to go again.
            let spare = self.active.len() * self.budget.block;
            if !self.make_room(self.lanes(Some(&sequence)) + spare) {
                sequence.give_back(self.model);
                if is_new {
                    sequence.cached_tokens = None;
                }
                self.waiting.push_front(sequence);
                break;
            }
            if is_new {
                prompt_tokens += sequence.prompt;
            }
            self.active.push(sequence);
        }
        prompt_tokens
    }

    /// Reads one block of one prompt; prompts take turns.
    pub(super) fn read_one_block(&mut self, scratch: &mut Scratch) {
        let reading: Vec<usize> = (0..self.active.len())
            .filter(|&index| self.active[index].is_reading())
            .collect();
        if reading.is_empty() {
            return;
        }
        self.turn = self.turn.wrapping_add(1);
        let sequence = &mut self.active[reading[self.turn % reading.len()]];
        let prefix = self.prefix_reuse.then_some(&mut self.prefix);
        sequence.read_block(self.model, prefix, scratch);
    }

    /// Sees to it that the next step fits: forgets prefixes, then sends the
    /// youngest back to wait. Returns how many were.
    pub(super) fn make_room_for_a_step(&mut self) -> u64 {
        let mut preempted = 0;
        while !self.make_room(self.lanes(None)) && self.active.len() > 1 {
            if let Some(mut youngest) = self.active.pop() {
                youngest.give_back(self.model);
                self.waiting.push_front(youngest);
                preempted += 1;
            }
        }
        preempted
    }

    /// Bytes in use.
    pub(super) fn used(&self) -> usize {
        self.lanes(None) + self.prefix_bytes()
    }

    pub(super) fn prefix_bytes(&self) -> usize {
        self.prefix.len() * self.budget.kept()
    }

    /// Bytes that a sequence is charged: all that its next step needs.
    fn charge(&self, sequence: &Sequence<'_>) -> usize {
        sequence.lane.bytes(&self.budget, sequence.tokens.len())
    }

    /// Bytes of all sequences, and of one that would join. The rows of a batch on a device
    /// are all as wide as the longest.
    fn lanes(&self, joining: Option<&Sequence<'_>>) -> usize {
        let own = self.active.iter().map(|active| self.charge(active));
        let charges = own.chain(joining.map(|sequence| self.charge(sequence)));
        match self.model.writes_in_rows() {
            true => charges.clone().max().unwrap_or(0) * charges.count(),
            false => charges.sum(),
        }
    }

    /// Whether sequences of `bytes` fit, when prefixes that nobody uses are forgotten.
    fn make_room(&mut self, bytes: usize) -> bool {
        while bytes + self.prefix_bytes() > self.budget.bytes {
            if !self.prefix.evict() {
                return false;
            }
        }
        true
    }
}
