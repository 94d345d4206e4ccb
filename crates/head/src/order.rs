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

/// Sorts by texts: the distinct symbols are sorted once, then series are compared by the places of their symbols.
fn sort_by_texts(index: &RwLock<Index>, series: &mut Vec<Arc<Series>>) {
    if series.len() < 2 {
        return;
    }
    let pairs = || series.iter().flat_map(|it| it.label_symbols());
    let Some(first) = pairs().map(|pair| pair.0.min(pair.1)).min() else { return };
    let last = pairs().map(|pair| pair.0.max(pair.1)).max().unwrap_or(first);
    // Marks what is used, then holds its place: one look-up is one array access.
    let mut places = vec![u32::MAX; (last - first) as usize + 1];
    let mut symbols = Vec::new();
    for symbol in pairs().flat_map(|pair| [pair.0, pair.1]) {
        let place = &mut places[(symbol - first) as usize];
        if *place == u32::MAX {
            *place = 0;
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
        places[(symbol - first) as usize] = place;
    }
    let place = |pair: &(u32, u32)| {
        u64::from(places[(pair.0 - first) as usize]) << 32 | u64::from(places[(pair.1 - first) as usize])
    };
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
