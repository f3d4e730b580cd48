//! What charts have in common.

use leptos::prelude::*;

use crate::state::chart::zoomed;

/// Steps that an arrow key with Shift goes.
const LEAP: f64 = 10.0;

/// One cursor, one zoom and one smoothing for all charts on a page.
#[derive(Clone, Copy)]
pub struct Stage {
    /// The step that is looked at.
    pub cursor: RwSignal<Option<f64>>,
    /// The steps that are shown, if not all.
    pub zoom: RwSignal<Option<(f64, f64)>>,
    /// From 0, as measured, to below 1.
    pub smoothing: RwSignal<f64>,
    whole: Memo<(f64, f64)>,
}

impl Stage {
    /// `whole` are the first and the last step there are.
    pub fn new(whole: Memo<(f64, f64)>) -> Self {
        Self {
            cursor: RwSignal::new(None),
            zoom: RwSignal::new(None),
            smoothing: RwSignal::new(0.0),
            whole,
        }
    }

    /// First and last step that is shown.
    pub fn extent(self) -> (f64, f64) {
        self.zoom.get().unwrap_or_else(|| self.whole.get())
    }

    /// Under the cursor, else the last one.
    pub fn step_shown(self) -> f64 {
        self.cursor.get().unwrap_or_else(|| self.extent().1)
    }

    /// Moves the cursor, or looks closer or wider, by a key; whether it is one
    /// that does.
    pub fn press(self, key: &str, leap: bool) -> bool {
        let (from, to) = untrack(|| self.extent());
        if let "+" | "=" | "-" = key {
            let factor = if key == "-" { 2.0 } else { 0.5 };
            let at = untrack(|| self.step_shown());
            let whole = self.whole.get_untracked();
            self.zoom.set(zoomed((from, to), at, factor, whole));
            return true;
        }
        let at = self.cursor.get_untracked();
        let by = if leap { LEAP } else { 1.0 };
        let cursor = match key {
            "ArrowLeft" | "ArrowDown" => Some(at.map_or(to, |at| at - by)),
            "ArrowRight" | "ArrowUp" => Some(at.map_or(from, |at| at + by)),
            "PageDown" => Some(at.unwrap_or(to) - LEAP),
            "PageUp" => Some(at.unwrap_or(from) + LEAP),
            "Home" => Some(from),
            "End" => Some(to),
            "Escape" => None,
            _ => return false,
        };
        // `min` and `max`, for `clamp` panics where there is no extent.
        self.cursor.set(cursor.map(|step| step.min(to).max(from)));
        true
    }
}
