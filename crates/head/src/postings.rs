//! Which series have which label: (name, value) -> series ids, in whatever form is smallest.

use hashbrown::HashTable;
use roaring::{MultiOps, RoaringBitmap};

#[derive(Debug)]
pub(crate) struct Postings {
    all: RoaringBitmap,
    names: HashTable<Name>,
    list_bytes: usize,
}

#[derive(Debug)]
struct Name {
    name: u32,
    values: HashTable<(u32, List)>,
}

/// Ids in rising order. Most values have one series; most series have values that many have.
#[derive(Debug)]
enum List {
    One(u32),
    Few(Vec<u32>),
    Many(Box<RoaringBitmap>),
}

/// What became new or came to an end by adding or removing a posting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Edge {
    pub(crate) name: bool,
    pub(crate) value: bool,
}

/// Above this a bitmap takes less than 4 bytes an id even where ids are spread over several of its 2^16 containers.
const FEW_MAX: usize = 256;

impl Postings {
    pub(crate) fn new() -> Self {
        Self { all: RoaringBitmap::new(), names: HashTable::new(), list_bytes: 0 }
    }

    pub(crate) fn all(&self) -> &RoaringBitmap {
        &self.all
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        // The ids of all series come in runs: some 2^13 bytes in every 2^16.
        self.list_bytes + self.names.allocation_size() + self.all.len() as usize / 8
    }

    /// Adds a series to `all`; its labels follow with [`Postings::add`].
    pub(crate) fn add_series(&mut self, id: u32) {
        self.all.insert(id);
    }

    pub(crate) fn remove_series(&mut self, id: u32) {
        self.all.remove(id);
    }

    /// Adds a posting. `id` must be the highest so far.
    pub(crate) fn add(&mut self, name: u32, value: u32, id: u32) -> Edge {
        let mut edge = Edge { name: false, value: false };
        let entry = self.names.entry(hash(name), |it| it.name == name, |it| hash(it.name)).or_insert_with(|| {
            edge.name = true;
            Name { name, values: HashTable::new() }
        });
        let values = &mut entry.into_mut().values;
        if let Some((_, list)) = values.find_mut(hash(value), |it| it.0 == value) {
            let before = list.heap_bytes();
            list.push(id);
            self.list_bytes = self.list_bytes + list.heap_bytes() - before;
        } else {
            edge.value = true;
            let before = values.allocation_size();
            values.insert_unique(hash(value), (value, List::One(id)), |it| hash(it.0));
            self.list_bytes += values.allocation_size() - before;
        }
        edge
    }

    /// Removes a posting that is there.
    pub(crate) fn remove(&mut self, name: u32, value: u32, id: u32) -> Edge {
        let mut edge = Edge { name: false, value: false };
        let Ok(mut entry) = self.names.find_entry(hash(name), |it| it.name == name) else { return edge };
        let values = &mut entry.get_mut().values;
        if let Ok(mut list) = values.find_entry(hash(value), |it| it.0 == value) {
            let before = list.get().1.heap_bytes();
            if list.get_mut().1.remove(id) {
                edge.value = true;
                self.list_bytes -= before;
                list.remove();
            } else {
                self.list_bytes = self.list_bytes + list.get().1.heap_bytes() - before;
            }
        }
        if values.len() * 4 < values.capacity() {
            let before = values.allocation_size();
            values.shrink_to(values.len() * 2, |it| hash(it.0));
            self.list_bytes -= before - values.allocation_size();
        }
        if values.is_empty() {
            edge.name = true;
            self.list_bytes -= values.allocation_size();
            entry.remove();
        }
        edge
    }

    /// All names.
    pub(crate) fn names(&self) -> impl Iterator<Item = u32> + '_ {
        self.names.iter().map(|it| it.name)
    }

    /// All values of a name.
    pub(crate) fn values(&self, name: u32) -> impl Iterator<Item = u32> + '_ {
        self.name(name).into_iter().flat_map(|it| it.values.iter().map(|it| it.0))
    }

    /// All values of a name, each with how many series have it.
    pub(crate) fn counts(&self, name: u32) -> impl Iterator<Item = (u32, u64)> + '_ {
        self.name(name).into_iter().flat_map(|it| it.values.iter().map(|(value, list)| (*value, list.len())))
    }

    /// The series in which `name` has one of `values`.
    pub(crate) fn union(&self, name: u32, values: impl IntoIterator<Item = u32>) -> RoaringBitmap {
        let (mut ids, mut bitmaps) = (Vec::new(), Vec::new());
        let Some(entry) = self.name(name) else { return RoaringBitmap::new() };
        for value in values {
            match entry.values.find(hash(value), |it| it.0 == value) {
                Some((_, List::One(id))) => ids.push(*id),
                Some((_, List::Few(list))) => ids.extend_from_slice(list),
                Some((_, List::Many(bitmap))) => bitmaps.push(&**bitmap),
                None => {}
            }
        }
        ids.sort_unstable();
        ids.dedup();
        let few = RoaringBitmap::from_sorted_iter(ids).expect("sorted a moment ago");
        bitmaps.push(&few);
        bitmaps.union()
    }

    fn name(&self, name: u32) -> Option<&Name> {
        self.names.find(hash(name), |it| it.name == name)
    }
}

impl List {
    fn push(&mut self, id: u32) {
        match self {
            Self::One(first) => {
                let mut list = Vec::with_capacity(4);
                list.extend([*first, id]);
                *self = Self::Few(list);
            }
            Self::Few(list) if list.len() < FEW_MAX => {
                if list.len() == list.capacity() {
                    list.reserve_exact((list.len() / 4).max(4)); // grows gently: there are as many lists as values
                }
                list.push(id);
            }
            Self::Few(list) => {
                let ids = list.iter().copied().chain([id]);
                *self = Self::Many(Box::new(ids.collect()));
            }
            Self::Many(bitmap) => drop(bitmap.insert(id)),
        }
    }

    fn len(&self) -> u64 {
        match self {
            Self::One(_) => 1,
            Self::Few(list) => list.len() as u64,
            Self::Many(bitmap) => bitmap.len(),
        }
    }

    /// Removes an id; true if none is left.
    fn remove(&mut self, id: u32) -> bool {
        match self {
            Self::One(only) => *only == id,
            Self::Few(list) => {
                if let Ok(at) = list.binary_search(&id) {
                    list.remove(at);
                }
                list.is_empty()
            }
            Self::Many(bitmap) => {
                bitmap.remove(id);
                if (bitmap.len() as usize) < FEW_MAX / 4 {
                    *self = Self::Few(bitmap.iter().collect());
                }
                false
            }
        }
    }

    /// Bytes beside the list itself; of a bitmap an estimate from above.
    fn heap_bytes(&self) -> usize {
        match self {
            Self::One(_) => 0,
            Self::Few(list) => list.capacity() * size_of::<u32>(),
            Self::Many(bitmap) => 64 + bitmap.len() as usize * 2,
        }
    }
}

/// Symbols are numbered by us in a row: no secret is needed, only a spread over all bits.
fn hash(symbol: u32) -> u64 {
    u64::from(symbol).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32)
}
