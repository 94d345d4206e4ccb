//! Label order without comparing labels each time.
//!
//! Series carry a rank: their place in label order among all series that were there when ranks were last given. A
//! selection sorts by ranks; series that have none yet are sorted by their texts and merged in. Once that has been
//! done for about as many series as giving new ranks would have to sort, ranks are given anew: at the latest query that
//! needs it, in that query's thread. So what is spent on sorting texts is at most about twice the least possible.

use crate::Series;
use crate::index::{Index, STEP, pages};
use crate::series::UNRANKED;
use parking_lot::{Mutex, RwLock};
use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

#[derive(Debug, Default)]
pub(crate) struct Order {
    /// Written while ranks are being given, read while they are used.
    ranks: RwLock<()>,
    /// Held by the one who works out new ranks.
    ranking: Mutex<()>,
    /// Series that have been sorted by their texts since ranks were last given.
    debt: AtomicUsize,
}

/// A handful of series is sorted by texts so fast that it counts for nothing.
const FREE: usize = 64;

impl Order {
    /// Sorts series of `index` by their labels.
    pub(crate) fn sort(&self, index: &RwLock<Index>, series: &mut Vec<Arc<Series>>) {
        let (mut ranked, mut fresh) = self.split(series);
        if fresh.len() > FREE {
            let debt = self.debt.fetch_add(fresh.len(), Relaxed) + fresh.len();
            if debt > index.read().series.len() / 2 {
                self.rank(index);
                series.append(&mut ranked);
                series.append(&mut fresh);
                (ranked, fresh) = self.split(series);
            }
        }
        sort_by_texts(index, &mut fresh);
        *series = merge(index, ranked, fresh);
    }

    /// Takes the series apart: those with a rank, sorted by it, and the others.
    fn split(&self, series: &mut Vec<Arc<Series>>) -> (Vec<Arc<Series>>, Vec<Arc<Series>>) {
        let _ranks = self.ranks.read();
        let mut ranked = Vec::with_capacity(series.len());
        let mut fresh = Vec::new();
        for it in series.drain(..) {
            match it.rank.load(Relaxed) {
                UNRANKED => fresh.push(it),
                rank => ranked.push((rank, it)),
            }
        }
        ranked.sort_unstable_by_key(|it| it.0);
        (ranked.into_iter().map(|it| it.1).collect(), fresh)
    }

    /// Gives ranks to all series.
    fn rank(&self, index: &RwLock<Index>) {
        let _ranking = self.ranking.lock();
        let mut all: Vec<Arc<Series>> = pages(index).flatten().collect();
        let (mut ranked, mut fresh) = self.split(&mut all);
        // Somebody else may have done it while this one waited; or so little is new that it does not matter.
        if fresh.len() > FREE {
            if fresh.len() * 16 > ranked.len() {
                fresh.append(&mut ranked);
            }
            sort_by_texts(index, &mut fresh);
            let all = merge(index, ranked, fresh);
            let _ranks = self.ranks.write();
            for (rank, series) in (0..).zip(&all) {
                series.rank.store(rank, Relaxed);
            }
        }
        self.debt.store(0, Relaxed);
    }
}

/// The places of symbols in the order of their texts.
enum Places {
    /// By symbol, from the first one on: one look-up is one array access.
    Dense { first: u32, places: Vec<u32> },
    /// Few symbols that lie far apart: numbers are never used again, so an array would grow with all there ever were.
    Sparse(HashMap<u32, u32>),
}

impl Places {
    /// Room for the symbols `first..=last` of so many pairs.
    fn new(first: u32, last: u32, pairs: usize) -> Self {
        let span = (last - first) as usize + 1;
        if span > pairs.saturating_mul(8).saturating_add(4096) {
            Self::Sparse(HashMap::with_capacity(pairs))
        } else {
            Self::Dense { first, places: vec![u32::MAX; span] }
        }
    }

    /// Notes that a symbol is used; true the first time.
    fn mark(&mut self, symbol: u32) -> bool {
        match self {
            Self::Dense { first, places } => std::mem::replace(&mut places[(symbol - *first) as usize], 0) == u32::MAX,
            Self::Sparse(places) => places.insert(symbol, 0).is_none(),
        }
    }

    fn set(&mut self, symbol: u32, place: u32) {
        match self {
            Self::Dense { first, places } => places[(symbol - *first) as usize] = place,
            Self::Sparse(places) => drop(places.insert(symbol, place)),
        }
    }

    fn of(&self, symbol: u32) -> u32 {
        match self {
            Self::Dense { first, places } => places[(symbol - first) as usize],
            Self::Sparse(places) => places[&symbol],
        }
    }
}

/// Sorts by texts: the distinct symbols are sorted once, then series are compared by the places of their symbols.
fn sort_by_texts(index: &RwLock<Index>, series: &mut Vec<Arc<Series>>) {
    if series.len() < 2 {
        return;
    }
    let pairs = || series.iter().flat_map(|it| it.label_symbols());
    let Some(first) = pairs().map(|pair| pair.0.min(pair.1)).min() else { return };
    let last = pairs().map(|pair| pair.0.max(pair.1)).max().unwrap_or(first);
    let mut places = Places::new(first, last, pairs().count());
    let mut symbols = Vec::new();
    for symbol in pairs().flat_map(|pair| [pair.0, pair.1]) {
        if places.mark(symbol) {
            symbols.push(symbol);
        }
    }
    let mut texts: Vec<(Arc<str>, u32)> = Vec::with_capacity(symbols.len());
    for step in symbols.chunks(STEP) {
        let index = index.read();
        texts.extend(step.iter().map(|symbol| (index.symbols.text(*symbol).clone(), *symbol)));
    }
    texts.sort_unstable();
    for (place, (_, symbol)) in (0..).zip(&texts) {
        places.set(*symbol, place);
    }
    let place = |pair: &(u32, u32)| u64::from(places.of(pair.0)) << 32 | u64::from(places.of(pair.1));
    // The first two pairs decide nearly always which metric comes first; they are kept beside the series.
    let head = |it: &Series| {
        let pair = |at: usize| it.label_symbols().get(at).map_or(0, |pair| u128::from(place(pair)) + 1);
        pair(0) << 64 | pair(1)
    };
    let mut keyed: Vec<(u128, Arc<Series>)> = series.drain(..).map(|it| (head(&it), it)).collect();
    keyed.sort_unstable_by(|(a_head, a), (b_head, b)| {
        a_head.cmp(b_head).then_with(|| {
            let [a, b] = [a, b].map(|it| it.label_symbols());
            match a.iter().zip(b).find(|(a, b)| a != b) {
                Some((a, b)) => place(a).cmp(&place(b)),
                None => a.len().cmp(&b.len()),
            }
        })
    });
    series.extend(keyed.into_iter().map(|it| it.1));
}

/// Merges two sorted lists; the second is thought to be short.
fn merge(index: &RwLock<Index>, long: Vec<Arc<Series>>, short: Vec<Arc<Series>>) -> Vec<Arc<Series>> {
    if long.is_empty() {
        return short;
    }
    let mut merged = Vec::with_capacity(long.len() + short.len());
    let mut long = std::collections::VecDeque::from(long);
    for step in short.chunks(STEP) {
        let index = index.read();
        for it in step {
            let before = long.partition_point(|other| compare(&index, other, it) == Ordering::Less);
            merged.extend(long.drain(..before));
            merged.push(it.clone());
        }
    }
    merged.extend(long);
    merged
}

fn compare(index: &Index, a: &Series, b: &Series) -> Ordering {
    let (a, b) = (a.label_symbols(), b.label_symbols());
    let text = |symbol: u32| index.symbols.text(symbol);
    match a.iter().zip(b).find(|(a, b)| a != b) {
        Some((a, b)) if a.0 == b.0 => text(a.1).cmp(text(b.1)),
        Some((a, b)) => text(a.0).cmp(text(b.0)),
        None => a.len().cmp(&b.len()),
    }
}
