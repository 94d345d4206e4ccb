//! Sequences of samples cut into windows, and windows joined into wider ones.

use crate::resolution::Resolution;
use crate::window::Window;
use longhaul_model::FloatHistogram;
use std::sync::Arc;

/// A window with its number.
#[derive(Clone, Debug)]
pub struct NumberedWindow {
    /// Which window of its resolution.
    pub number: i64,
    /// What is kept of it.
    pub window: Window,
}

/// Cuts the samples of a series, which come in the order of time, into windows. A window without samples and stale markers
/// is left out.
#[derive(Debug)]
pub struct Splitter {
    resolution: Resolution,
    /// The last millisecond of the open window.
    end_ms: i64,
    windows: Vec<NumberedWindow>,
}

impl Splitter {
    /// Without any window yet.
    pub fn new(resolution: Resolution) -> Self {
        Self { resolution, end_ms: i64::MIN, windows: Vec::new() }
    }

    /// Takes in the next float or stale marker.
    #[inline]
    pub fn push_float(&mut self, t_ms: i64, start_ms: i64, value: f64) {
        self.open(t_ms).push_float(t_ms, start_ms, value);
    }

    /// Takes in the next histogram or stale marker.
    pub fn push_histogram(&mut self, t_ms: i64, start_ms: i64, value: Arc<FloatHistogram>) {
        self.open(t_ms).push_histogram(t_ms, start_ms, value);
    }

    /// The windows, by rising number.
    pub fn finish(self) -> Vec<NumberedWindow> {
        self.windows
    }

    /// The window that holds `t_ms`, which is the last one or a new one.
    #[inline]
    fn open(&mut self, t_ms: i64) -> &mut Window {
        if self.windows.is_empty() || t_ms > self.end_ms {
            let number = self.resolution.window_of(t_ms);
            self.end_ms = self.resolution.end_ms(number);
            self.windows.push(NumberedWindow { number, window: Window::default() });
        }
        let last = self.windows.len() - 1;
        &mut self.windows[last].window
    }
}

/// Folds windows of the resolution `from`, by rising number, into windows of `to`, which is a multiple of it. Parts of one
/// window, which blocks have where their border cuts it, stand one after the other.
pub fn coarsen(
    windows: impl IntoIterator<Item = NumberedWindow>,
    from: Resolution,
    to: Resolution,
) -> Vec<NumberedWindow> {
    assert!(to.length_ms() % from.length_ms() == 0, "each window lies in one wider window");
    let mut coarse: Vec<NumberedWindow> = Vec::new();
    for fine in windows {
        let number = to.window_of(from.end_ms(fine.number));
        match coarse.last_mut() {
            Some(last) if last.number == number => last.window.fold(&fine.window),
            _ => coarse.push(NumberedWindow { number, window: fine.window }),
        }
    }
    coarse
}
